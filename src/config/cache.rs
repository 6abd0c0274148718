//! The configuration of a model's cache.

use std::time::Duration;

use super::credential::Environment;
use super::reader::{ConfigError, Node, Object};
use super::semantic;
use crate::cache::{config_digest, CachePolicy, Scope, Store, MAX_ENTRY};
use crate::routing::{Model, Upstream};

/// The fields of a model's `cache`.
pub const CACHE_FIELDS: &[&str] = &["time", "scope", "max_entry", "always", "tools", "wait", "store", "semantic"];
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

/// Reads the cache of the model at `node`; `None` if it has none. `root` is the configuration of the router, with all
/// `models`.
pub(super) fn read(
    (model, node): &(Model, Node<'_>),
    models: &[(Model, Node<'_>)],
    root: &Object<'_>,
    upstreams: &[Upstream],
    environment: Environment<'_>,
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
        semantic: fields.get("semantic").map(|node| semantic::read(&node, environment)).transpose()?.map(Box::new),
        digest: digest((model, node), models, root, upstreams)?,
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

/// A digest of what the operator has written about the model, its fallbacks, and the upstreams of their targets. (It has no
/// secret: those are in variables, of which the configuration has only the names.)
fn digest(
    (model, node): (&Model, &Node<'_>),
    models: &[(Model, Node<'_>)],
    root: &Object<'_>,
    upstreams: &[Upstream],
) -> Result<[u8; 16], ConfigError> {
    let fields = node.any_object()?;
    let mut names = fields.get("fallbacks").map_or(Ok(Vec::new()), |node| node.texts())?;
    names.extend(fields.get("context_length_fallback").map(|node| node.text()).transpose()?.map(str::to_owned));
    let others = models.iter().filter(|(other, _)| names.contains(&other.name)).map(|(other, node)| (other, node));
    let (mut parts, mut used) = (Vec::new(), Vec::new());
    for (model, node) in std::iter::once((model, node)).chain(others) {
        parts.push(node.to_json());
        used.extend(model.targets.iter().map(|target| target.upstream));
    }
    parts.extend(root.get("response_model").map(|node| node.to_json()));
    for (name, node) in root.require("upstreams")?.entries()? {
        let is_used = |upstream: &usize| upstreams.get(*upstream).is_some_and(|upstream| upstream.name == name);
        if used.iter().any(is_used) {
            parts.push(name.as_bytes().to_vec());
            parts.push(node.to_json());
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(config_digest(&parts))
}

/// The memory of all entries, in bytes.
pub(super) fn memory(node: &Node<'_>) -> Result<usize, ConfigError> {
    node.size(1 << 20..=3 << 30, "must be a size from 1MiB to 3GiB, such as 64MiB")
}
