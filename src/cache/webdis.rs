//! Redis, through Webdis (<https://github.com/nicolasff/webdis>), which speaks HTTP: a filter in a stock Envoy can call
//! nothing else.
//!
//! `GET /GET/{key}.bin` answers with the bytes, or with 404. A value is the body of `PUT /SETEX/{key}/{seconds}`, so that
//! it needs no escapes; the same commands as POST would need one for each byte that is no letter.

use std::time::Duration;

use super::{CacheKey, Entry};
use crate::callout::Callout;

/// The timeout for writes. It may be long, because no client waits for them.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The name of an entry in Redis.
fn name(key: &CacheKey) -> String {
    format!("sluice:cache:{}", key.hexadecimal())
}

/// Asks for an entry.
pub fn get(cluster: &str, key: &CacheKey, timeout: Duration) -> Callout {
    call(cluster, "GET", format!("/GET/{}.bin", name(key)), Vec::new(), timeout)
}

/// Keeps an entry for this time.
pub fn set(cluster: &str, entry: &Entry, time: Duration) -> Callout {
    let path = format!("/SETEX/{}/{}", name(&entry.key), time.as_millis().div_ceil(1000).max(1));
    call(cluster, "PUT", path, entry.encode(), WRITE_TIMEOUT)
}

fn call(cluster: &str, method: &str, path: String, body: Vec<u8>, timeout: Duration) -> Callout {
    let headers = vec![(":method", method.to_owned()), (":path", path), (":authority", cluster.to_owned())];
    Callout { headers, body, cluster: cluster.to_owned(), timeout }
}
