//! What the client's headers said.

use crate::forwarding::{names_account, KeptBack};
use crate::outcome::Outcome;
use crate::routing::Upstream;

/// The request headers that attempts write over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Original {
    /// `:authority`
    pub authority: String,
    /// `:path`, without any key in its query.
    pub path: String,
    /// `content-length`, if the client sent one.
    pub length: Option<usize>,
    /// Headers that go upstream only where `forward_headers` names them.
    pub kept_back: KeptBack,
}

impl Original {
    /// Whether an upstream may have answered so for what a header says that the client alone has chosen: one that is
    /// forwarded to it, and not written over by its `headers`. A credential may be refused for any of them; a limit
    /// belongs to an account.
    pub(super) fn may_cause(&self, outcome: Outcome, upstream: &Upstream) -> bool {
        let reaches = |name: &&str| {
            upstream.forwarded.has(name) && !upstream.headers.iter().any(|(own, _)| own.as_str() == *name)
        };
        match outcome {
            Outcome::Credential => self.kept_back.names().any(|name| reaches(&name)),
            Outcome::RateLimited => self.kept_back.names().filter(reaches).any(names_account),
            _ => false,
        }
    }
}
