//! The configuration of `router`: the upstreams and the models they serve.

use super::credential::{credential, Environment};
use super::reader::{parse, ConfigError, Node, Object};
use super::suggestion::suggestion;
use super::{cache, ejection, headers, kinds, limits, metering, paths, presets, price, retry};
use crate::endpoint::Dialect;
use crate::hash::stable;
use crate::health::Policy;
use crate::routing::{
    AnswerHeaders, Factory, Member, Model, ResponseModel, Retry, Strategy, Table, Target, Upstream, MAX_TARGETS,
    STRATEGIES,
};
use crate::uri::climbs;

/// The fields of `router`.
pub const ROUTER_FIELDS: &[&str] = &[
    "upstreams",
    "models",
    "paths",
    "max_upload",
    "retry",
    "ejection",
    "hold",
    "hold_json",
    "answer_headers",
    "response_model",
    "stored_responses",
    "cache_memory",
    "prompts",
    "builtin",
    "default_model",
    "validate",
];

/// The fields of an upstream.
pub const UPSTREAM_FIELDS: &[&str] = &[
    "cluster",
    "dialects",
    "host",
    "base_path",
    "query",
    "credential",
    "headers",
    "forward_headers",
    "include_usage",
    "translate",
    "responses_api",
    "strict_end",
    "prices",
    "usage",
    "ejection",
];

/// Reads upstreams and models into the routing table.
///
/// # Errors
/// The first mistake, with its path and the fix.
pub fn router(bytes: &[u8], environment: Environment<'_>) -> Result<Table, ConfigError> {
    let value = parse("router", bytes)?;
    let root = Node::root("router", &value).object(ROUTER_FIELDS)?;
    let retry = retry::read(root.get("retry"), &Retry::default())?;
    let (ejection, max_ejected_percent) = ejection::read_defaults(root.get("ejection"))?;
    let mut upstreams: Vec<Upstream> = Vec::new();
    for (name, node) in root.require("upstreams")?.entries()? {
        let upstream = upstream(name, &node, &ejection, environment)?;
        if let Some(twin) = upstreams.iter().find(|other| other.cluster == upstream.cluster) {
            let twin = &twin.name;
            return Err(node.error(format!(
                "its cluster {:?} also belongs to upstream {twin:?}; one cluster has one credential, so use one upstream",
                upstream.cluster
            )));
        }
        upstreams.push(upstream);
    }
    let list = root.require("models")?;
    let mut models = Vec::new();
    for node in list.list()? {
        models.push((model(&node, &upstreams, &retry)?, node));
    }
    let names: Vec<String> = models.iter().map(|(model, _)| model.name.clone()).collect();
    let mut table = Table::new(upstreams);
    table.max_ejected_percent = max_ejected_percent;
    if let Some(node) = root.get("hold_json") {
        table.hold_json = node.size(0..=MAX_HOLD_JSON, "must be a size from 0 to 64MiB, such as 4MiB")?;
    }
    if let Some(node) = root.get("answer_headers") {
        table.answer_headers = node.choice(&ANSWER_HEADERS)?;
    }
    if let Some(node) = root.get("hold") {
        table.hold = Some(node.object(&["max"])?.require("max")?.duration()?);
    }
    if let Some(node) = root.get("response_model") {
        table.response_model = node.choice(&RESPONSE_MODEL)?;
    }
    if let Some(node) = root.get("stored_responses") {
        let is_off = node.flag().is_ok_and(|flag| !flag);
        table.stored_responses = if is_off { None } else { Some(node.duration()?) };
    }
    if let Some(node) = root.get("cache_memory") {
        table.cache_memory = cache::memory(&node)?;
    }
    table.validate = presets::validate(root.get("validate"))?.unwrap_or_default();
    let caches = models.iter().map(|model| cache::read(model, &models, &root, table.upstreams(), environment));
    let caches = caches.collect::<Result<Vec<_>, _>>()?;
    for (index, ((mut model, node), cache)) in models.into_iter().zip(caches).enumerate() {
        model.cache = cache.map(Box::new);
        table.add(model).map_err(|name| {
            node.error(format!("{name:?} is already the name or an alias of an earlier model; names must differ"))
        })?;
        let (fallbacks, context_length) = fallbacks(&node, &names, index)?;
        table.set_fallbacks(index, fallbacks, context_length);
    }
    if table.models().is_empty() {
        return Err(list.error("no model at all; add one"));
    }
    kinds::check(&list, &table)?;
    if let Some(node) = root.get("default_model") {
        let names: Vec<&str> = table.models().iter().flat_map(Model::names).collect();
        table.default_model = Some(presets::default_model(&node, &names)?);
    }
    paths::read(&root, &mut table, &retry)?;
    Ok(table)
}

const ANSWER_HEADERS: [(&str, AnswerHeaders); 3] = [
    ("after_failure", AnswerHeaders::AfterFailure),
    ("always", AnswerHeaders::Always),
    ("never", AnswerHeaders::Never),
];

const RESPONSE_MODEL: [(&str, ResponseModel); 2] =
    [("target", ResponseModel::Target), ("requested", ResponseModel::Requested)];

/// The longest JSON answer that can be held; Envoy's buffers are limited as well.
const MAX_HOLD_JSON: usize = 64 << 20;

/// The fallbacks of the model at `index`, as indices.
fn fallbacks(node: &Node<'_>, names: &[String], index: usize) -> Result<(Vec<usize>, Option<usize>), ConfigError> {
    let fields = node.object(MODEL_FIELDS)?;
    let find = |node: &Node<'_>| {
        let name = node.text()?;
        match names.iter().position(|other| other == name) {
            Some(found) if found == index => Err(node.error("is the model itself; name another one")),
            Some(found) => Ok(found),
            None => {
                let known = suggestion(name, names.iter().map(String::as_str));
                Err(node.error(format!("no model {name:?}{known}")))
            }
        }
    };
    let fallbacks = match fields.get("fallbacks") {
        Some(node) => node.list()?.iter().map(find).collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    let context_length = fields.get("context_length_fallback").map(|node| find(&node)).transpose()?;
    Ok((fallbacks, context_length))
}

fn upstream(
    name: &str,
    node: &Node<'_>,
    ejection: &Policy,
    environment: Environment<'_>,
) -> Result<Upstream, ConfigError> {
    let fields = node.object(UPSTREAM_FIELDS)?;
    let cluster = match fields.get("cluster") {
        Some(node) => node.text()?,
        None => name,
    };
    let dialects = match fields.get("dialects") {
        Some(node) => dialects(&node)?,
        None => vec![Dialect::OpenAi],
    };
    let host = fields.get("host").map(|node| host(&node)).transpose()?;
    let stands_in_authority = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    if host.is_none() && !cluster.bytes().all(stands_in_authority) {
        return Err(node.error(format!("the server would be asked by its cluster's name, {cluster:?}; name a `host`")));
    }
    let base_path = fields.get("base_path").map(|node| base_path(&node)).transpose()?;
    let query = fields.get("query").map(|node| query(&node)).transpose()?;
    if let (Some(_), [_, second, ..]) = (&base_path, dialects.as_slice()) {
        let message = format!(
            "stands in place of one dialect's base path, but the upstream also speaks {:?}; make two upstreams of it",
            second.name()
        );
        return Err(fields.require("base_path")?.error(message));
    }
    let credential = fields.get("credential").map(|node| credential(&node, environment)).transpose()?;
    let headers = match fields.get("headers") {
        Some(node) => headers::own(&node)?,
        None => Vec::new(),
    };
    let forwarded = headers::forwarded(fields.get("forward_headers"))?;
    let unless_denied = |name| fields.get(name).map_or(Ok(true), |node| node.flag());
    Ok(Upstream {
        name: name.to_owned(),
        cluster: cluster.to_owned(),
        dialects,
        host,
        base_path,
        query,
        credential,
        headers,
        forwarded,
        include_usage: unless_denied("include_usage")?,
        translate: unless_denied("translate")?,
        responses_api: unless_denied("responses_api")?,
        strict_end: fields.get("strict_end").map(|node| node.flag()).transpose()?,
        prices: fields.get("prices").map(|node| price::list(&node)).transpose()?.unwrap_or_default(),
        usage: metering::read(fields.get("usage"))?,
        ejection: ejection::read(fields.get("ejection"), ejection)?,
        counts_in_flight: false,
    })
}

fn dialects(node: &Node<'_>) -> Result<Vec<Dialect>, ConfigError> {
    let choices = Dialect::ALL.map(|dialect| (dialect.name(), dialect));
    let dialects = node.list()?.iter().map(|node| node.choice(&choices)).collect::<Result<Vec<_>, _>>()?;
    if dialects.is_empty() {
        return Err(node.error("names no dialect; leave it out for openai alone"));
    }
    Ok(dialects)
}

fn base_path(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = headers::header_value(node)?;
    let path = text.strip_suffix('/').unwrap_or(&text);
    if !path.is_empty() && !path.starts_with('/') || path.contains('?') {
        return Err(node.error("must start with \"/\" and have no query (there is `query` for that)"));
    }
    Ok(path.to_owned())
}

fn query(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = headers::header_value(node)?;
    if text.starts_with(['?', '&']) {
        return Err(node.error("write it without the leading \"?\""));
    }
    Ok(text)
}

fn host(node: &Node<'_>) -> Result<String, ConfigError> {
    let host = headers::header_value(node)?;
    match host.contains('/') {
        true => {
            Err(node
                .error("must be a host name such as api.openai.com; a path before /chat/completions is `base_path`"))
        }
        false => Ok(host),
    }
}

/// The fields of a model.
pub const MODEL_FIELDS: &[&str] = &[
    "name",
    "aliases",
    "targets",
    "strategy",
    "retry",
    "fallbacks",
    "context_length_fallback",
    "max_output_tokens",
    "limits",
    "price",
    "cache",
    "defaults",
    "overrides",
    "validate",
    "choose",
];

fn model(node: &Node<'_>, upstreams: &[Upstream], retry: &Retry) -> Result<Model, ConfigError> {
    let choose = node.any_object()?.get("choose");
    let fields = node.object(if choose.is_some() { kinds::VIRTUAL_FIELDS } else { MODEL_FIELDS })?;
    let name = model_name(&fields.require("name")?)?;
    let aliases = match fields.get("aliases") {
        Some(node) => node.list()?.iter().map(model_name).collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    let factory = factory(&fields)?;
    let mut targets = Vec::new();
    let mut members = Vec::new();
    if choose.is_none() {
        let list = fields.require("targets")?;
        for node in list.list()? {
            let (target, member) = target(&node, upstreams, factory)?;
            targets.push(target);
            members.push(member);
        }
        if targets.is_empty() || targets.len() > MAX_TARGETS {
            return Err(list.error(format!("a model has 1 to {MAX_TARGETS} targets, this one {}", targets.len())));
        }
    }
    let strategy = build(&fields, factory, &members)?;
    let retry = retry::read(fields.get("retry"), retry)?;
    let mut model = Model::new(name, aliases, targets, strategy, retry, upstreams);
    model.limits = limits::read(fields.get("limits"))?;
    if let Some(node) = fields.get("max_output_tokens") {
        model.max_output_tokens = node.integer(1, 1_000_000)?.into();
    }
    model.price = fields.get("price").map(|node| price::read(&node)).transpose()?;
    model.presets = presets::read(&fields)?.map(Box::new);
    model.validate = presets::validate(fields.get("validate"))?;
    model.choose = choose.map(|node| kinds::read(&node, upstreams).map(Box::new)).transpose()?;
    Ok(model)
}

/// The strategy a model names: `strategy: random`, or `strategy: {name: affinity, by: key}`.
fn factory(model: &Object<'_>) -> Result<&'static Factory, ConfigError> {
    let choices: Vec<(&str, &Factory)> = STRATEGIES.iter().map(|factory| (factory.name, factory)).collect();
    let Some(node) = model.get("strategy") else {
        return STRATEGIES.first().ok_or_else(|| model.error("there is no strategy"));
    };
    match node.is_text() {
        true => node.choice(&choices),
        false => node.any_object()?.require("name")?.choice(&choices),
    }
}

fn build(model: &Object<'_>, factory: &Factory, members: &[Member]) -> Result<Box<dyn Strategy>, ConfigError> {
    let node = model.get("strategy").filter(|node| !node.is_text());
    let options = match &node {
        Some(node) => {
            let known: Vec<&str> = std::iter::once("name").chain(factory.options.iter().copied()).collect();
            node.object(&known)?
        }
        None => Object::empty("strategy"),
    };
    (factory.build)(&options, members)
}

fn model_name(node: &Node<'_>) -> Result<String, ConfigError> {
    let name = node.text()?;
    if name.len() > crate::parsed_request::MAX_MODEL_NAME || name.chars().any(char::is_control) {
        return Err(node.error("is too long for a model's name, or has control characters"));
    }
    if climbs(name) {
        return Err(node.error("must not have \"..\" in it: it may stand in a path"));
    }
    match name.find('*') {
        Some(at) if at + 1 < name.len() => Err(node.error("a \"*\" can only stand at the end")),
        _ => Ok(name.to_owned()),
    }
}

fn target(node: &Node<'_>, upstreams: &[Upstream], factory: &Factory) -> Result<(Target, Member), ConfigError> {
    let known: Vec<&str> = ["upstream", "model", "price"].iter().chain(factory.target_fields).copied().collect();
    // a plain name is an upstream's
    let (fields, reference) = match node.is_text() {
        true => (Object::empty("target"), node.clone()),
        false => {
            let fields = node.object(&known)?;
            let reference = fields.require("upstream")?;
            (fields, reference)
        }
    };
    let name = reference.text()?;
    let upstream = upstreams.iter().position(|upstream| upstream.name == name).ok_or_else(|| {
        let names = upstreams.iter().map(|upstream| upstream.name.as_str());
        reference.error(format!("no upstream {name:?}{}", suggestion(name, names)))
    })?;
    let model = fields.get("model").map(|node| target_model(&node)).transpose()?;
    let number = |name: &str, default, min, max| match fields.get(name) {
        Some(node) => node.integer(min, max),
        None => Ok(default),
    };
    let identity = stable(format!("{name}\0{}", model.as_deref().unwrap_or_default()).as_bytes());
    let member = Member {
        weight: number("weight", 1, 1, 1_000_000)?,
        tier: number("tier", 0, 0, 1_000_000)?,
        slots: number("slots", 1, 1, 1_000_000)?,
        identity,
    };
    let price = fields.get("price").map(|node| price::read(&node)).transpose()?;
    Ok((Target { upstream, model, price }, member))
}

fn target_model(node: &Node<'_>) -> Result<String, ConfigError> {
    let name = model_name(node)?;
    if name.ends_with('*') {
        return Err(node.error("must be one model's name; leave it out to pass on the one the client named"));
    }
    Ok(name)
}
