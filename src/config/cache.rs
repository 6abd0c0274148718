//! The configuration of a model's cache.

use std::time::Duration;

use super::reader::{ConfigError, Node, Object};
use crate::cache::{config_digest, CachePolicy, Scope, Store, MAX_ENTRY};
use crate::routing::{Model, Upstream};

/// The fields of a model's `cache`.
pub const CACHE_FIELDS: &[&str] = &["time", "scope", "max_entry", "always", "tools", "wait", "store"];
/// The fields of `store: {redis: ...}`.
pub const REDIS_FIELDS: &[&str] = &["cluster", "timeout"];

const SCOPES: [(&str, Scope); 2] = [("key", Scope::Key), ("all", Scope::All)];

/// The default of `time`.
const TIME: Duration = Duration::from_secs(10 * 60);
/// The default of `max_entry`, in bytes.
const ENTRY: usize = 64 << 10;
/// The default of `wait`.
const WAIT: Duration = Duration::from_secs(30);
/// The default of `store.redis.timeout`.
const TIMEOUT: Duration = Duration::from_millis(100);

/// Reads the cache of the model at `node`; `None` if it has none. `root` is the configuration of the router.
pub(super) fn read(
    node: &Node<'_>,
    root: &Object<'_>,
    model: &Model,
    upstreams: &[Upstream],
) -> Result<Option<CachePolicy>, ConfigError> {
    let fields = node.any_object()?;
    let Some(cache) = fields.get("cache") else {
        return Ok(None);
    };
    let fields = cache.object(CACHE_FIELDS)?;
    let duration = |name, default| fields.get(name).map_or(Ok(default), |node| node.duration());
    let flag = |name| fields.get(name).map_or(Ok(false), |node| node.flag());
    Ok(Some(CachePolicy {
        time: duration("time", TIME)?,
        scope: fields.get("scope").map_or(Ok(Scope::Key), |node| node.choice(&SCOPES))?,
        max_entry: fields
            .get("max_entry")
            .map_or(Ok(ENTRY), |node| node.size(1024..=MAX_ENTRY, "must be a size from 1KiB to 1MiB, such as 64KiB"))?,
        always: flag("always")?,
        tools: flag("tools")?,
        wait: match fields.get("wait") {
            Some(node) if node.flag().is_ok_and(|flag| !flag) => Duration::ZERO,
            Some(node) => node.duration()?,
            None => WAIT,
        },
        store: fields.get("store").map_or(Ok(Store::Memory), |node| store(&node))?,
        digest: digest(node, root, model, upstreams)?,
    }))
}

fn store(node: &Node<'_>) -> Result<Store, ConfigError> {
    if node.is_text() {
        return match node.text()? {
            "memory" => Ok(Store::Memory),
            _ => Err(node.error("must be memory, or {redis: {cluster: webdis}}")),
        };
    }
    let redis = node.object(&["redis"])?.require("redis")?.object(REDIS_FIELDS)?;
    let timeout = redis.get("timeout").map_or(Ok(TIMEOUT), |node| node.duration())?;
    Ok(Store::Redis { cluster: redis.require("cluster")?.text()?.to_owned(), timeout })
}

/// A digest of what the operator has written about the model and its targets' upstreams. (It has no secret: those are in
/// variables, of which the configuration has only the names.)
fn digest(node: &Node<'_>, root: &Object<'_>, model: &Model, upstreams: &[Upstream]) -> Result<[u8; 16], ConfigError> {
    let mut parts = vec![node.to_json()];
    parts.extend(root.get("response_model").map(|node| node.to_json()));
    for (name, node) in root.require("upstreams")?.entries()? {
        let is_used = |upstream: &Upstream| upstream.name == name;
        if model.targets.iter().any(|target| upstreams.get(target.upstream).is_some_and(is_used)) {
            parts.push(name.as_bytes().to_vec());
            parts.push(node.to_json());
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(config_digest(&parts))
}

/// The memory of all entries, in bytes.
pub(super) fn memory(node: &Node<'_>) -> Result<usize, ConfigError> {
    node.size(1 << 20..=4 << 30, "must be a size from 1MiB to 4GiB, such as 64MiB")
}
