//! Client keys: who is calling, and what they may do.
//!
//! | way to call | known by | found in |
//! |---|---|---|
//! | a configured key | the SHA-256 of the key | [`KeyRing`] |
//! | a virtual key | the signature of the claims it carries | [`Signer`] |
//! | a user with a password | the name | [`UserEntry`] |
//! | an identity provider's token | Envoy, which verified it | [`Oidc`] |
//!
//! Each comes to an [`Identity`]. Whether its id has been revoked is asked afterwards, of all of them alike.

pub mod admin;
mod authority;
mod claims;
mod issue;
mod issued;
mod oidc;
mod revocations;
mod ring;
mod token;
mod verified_claims;

pub use authority::{Auth, UserEntry};
pub use claims::{Claims, ClaimsError, MAX_LABELS, MAX_MODELS};
pub use issue::{IssueRequest, MAX_LIFETIME};
pub use issued::Issued;
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

/// The longest key that is looked at; a longer one is no key of ours.
const MAX_KEY: usize = 4096;

/// What a caller may do beyond using models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Uses models.
    #[default]
    User,
    /// Also sees and changes the gateway's state.
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

/// Who is calling, once the key is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key's id: the name it has in stats and logs.
    pub id: String,
    /// The caller's role.
    pub role: Role,
    /// The models the key may use.
    pub models: Patterns,
    /// What the operator wants to know of the caller, such as its team.
    pub labels: Vec<(String, String)>,
    /// How much the key may be used.
    pub limits: Limits,
    /// When the key ends, since the epoch; `None` if it does not.
    pub expires: Option<Duration>,
    /// Whether a token names it, which the gateway or an identity provider has issued, and not the configuration: there
    /// may be any number of those.
    pub issued: bool,
    /// When the key was issued, since the epoch; `None` if nobody says. A revocation asks for it.
    pub issued_at: Option<Duration>,
}

impl Identity {
    /// A caller of the configuration, without labels, limits or an end.
    pub fn new(id: impl Into<String>, role: Role, models: Patterns) -> Self {
        Identity {
            id: id.into(),
            role,
            models,
            labels: Vec::new(),
            limits: Limits::default(),
            expires: None,
            issued: false,
            issued_at: None,
        }
    }

    /// Whether the key has ended at `now`.
    pub fn is_expired(&self, now: Duration) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}

/// The key in an `authorization` header: after `Bearer`, in any case (RFC 9110, 11.1).
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// Whether two secrets are the same, in a time that says nothing about where they differ. Their lengths are no
/// secret.
fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| std::hint::black_box(difference | (a ^ b)));
    a.len() == b.len() && difference == 0
}
