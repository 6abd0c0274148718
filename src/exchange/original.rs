//! What the client's headers said.

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
    /// Accounts at a provider that the client names.
    pub accounts: Accounts,
}

/// The headers by which a client names an account at a provider: where that does not fit the gateway's key, the provider
/// refuses the request, and the key is not to blame. One bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounts(u8);

impl Accounts {
    const HEADERS: [&str; 3] = ["openai-organization", "openai-project", "x-goog-user-project"];

    /// Notes a header; `false` if it is none of these.
    pub fn take_in(&mut self, header: &[u8]) -> bool {
        let index = Self::HEADERS.iter().position(|name| name.as_bytes() == header);
        self.0 |= index.map_or(0, |index| 1 << index);
        index.is_some()
    }

    /// Whether one is the client's own at this upstream, and not written over by its `headers`.
    pub(super) fn reach(self, upstream: &Upstream) -> bool {
        let operators = |name: &str| upstream.headers.iter().any(|(own, _)| own == name);
        Self::HEADERS.iter().enumerate().any(|(index, name)| self.0 >> index & 1 == 1 && !operators(name))
    }
}
