//! Client keys: the caller's identity and permissions.
//!
//! | kind of caller | recognised by | type |
//! |---|---|---|
//! | a configured key | the SHA-256 of the key | [`KeyRing`] |
//! | a virtual key | the signature of its claims | [`Signer`] |
//! | a user with a password | the name | [`UserEntry`] |
//! | an identity provider's token | Envoy, which verified it | [`Oidc`] |
//!
//! Each of them gives an [`Identity`]. Whether its id is revoked is checked afterwards, in the same way for all of
//! them.

pub mod admin;
mod authority;
mod claims;
mod issue;
mod issued;
mod label_limits;
mod oidc;
mod revocations;
mod ring;
mod token;
mod verified_claims;

pub use authority::{Auth, UserEntry};
pub use claims::{Claims, ClaimsError, MAX_LABELS, MAX_MODELS};
pub use issue::{IssueRequest, MAX_LIFETIME};
pub use issued::Issued;
pub use label_limits::{LabelLimits, MAX_LABEL_LIMITS};
pub use oidc::{Oidc, OidcError, Roles};
pub use revocations::{Revocation, Revocations, RevokeError};
pub use ring::{KeyError, KeyHash, KeyRing};
pub use token::{SecretError, Signer, TokenError, TOKEN_PREFIX};
pub use verified_claims::Property;

pub(crate) use claims::check_label;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::pattern::Patterns;
use crate::tools::ToolLists;

/// The longest key that is accepted.
const MAX_KEY: usize = 4096;

/// A caller's permissions besides the use of models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Uses models.
    #[default]
    User,
    /// May also read and change the gateway's state.
    Admin,
}

impl Role {
    /// Its name in configurations and answers.
    pub fn name(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Admin => "admin",
        }
    }
}

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key's id: its name in stats and logs.
    pub id: String,
    /// The caller's role.
    pub role: Role,
    /// The models the key may use.
    pub models: Patterns,
    /// The tools it may offer to a model; `None`: all.
    pub tools: Option<Box<ToolLists>>,
    /// Labels that the operator has given the caller, such as its team.
    pub labels: Vec<(String, String)>,
    /// The key's limits.
    pub limits: Limits,
    /// When the key expires, since the epoch; `None`: never.
    pub expires: Option<Duration>,
    /// Whether a token names it, issued by the gateway or by an identity provider, and not the configuration: the
    /// number of such ids is unlimited.
    pub issued: bool,
    /// When the key was issued, since the epoch; `None` if unknown. Revocations use it.
    pub issued_at: Option<Duration>,
}

impl Identity {
    /// A configured caller, without labels, limits or expiry.
    pub fn new(id: impl Into<String>, role: Role, models: Patterns) -> Self {
        Identity {
            id: id.into(),
            role,
            models,
            tools: None,
            labels: Vec::new(),
            limits: Limits::default(),
            expires: None,
            issued: false,
            issued_at: None,
        }
    }

    /// Whether the key has expired at `now`.
    pub fn is_expired(&self, now: Duration) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}

/// The key in an `authorization` header: after `Bearer`, in any letter case (RFC 9110, 11.1).
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}
