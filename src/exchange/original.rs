//! The client's headers.

use crate::forwarding::{names_account, KeptBack};
use crate::outcome::Outcome;
use crate::routing::Upstream;

/// The request headers that attempts write over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Original {
    /// `:authority`
    pub authority: String,
    /// `:path`, without a key in its query.
    pub path: String,
    /// `content-length`, if the client sent one.
    pub length: Option<usize>,
    /// Headers that only go upstream if `forward_headers` names them.
    pub kept_back: KeptBack,
}

impl Original {
    /// Whether the client's own headers may have caused this outcome. Only headers count that are forwarded and that the
    /// upstream's `headers` do not overwrite. Any of them may cause a refused credential; only one that names an account
    /// may cause a rate limit.
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
