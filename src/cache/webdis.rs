//! Redis, through Webdis (<https://github.com/nicolasff/webdis>), which speaks HTTP: a filter in a stock Envoy can call
//! nothing else.
//!
//! `GET /GET/{key}.bin` answers with the bytes, or with 404. A value is the body of `PUT /SETEX/{key}/{seconds}`, so that
//! it needs no escapes; the same commands as POST would need one for each byte that is no letter.

use std::time::Duration;

use super::CacheKey;

/// The name of an entry in Redis.
fn name(key: &CacheKey) -> String {
    format!("sluice:cache:{}", key.hexadecimal())
}

/// The path that asks for an entry.
pub fn get(key: &CacheKey) -> String {
    format!("/GET/{}.bin", name(key))
}

/// The path that keeps an entry for this time.
pub fn set(key: &CacheKey, time: Duration) -> String {
    format!("/SETEX/{}/{}", name(key), time.as_millis().div_ceil(1000).max(1))
}
