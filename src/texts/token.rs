//! Tokens that stand for a caller in requests of the gateway to itself.
//!
//! A worker signs them with a secret that all workers of this Envoy share, and that never leaves it. They are valid for
//! seconds, and only on the text endpoints.
//!
//! ```text
//! <caller as JSON, base64url>.<HMAC-SHA256 over "sluice-text-v1." and the text before the point, base64url>
//! ```

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::base64::{decode_url, encode_url};
use crate::keys::{Identity, Role};
use crate::limits::Limits;
use crate::pattern::Patterns;

/// How long a token is valid: it is presented at once.
pub const TOKEN_TIME: Duration = Duration::from_secs(30);

/// Signed before the payload, so that a signature for another purpose is never valid here.
const DOMAIN: &[u8] = b"sluice-text-v1.";

/// The longest token, in bytes; Envoy takes 60 KiB of headers.
const MAX_TOKEN: usize = 32 << 10;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    /// In milliseconds since the epoch.
    until: u64,
    /// `None`: there is no `auth`.
    caller: Option<TokenIdentity>,
}

/// An [`Identity`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenIdentity {
    id: String,
    role: Role,
    models: Vec<String>,
    labels: Vec<(String, String)>,
    limits: Limits,
    expires: Option<Duration>,
    issued: bool,
    issued_at: Option<Duration>,
}

/// A token for a caller at `now` (since the epoch). `None`: the caller has too much to say.
pub fn sign(secret: &[u8], caller: Option<&Identity>, now: Duration) -> Option<String> {
    let caller = caller.map(|caller| TokenIdentity {
        id: caller.id.clone(),
        role: caller.role,
        models: caller.models.iter().map(str::to_owned).collect(),
        labels: caller.labels.clone(),
        limits: caller.limits,
        expires: caller.expires,
        issued: caller.issued,
        issued_at: caller.issued_at,
    });
    let until = u64::try_from((now + TOKEN_TIME).as_millis()).unwrap_or(u64::MAX);
    let payload = encode_url(&serde_json::to_vec(&Payload { until, caller }).ok()?);
    let tag = over(secret, &payload)?.finalize().into_bytes();
    let token = format!("{payload}.{}", encode_url(&tag));
    (token.len() <= MAX_TOKEN).then_some(token)
}

/// The caller that a token stands for at `now`; `Some(None)`: there is no `auth`. `None`: the token is not valid.
/// Nothing is parsed before the signature is verified.
pub fn verify(secret: &[u8], token: &str, now: Duration) -> Option<Option<Identity>> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let (payload, tag) = token.split_once('.')?;
    let tag = decode_url(tag).filter(|tag| tag.len() == 32)?;
    over(secret, payload)?.verify_slice(&tag).ok()?;
    let Payload { until, caller } = serde_json::from_slice(&decode_url(payload)?).ok()?;
    if now.as_millis() >= u128::from(until) {
        return None;
    }
    Some(caller.map(|caller| Identity {
        id: caller.id,
        role: caller.role,
        models: Patterns::new(caller.models),
        tools: None, // the gateway's own requests offer none
        labels: caller.labels,
        limits: caller.limits,
        expires: caller.expires,
        issued: caller.issued,
        issued_at: caller.issued_at,
    }))
}

/// `None`: the secret is too short to be one.
fn over(secret: &[u8], payload: &str) -> Option<Hmac<Sha256>> {
    if secret.len() < 32 {
        return None;
    }
    let keyed = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    Some(keyed.chain_update(DOMAIN).chain_update(payload.as_bytes()))
}
