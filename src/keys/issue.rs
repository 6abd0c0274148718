//! An administrator's request for a new virtual key.

use std::time::Duration;

use serde_json::Value;

use super::{Claims, Role};
use crate::config::{read_labels, read_limits, read_tools, ConfigError, Node, Object};
use crate::error::ApiError;

/// The maximum lifetime of a virtual key, whoever signs it. (A gateway's `max_expires_in` only limits the keys that it
/// issues.)
pub const MAX_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const FIELDS: [&str; 7] = ["id", "role", "models", "tools", "expires_in", "limits", "labels"];

/// A request for a virtual key: `{"id", "role", "models", "tools", "expires_in", "limits", "labels"}`, all optional.
/// `expires_in` is a number of seconds, or a text like `30d`; the default is the maximum.
#[derive(Clone, Copy, Debug)]
pub struct IssueRequest;

/// A wrong field, and the problem. `None`: the whole request.
type Mistake = (Option<&'static str>, String);

impl IssueRequest {
    /// Reads the body of a request into the claims of the key. `cap` is the maximum lifetime; `now` is since the epoch;
    /// `random_id` is the default id.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn read(body: &[u8], cap: Duration, now: Duration, random_id: &str) -> Result<Claims, ApiError> {
        let value = match body.trim_ascii() {
            [] => Value::Object(serde_json::Map::new()),
            body => serde_json::from_slice(body).map_err(|error| {
                ApiError::bad_request("invalid_json", None, format!("The body is not valid JSON: {error}."))
            })?,
        };
        IssueRequest::claims(&Node::root("body", &value), cap, now, random_id)
            .map_err(|(param, message)| ApiError::bad_request("invalid_value", param, message))
    }

    /// The same for a value from another place.
    ///
    /// # Errors
    /// The wrong field, and a message that names its path.
    pub fn claims(node: &Node<'_>, cap: Duration, now: Duration, random_id: &str) -> Result<Claims, Mistake> {
        let fields = node.object(&FIELDS).map_err(|error| (None, error.to_string()))?;
        let claims = Claims {
            id: of("id", id(&fields, random_id))?,
            role: of("role", role(&fields))?,
            models: of("models", fields.get("models").map(|node| node.texts()).transpose())?,
            tools: of("tools", read_tools(fields.get("tools")))?,
            exp: now.as_secs().saturating_add(of("expires_in", expires_in(&fields, cap))?),
            iat: now.as_secs(),
            limits: of("limits", read_limits(fields.get("limits")))?,
            labels: of("labels", read_labels(fields.get("labels")))?.into_iter().collect(),
        };
        claims.check().map_err(|error| {
            let at = fields.get(error.field);
            let message = at.map_or(error.to_string(), |node| node.error(error.problem.clone()).to_string());
            (Some(error.field), message)
        })?;
        Ok(claims)
    }
}

fn of<T>(field: &'static str, read: Result<T, ConfigError>) -> Result<T, Mistake> {
    read.map_err(|error| (Some(field), error.to_string()))
}

fn id(fields: &Object<'_>, random_id: &str) -> Result<String, ConfigError> {
    Ok(fields.get("id").map_or(Ok(random_id), |node| node.text())?.to_owned())
}

fn role(fields: &Object<'_>) -> Result<Role, ConfigError> {
    let choices = [Role::User, Role::Admin].map(|role| (role.name(), role));
    fields.get("role").map_or(Ok(Role::User), |node| node.choice(&choices))
}

/// In seconds.
fn expires_in(fields: &Object<'_>, cap: Duration) -> Result<u64, ConfigError> {
    let Some(node) = fields.get("expires_in") else {
        return Ok(cap.as_secs());
    };
    let wanted = match node.is_text() {
        true => node.duration()?,
        false => Duration::from_secs(node.integer(1, u32::MAX)?.into()),
    };
    if wanted > cap {
        return Err(node.error(format!("is longer than a key may last: at most {} seconds", cap.as_secs())));
    }
    Ok(wanted.as_secs())
}
