//! Callers with an identity provider's token. Envoy verifies it (`jwt_authn`) and passes on its claims.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::{Identity, Role};
use crate::limits::Limits;
use crate::pattern::Patterns;

/// The longest accepted id, in bytes.
const MAX_ID: usize = 256;

/// The configured names of the roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// The role of callers who use models.
    pub user: Vec<String>,
    /// The role of administrators.
    pub admin: Vec<String>,
}

impl Default for Roles {
    fn default() -> Self {
        Roles { user: vec!["LLM.User".to_owned()], admin: vec!["LLM.Admin".to_owned()] }
    }
}

impl Roles {
    /// The role with this configured name. Plain `user` and `admin` only count if they are configured, because at an
    /// identity provider they may mean something else.
    pub fn of(&self, name: &str) -> Option<Role> {
        self.names().find(|(known, _)| *known == name).map(|(_, role)| role)
    }

    /// All names, with their roles.
    pub fn names(&self) -> impl Iterator<Item = (&str, Role)> {
        let admin = self.admin.iter().map(|name| (name.as_str(), Role::Admin));
        admin.chain(self.user.iter().map(|name| (name.as_str(), Role::User)))
    }
}

/// How to read an identity provider's claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// Envoy's metadata key of the claims: `payload_in_metadata` of its `jwt_authn` filter.
    pub metadata: String,
    /// Its metadata key of the reason for refusing a token: `failed_status_in_metadata`. Without it, expired tokens
    /// cannot be distinguished from other invalid ones.
    pub failure_metadata: Option<String>,
    /// The claim with the caller's id.
    pub id_claim: String,
    /// The claim with the roles.
    pub roles_claim: String,
    /// The claim with the models.
    pub models_claim: String,
    /// The role of callers without a role; `None`: they are refused.
    pub default_role: Option<Role>,
}

/// Why a caller with a valid token is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OidcError {
    /// The claim for the id is missing or invalid.
    NoId(String),
    /// The claim for the roles has none of the configured ones.
    NoRole(String),
    /// The claim for the models is not a list.
    BadModels(String),
}

impl fmt::Display for OidcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OidcError::NoId(claim) => write!(f, "The token's claim `{claim}` does not say who is calling."),
            OidcError::NoRole(claim) => write!(f, "The token's claim `{claim}` has no role that may call the gateway."),
            OidcError::BadModels(claim) => write!(f, "The token's claim `{claim}` is not a list of models."),
        }
    }
}

impl Oidc {
    /// The caller. A token with the administrators' role is an administrator's, whatever other roles it has.
    ///
    /// ```
    /// use serde_json::json;
    /// use sluice::keys::{Oidc, Role, Roles};
    ///
    /// let oidc = Oidc { roles_claim: "realm_access.roles".into(), ..Oidc::new("jwt") };
    /// let claims = json!({"sub": "alice", "realm_access": {"roles": ["LLM.User", "offline_access"]}});
    /// let identity = oidc.identity(&claims, &Roles::default()).unwrap();
    /// assert_eq!((identity.id.as_str(), identity.role), ("alice", Role::User));
    /// ```
    ///
    /// # Errors
    /// The wrong claim.
    pub fn identity(&self, claims: &Value, roles: &Roles) -> Result<Identity, OidcError> {
        let id = claim(claims, &self.id_claim).and_then(Value::as_str);
        let is_id = |id: &&str| (1..=MAX_ID).contains(&id.len()) && !id.chars().any(char::is_control);
        let id = id.filter(is_id).ok_or_else(|| OidcError::NoId(self.id_claim.clone()))?;
        let named = claim(claims, &self.roles_claim).and_then(words).unwrap_or_default();
        let found: Vec<Role> = named.iter().filter_map(|name| roles.of(name)).collect();
        let role = [Role::Admin, Role::User].into_iter().find(|role| found.contains(role)).or(self.default_role);
        let models = match claim(claims, &self.models_claim) {
            Some(value) => {
                let names = words(value).ok_or_else(|| OidcError::BadModels(self.models_claim.clone()))?;
                Patterns::new(names.into_iter().map(str::to_owned).collect())
            }
            None => Patterns::any(),
        };
        Ok(Identity {
            id: id.to_owned(),
            role: role.ok_or_else(|| OidcError::NoRole(self.roles_claim.clone()))?,
            models,
            tools: None,
            labels: Vec::new(),
            limits: Limits::default(),
            issued: true,
            expires: time(claims, "exp"),
            issued_at: time(claims, "iat"),
        })
    }

    /// The usual claims, in Envoy's metadata key `metadata`.
    pub fn new(metadata: impl Into<String>) -> Self {
        Oidc {
            metadata: metadata.into(),
            failure_metadata: None,
            id_claim: "sub".to_owned(),
            roles_claim: "roles".to_owned(),
            models_claim: "models".to_owned(),
            default_role: None,
        }
    }
}

/// A time in seconds since the epoch (RFC 7519, 2: NumericDate).
fn time(claims: &Value, name: &str) -> Option<Duration> {
    claim(claims, name)?.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// The claim with the name `path`, or at that path: names may contain points (`https://example.com/roles`), and claims
/// may be nested (`realm_access.roles`).
fn claim<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    let whole = claims.get(path);
    let found = whole.or_else(|| path.split('.').try_fold(claims, |inner, name| inner.get(name)));
    found.filter(|value| !value.is_null())
}

/// A list of texts, or one text with words separated by spaces.
fn words(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(text.split_ascii_whitespace().collect()),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
