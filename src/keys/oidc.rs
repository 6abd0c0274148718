//! Callers whom an identity provider knows. Envoy verifies their tokens (`jwt_authn`) and hands on what they claim.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::{Identity, Role};
use crate::limits::Limits;
use crate::pattern::Patterns;

/// The longest id that is taken over, in bytes.
const MAX_ID: usize = 256;

/// The operator's names of the roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Of those who use models.
    pub user: Vec<String>,
    /// Of administrators.
    pub admin: Vec<String>,
}

impl Default for Roles {
    fn default() -> Self {
        Roles { user: vec!["LLM.User".to_owned()], admin: vec!["LLM.Admin".to_owned()] }
    }
}

impl Roles {
    /// The role of this name, of those the operator chose. Plain `user` and `admin` are not among them by themselves:
    /// an identity provider may call something else so.
    pub fn of(&self, name: &str) -> Option<Role> {
        self.names().find(|(known, _)| *known == name).map(|(_, role)| role)
    }

    /// All names, with their roles.
    pub fn names(&self) -> impl Iterator<Item = (&str, Role)> {
        let admin = self.admin.iter().map(|name| (name.as_str(), Role::Admin));
        admin.chain(self.user.iter().map(|name| (name.as_str(), Role::User)))
    }
}

/// How the claims of an identity provider are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// Where Envoy puts the claims: `payload_in_metadata` of its `jwt_authn` filter.
    pub metadata: String,
    /// Where it says why it refused a token: `failed_status_in_metadata`. Without it, one that has ended is like any
    /// other that is wrong.
    pub failure_metadata: Option<String>,
    /// The claim with the caller's id.
    pub id_claim: String,
    /// The claim with the roles.
    pub roles_claim: String,
    /// The claim with the models.
    pub models_claim: String,
    /// The role of callers without one; `None`: they are refused.
    pub default_role: Option<Role>,
}

/// Why a caller whom the provider knows is refused all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OidcError {
    /// The claim for the id, which is missing, or cannot be one.
    NoId(String),
    /// The claim for the roles, which names none of ours.
    NoRole(String),
    /// The claim for the models, which is no list.
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
    /// Who is calling. An administrator is one whatever other roles there are.
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
    /// The claim that is at fault.
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
            labels: Vec::new(),
            limits: Limits::default(),
            issued: true,
            expires: time(claims, "exp"),
            issued_at: time(claims, "iat"),
        })
    }

    /// The usual claims, in what Envoy calls `metadata`.
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

/// A claim that is called `path`, or stands there: names may have points in them (`https://example.com/roles`), and
/// claims may be nested (`realm_access.roles`).
fn claim<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    let whole = claims.get(path);
    let found = whole.or_else(|| path.split('.').try_fold(claims, |inner, name| inner.get(name)));
    found.filter(|value| !value.is_null())
}

/// A list of texts, or one text with spaces between the words.
fn words(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(text.split_ascii_whitespace().collect()),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
