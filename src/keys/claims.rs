//! The claims of a virtual key.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Identity, Role};
use crate::limits::Limits;
use crate::pattern::Patterns;
use crate::tools::ToolLists;

/// The maximum number of models in a virtual key.
pub const MAX_MODELS: usize = 64;

/// The maximum number of labels of a key.
pub const MAX_LABELS: usize = 16;

/// The longest id, model, and label, in bytes.
const MAX_TEXT: usize = 128;

/// The longest claims as JSON, so that a token is not longer than the longest accepted key.
const MAX_JSON: usize = 3000;

/// The claims of a virtual key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The key's id: its name in stats and logs, and for revocations.
    pub id: String,
    /// The owner's role.
    #[serde(default, skip_serializing_if = "is_default")]
    pub role: Role,
    /// The models the key may use; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// The tools it may offer to a model; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolLists>,
    /// When it expires, in seconds since the epoch.
    pub exp: u64,
    /// When it was issued, in seconds since the epoch.
    pub iat: u64,
    /// Its limits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// Labels that the operator has given it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An error in claims: the field in a request for a key, and the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsError {
    /// The field's name in requests and configurations.
    pub field: &'static str,
    /// The problem, and what to do.
    pub problem: String,
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl Claims {
    /// Whether a key may have these claims.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), ClaimsError> {
        let wrong = |field, problem: String| Err(ClaimsError { field, problem });
        if !is_id(&self.id) {
            return wrong("id", format!("must be 1 to {MAX_TEXT} ASCII characters, without spaces, `;` and `|`"));
        }
        if let Some(models) = &self.models {
            if models.is_empty() || models.len() > MAX_MODELS {
                return wrong("models", format!("must name 1 to {MAX_MODELS} models; leave it out for all of them"));
            }
            if !models.iter().all(|model| is_plain(model)) {
                return wrong("models", format!("each must have 1 to {MAX_TEXT} bytes, and no control characters"));
            }
        }
        if let Some((field, problem)) = self.tools.as_ref().and_then(|tools| tools.check().err()) {
            return wrong("tools", if field.is_empty() { problem } else { format!("`{field}` {problem}") });
        }
        if self.exp <= self.iat {
            return wrong("expires_in", "must be a second or more".to_owned());
        }
        if self.labels.len() > MAX_LABELS {
            return wrong("labels", format!("must be at most {MAX_LABELS}"));
        }
        for (name, value) in &self.labels {
            check_label(name, value).or_else(|problem| wrong("labels", problem))?;
        }
        let length = self.to_json().len();
        if length > MAX_JSON {
            let problem = format!("all claims together have {length} bytes, more than {MAX_JSON}; name fewer models");
            return wrong("models", problem);
        }
        Ok(())
    }

    /// When the key expires, since the epoch.
    pub fn expires(&self) -> Duration {
        Duration::from_secs(self.exp)
    }

    /// The key's owner.
    pub fn identity(&self) -> Identity {
        Identity {
            id: self.id.clone(),
            role: self.role,
            models: self.models.clone().map_or_else(Patterns::any, Patterns::new),
            tools: self.tools.clone().map(Box::new),
            labels: self.labels.clone().into_iter().collect(),
            limits: self.limits,
            expires: Some(self.expires()),
            issued: true,
            issued_at: Some(Duration::from_secs(self.iat)),
        }
    }

    /// The claims as compact JSON.
    pub(super) fn to_json(&self) -> String {
        // maps with string keys, and numbers, can always be serialised
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the output of [`Claims::to_json`]; `None` for unreadable or invalid claims.
    pub(super) fn from_json(json: &[u8]) -> Option<Self> {
        let claims: Claims = serde_json::from_slice(json).ok()?;
        claims.check().is_ok().then_some(claims)
    }
}

/// An id is used in stats, logs, headers and lists, so it must need no quoting in any of them.
fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b';' | b'|');
    (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(plain)
}

fn is_plain(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether a label's name and value are valid.
///
/// # Errors
/// The problem.
pub(crate) fn check_label(name: &str, value: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(1..=MAX_TEXT).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(format!("a name must be 1 to {MAX_TEXT} letters, digits, `_`, `-` and `.`"));
    }
    if !is_plain(value) {
        return Err(format!("a value must have 1 to {MAX_TEXT} bytes, and no control characters"));
    }
    Ok(())
}
