//! What the gateway answers to operators who ask for keys, issue and revoke them.

use std::time::Duration;

use serde_json::{json, Map, Value};

use super::{Claims, Identity, Issued};
use crate::date::Timestamp;
use crate::limits::Limits;

/// The most keys that are listed; beyond them, `has_more` is true.
pub const MAX_LISTED: usize = 10_000;

/// The answer to `GET /gateway/keys`: who is configured, by id, and the virtual keys issued last.
pub fn list<'a>(
    configured: impl Iterator<Item = &'a Identity>,
    issued: &Issued,
    is_revoked: &dyn Fn(&str) -> bool,
) -> String {
    let mut configured: Vec<&Identity> = configured.collect();
    configured.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let issued: Vec<Identity> = issued.iter().map(Claims::identity).collect();
    let total = configured.len() + issued.len();
    let virtual_keys = issued.iter().map(|identity| ("virtual", identity));
    let all = virtual_keys.chain(configured.into_iter().map(|identity| ("configured", identity)));
    let data: Vec<Value> =
        all.take(MAX_LISTED).map(|(kind, identity)| entry(kind, identity, is_revoked(&identity.id))).collect();
    json!({"object": "list", "has_more": total > data.len(), "data": data}).to_string()
}

/// The answer to `POST /gateway/keys`: the only time that the key is seen.
pub fn issued(token: &str, claims: &Claims) -> String {
    let mut entry = entry("virtual", &claims.identity(), false);
    if let Value::Object(fields) = &mut entry {
        fields.insert("key".to_owned(), token.into());
    }
    entry.to_string()
}

/// The answer to the revocation of a key. `config` is what holds it after a restart, and in other gateways.
pub fn revoked(id: &str, until: Option<Duration>) -> String {
    // texts of JSON are texts of YAML
    let quoted = Value::from(id);
    let entry = match until {
        Some(until) => format!("{{id: {quoted}, until: \"{}\"}}", Timestamp(until)),
        None => quoted.to_string(),
    };
    json!({"id": id, "revoked": true, "until": until.map(seconds), "config": format!("revoked: [{entry}]")}).to_string()
}

/// The answer to a caller who asks who they are.
pub fn whoami(identity: &Identity) -> String {
    let mut entry = entry("", identity, false);
    if let Value::Object(fields) = &mut entry {
        fields.remove("kind");
        fields.remove("revoked");
    }
    entry.to_string()
}

/// An id for a key that was given none, from random bytes.
pub fn random_id(random: &[u8]) -> String {
    random.iter().take(8).fold(String::from("vk-"), |id, byte| id + &format!("{byte:02x}"))
}

fn entry(kind: &str, identity: &Identity, revoked: bool) -> Value {
    let labels: Map<String, Value> =
        identity.labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "id": identity.id,
        "kind": kind,
        "role": identity.role.name(),
        "models": identity.models.iter().collect::<Vec<_>>(),
        "labels": labels,
        "limits": limits(&identity.limits),
        "expires_at": identity.expires.map(seconds),
        "revoked": revoked,
    })
}

/// Limits as requests and configurations have them: money in dollars.
fn limits(limits: &Limits) -> Value {
    let mut value = serde_json::to_value(limits).unwrap_or_default();
    if let (Value::Object(fields), Some(microusd)) = (&mut value, limits.microusd_per_day) {
        fields.remove("microusd_per_day");
        fields.insert("cost_per_day".to_owned(), (microusd as f64 / 1e6).into());
    }
    value
}

/// As `expires_at` is told: seconds since the epoch, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}
