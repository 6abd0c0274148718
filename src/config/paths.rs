//! The configuration of further paths: `router.paths`.

use super::prompts;
use super::reader::{ConfigError, Node, Object};
use super::suggestion::suggestion;
use crate::endpoint::{classify, RequestTarget};
use crate::gateway::DEFAULT_PREFIX;
use crate::parsed_request::MAX_MODEL_NAME;
use crate::routing::{is_unambiguous, Member, Model, PathRule, Paths, Retry, Table, Target, Upstream, STRATEGIES};

/// The fields of a path.
pub const PATH_FIELDS: &[&str] = &["path", "upstream", "guard"];

/// What happens to requests that the guard cannot check, by `guard` of a path.
const GUARD: [(&str, bool); 2] = [("refuse", false), ("skip", true)];

/// The methods by which a path may be the gateway's own.
const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];

/// Reads into the table the paths, and what else the filters before the router need to know. Call it after the models are
/// added.
///
/// # Errors
/// The first mistake, with its path and the fix.
pub(super) fn read(root: &Object<'_>, table: &mut Table, retry: &Retry) -> Result<(), ConfigError> {
    let node = root.get("paths");
    let mut paths = Paths::with(prompts::read(root, table)?);
    if let Some(node) = root.get("max_upload") {
        paths.max_upload = node.size(1 << 10..=1 << 30, "must be a size from 1KiB to 1GiB, such as 25MiB")?;
    }
    for node in node.map_or(Ok(Vec::new()), |node| node.list())? {
        let fields = node.object(PATH_FIELDS)?;
        let pattern = pattern(&fields.require("path")?)?;
        let upstream = upstream(&fields.require("upstream")?, table.upstreams())?;
        let dialects = table.upstreams().get(upstream).map(|upstream| upstream.dialects.clone()).unwrap_or_default();
        let skips_guard = fields.get("guard").map_or(Ok(false), |node| node.choice(&GUARD))?;
        let rule = PathRule { pattern, dialects, skips_guard };
        let model = model(&rule, upstream, table.upstreams(), retry)?;
        paths.add(rule).map_err(|twin| {
            node.error(format!("{:?} is already an earlier entry's path; one path goes to one upstream", twin.pattern))
        })?;
        table.add_path(model);
    }
    table.set_paths(paths);
    Ok(())
}

fn pattern(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    let path = text.strip_suffix('*').unwrap_or(text);
    if !path.starts_with('/') {
        return Err(node.error("must start with \"/\", such as /v1/files or /v1/files*"));
    }
    if path.contains(['?', '*']) {
        return Err(node.error("must be a path without a query; a \"*\" can only stand at the end"));
    }
    if path.len() > MAX_MODEL_NAME || !is_unambiguous(path) {
        return Err(
            node.error("some servers would read it as another path; write it without \"..\", \"//\" and escapes")
        );
    }
    let is_own = |method: &&str| classify(method, path, DEFAULT_PREFIX) != RequestTarget::Unknown;
    // only its WebSocket, where no body names a model
    let is_socket = text == "/v1/responses";
    if !is_socket && METHODS.iter().any(is_own) {
        let fix = match text.ends_with('*') {
            true => format!("for the paths below it, write \"{path}/*\""),
            false => "remove it; a model's targets decide where its requests go".to_owned(),
        };
        return Err(node.error(format!("{path} is served by the gateway itself; {fix}")));
    }
    Ok(text.to_owned())
}

fn upstream(node: &Node<'_>, upstreams: &[Upstream]) -> Result<usize, ConfigError> {
    let name = node.text()?;
    upstreams.iter().position(|upstream| upstream.name == name).ok_or_else(|| {
        let names = upstreams.iter().map(|upstream| upstream.name.as_str());
        node.error(format!("no upstream {name:?}{}", suggestion(name, names)))
    })
}

/// The path as a model with one target, so that it is routed, counted and judged like one. With one target nothing is
/// retried.
fn model(rule: &PathRule, upstream: usize, upstreams: &[Upstream], retry: &Retry) -> Result<Model, ConfigError> {
    let options = Object::empty("strategy");
    let factory = STRATEGIES.first().ok_or_else(|| options.error("there is no strategy"))?;
    let strategy = (factory.build)(&options, &[Member { weight: 1, tier: 0, slots: 1, identity: 0 }])?;
    let name = rule.name().to_owned();
    let target = Target { upstream, model: Some(name.clone()), price: None };
    // an upload may take longer than an answer may take to begin
    let retry = Retry { deadline: None, budget: None, ..retry.clone() };
    Ok(Model::new(name, Vec::new(), vec![target], strategy, retry, upstreams))
}
