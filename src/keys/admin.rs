//! The gateway's answers to operators who list, issue and revoke keys.

use crate::order::by_text;
use std::time::Duration;

use serde_json::{json, Map, Value};

use super::{Claims, Identity, Issued, Revocation};
use crate::date::Timestamp;
use crate::error::ApiError;
use crate::limits::Limits;

/// The maximum number of listed keys; beyond it, `has_more` is true.
pub const MAX_LISTED: usize = 10_000;

/// The answer to `GET /gateway/keys`: the configured callers by id, and the virtual keys issued last.
pub fn list<'a>(
    configured: impl Iterator<Item = &'a Identity>,
    issued: &Issued,
    is_revoked: &dyn Fn(&Identity) -> bool,
) -> String {
    let mut configured: Vec<&Identity> = configured.collect();
    by_text(&mut configured, |identity| &identity.id);
    let issued: Vec<Identity> = issued.iter().map(Claims::identity).collect();
    let total = configured.len() + issued.len();
    let virtual_keys = issued.iter().map(|identity| ("virtual", identity));
    let all = virtual_keys.chain(configured.into_iter().map(|identity| ("configured", identity)));
    let data: Vec<Value> =
        all.take(MAX_LISTED).map(|(kind, identity)| entry(kind, identity, is_revoked(identity))).collect();
    json!({"object": "list", "has_more": total > data.len(), "data": data}).to_string()
}

/// The answer to `POST /gateway/keys`: the only time that the key is shown.
pub fn issued(token: &str, claims: &Claims) -> String {
    let mut entry = entry("virtual", &claims.identity(), false);
    if let Value::Object(fields) = &mut entry {
        fields.insert("key".to_owned(), token.into());
    }
    entry.to_string()
}

/// The answer to the revocation of a key. `config` is the entry that makes it last after a restart and in other
/// gateways. `known`: this gateway has configured or issued such a key.
pub fn revoked(id: &str, revocation: Revocation, known: bool) -> String {
    // JSON strings are valid YAML
    let mut entry = format!("{{id: {}", Value::from(id));
    for (name, time) in [("before", revocation.before), ("until", revocation.until)] {
        if let Some(time) = time {
            entry.push_str(&format!(", {name}: \"{}\"", Timestamp(time)));
        }
    }
    let mut answer = json!({
        "id": id,
        "revoked": true,
        "known": known,
        "before": revocation.before.map(seconds),
        "before_rfc3339": revocation.before.map(timestamp),
        "until": revocation.until.map(seconds),
        "until_rfc3339": revocation.until.map(timestamp),
        "config": format!("revoked: [{entry}}}]"),
    });
    if let (false, Value::Object(fields)) = (known, &mut answer) {
        fields.insert("warning".to_owned(), UNKNOWN_ID.into());
    }
    answer.to_string()
}

const UNKNOWN_ID: &str = "This gateway has neither configured nor issued a key of this id since it started. It is \
                          revoked all the same; check the spelling.";

/// The answer to the restoration of a key; `changed`: it was revoked before.
pub fn restored(id: &str, changed: bool) -> String {
    json!({"id": id, "revoked": false, "changed": changed}).to_string()
}

/// Whether a revocation may lock out the administrator who requests it: `force=true` in the query of the request's
/// path.
///
/// # Errors
/// 400 that names the parameter.
pub fn is_forced(path: &str) -> Result<bool, ApiError> {
    let (_, query) = path.split_once('?').unwrap_or_default();
    let mut forced = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        forced = match pair.split_once('=').unwrap_or((pair, "")) {
            ("force", "true") => true,
            ("force", "false") => false,
            ("force", _) => {
                return Err(ApiError::bad_request("invalid_value", Some("force"), "`force` must be true or false."))
            }
            (_, _) => {
                let message = "The only parameter of this path is `force`.";
                return Err(ApiError::bad_request("invalid_value", None, message));
            }
        };
    }
    Ok(forced)
}

/// The answer of `/gateway/whoami`.
pub fn whoami(identity: &Identity) -> String {
    let mut entry = entry("", identity, false);
    if let Value::Object(fields) = &mut entry {
        fields.remove("kind");
        fields.remove("revoked");
    }
    entry.to_string()
}

/// A random id for a key without one.
pub fn random_id(random: &[u8]) -> String {
    random.iter().take(8).fold(String::from("vk-"), |id, byte| id + &format!("{byte:02x}"))
}

fn entry(kind: &str, identity: &Identity, revoked: bool) -> Value {
    let mut labels = Map::new();
    for (name, value) in &identity.labels {
        labels.insert(name.clone(), value.as_str().into());
    }
    let mut entry = json!({
        "id": identity.id,
        "kind": kind,
        "role": identity.role.name(),
        "models": identity.models.iter().collect::<Vec<_>>(),
        "labels": labels,
        "limits": limits(&identity.limits),
        "issued_at": identity.issued_at.map(|time| time.as_secs()),
        "issued_at_rfc3339": identity.issued_at.map(timestamp),
        "expires_at": identity.expires.map(seconds),
        "expires_at_rfc3339": identity.expires.map(timestamp),
        "revoked": revoked,
    });
    if let (Some(tools), Value::Object(fields)) = (&identity.tools, &mut entry) {
        fields.insert("tools".to_owned(), serde_json::to_value(tools).unwrap_or_default());
    }
    entry
}

/// Limits in the form of requests and configurations: money in dollars.
fn limits(limits: &Limits) -> Value {
    let mut value = serde_json::to_value(limits).unwrap_or_default();
    let budgets = [
        ("microusd_per_day", "cost_per_day", limits.microusd_per_day),
        ("microusd_per_month", "cost_per_month", limits.microusd_per_month),
    ];
    for (stored, name, budget) in budgets {
        if let (Value::Object(fields), Some(microusd)) = (&mut value, budget) {
            fields.remove(stored);
            fields.insert(name.to_owned(), (microusd as f64 / 1e6).into());
        }
    }
    value
}

fn timestamp(time: Duration) -> String {
    Timestamp(time).to_string()
}

/// The value of `expires_at`: seconds since the epoch, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}
