//! The configuration of `guard`: the checks, their scope and their actions.

mod classification;

use std::ops::RangeInclusive;
use std::time::Duration;

use super::credential::Environment;
use super::reader::{parse, ConfigError, Node, Object};
use super::service;
use super::suggestion::suggestion;
use crate::guard::api::{Api, Moderations, Presidio, Thresholds};
use crate::guard::checks::{
    Action, Backend, CacheLimits, Check, CheckPhase, Custom, Guard, LocalPatterns, OnFailure, StreamMode, StreamPolicy,
    Unrewritable,
};
use crate::guard::pii::Entity;
use crate::guard::Speaker;
use crate::pattern::Patterns;

/// What a check's `api` names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ApiKind {
    Moderations,
    Presidio,
    ChatClassifier,
    TextClassification,
    GenericGuardrail,
    Patterns,
}

const KINDS: [(&str, ApiKind); 6] = [
    ("openai_moderations", ApiKind::Moderations),
    ("presidio", ApiKind::Presidio),
    ("chat_classifier", ApiKind::ChatClassifier),
    ("text_classification", ApiKind::TextClassification),
    ("generic_guardrail_api", ApiKind::GenericGuardrail),
    ("patterns", ApiKind::Patterns),
];
const PHASES: [(&str, CheckPhase); 2] = [("request", CheckPhase::Request), ("response", CheckPhase::Response)];
const SPEAKERS: [(&str, Speaker); 4] =
    [("system", Speaker::System), ("user", Speaker::User), ("assistant", Speaker::Assistant), ("tool", Speaker::Tool)];
const ACTIONS: [(&str, Action); 4] =
    [("block", Action::Block), ("mask", Action::Mask), ("restore", Action::Restore), ("flag", Action::Flag)];
const UNREWRITABLE: [(&str, Unrewritable); 2] = [("allow", Unrewritable::Allow), ("block", Unrewritable::Block)];
const ON_FAILURE: [(&str, OnFailure); 2] = [("allow", OnFailure::Allow), ("deny", OnFailure::Deny)];

/// The common fields of all checks.
const COMMON: [&str; 10] =
    ["name", "api", "phase", "roles", "models", "keys", "on_failure", "action", "unrewritable", "dry_run"];
/// The default of a service's `timeout`.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The longest name of a check or an entity.
const MAX_NAME: usize = 64;
/// The parameters of a service for the generic guardrail API, as LiteLLM names them, and how long they may be as JSON.
const PARAMS: &str = "additional_provider_specific_params";
const MAX_PARAMS: usize = 4096;
/// The longest regular expression.
const MAX_REGEX: usize = 1000;
/// The limits of one check's text, in bytes.
const MAX_TEXT: RangeInclusive<usize> = 1 << 10..=16 << 20;

/// The fields of `guard.stream`.
const STREAM_FIELDS: &[&str] = &["mode", "characters", "time", "overlap"];

/// The fields of `guard`.
pub const GUARD_FIELDS: &[&str] = &["checks", "stream", "cache", "max_in_flight", "max_text"];

/// Reads the checks.
///
/// # Errors
/// The first mistake, with its path.
pub fn guard(bytes: &[u8], environment: Environment<'_>) -> Result<Guard, ConfigError> {
    let value = parse("guard", bytes)?;
    let root = Node::root("guard", &value).object(GUARD_FIELDS)?;
    let Guard { max_in_flight, max_text, .. } = Guard::default();
    let mut checks: Vec<Check> = Vec::new();
    let stream = root.get("stream").map_or(Ok(StreamPolicy::default()), |node| stream(&node))?;
    for node in root.get("checks").map_or(Ok(Vec::new()), |node| node.list())? {
        let check = check(&node, environment)?;
        if checks.iter().any(|other| other.name == check.name) {
            return Err(node.error(format!("a second check {:?}; names tell checks apart in stats", check.name)));
        }
        fits_streams(&node, &check, &stream)?;
        checks.push(check);
    }
    Ok(Guard {
        checks,
        stream,
        cache: root.get("cache").map_or(Ok(CacheLimits::default()), |node| cache_limits(&node))?,
        max_in_flight: number(&root, "max_in_flight", max_in_flight, 1, 10_000)?,
        max_text: root
            .get("max_text")
            .map_or(Ok(max_text), |node| node.size(MAX_TEXT, "must be a size from 1KiB to 16MiB, such as 256KiB"))?,
    })
}

fn check(node: &Node<'_>, environment: Environment<'_>) -> Result<Check, ConfigError> {
    let kind = node.any_object()?.require("api")?.choice(&KINDS)?;
    let own: &[&str] = match kind {
        ApiKind::Moderations => &["model", "thresholds"],
        ApiKind::Presidio => &["language", "entities", "score_threshold"],
        ApiKind::ChatClassifier => &["model"],
        ApiKind::TextClassification => classification::FIELDS,
        ApiKind::GenericGuardrail => &[PARAMS],
        ApiKind::Patterns => &["entities", "custom"],
    };
    let of_service: &[&str] = if kind == ApiKind::Patterns { &[] } else { service::FIELDS };
    let fields = node.object(&[&COMMON, of_service, own].concat())?;
    let name = check_name(&fields.require("name")?)?;
    let backend = match kind {
        ApiKind::Moderations => {
            let model = fields.get("model").map(|node| node.text().map(str::to_owned)).transpose()?;
            let thresholds = fields.get("thresholds").map_or(Ok(Thresholds::Service), |node| thresholds(&node))?;
            by_service(&fields, Api::Moderations(Moderations { model, thresholds }), environment)?
        }
        ApiKind::Presidio => by_service(&fields, Api::Presidio(presidio(&fields)?), environment)?,
        ApiKind::ChatClassifier => {
            let model = fields.require("model")?.text()?.to_owned();
            by_service(&fields, Api::ChatClassifier(model), environment)?
        }
        ApiKind::TextClassification => {
            by_service(&fields, Api::TextClassification(classification::read(&fields)?), environment)?
        }
        ApiKind::GenericGuardrail => by_service(&fields, Api::GenericGuardrail(params(&fields)?), environment)?,
        ApiKind::Patterns => Backend::Patterns(local(&fields)?),
    };
    let phases = phases(&fields)?;
    Ok(Check {
        name,
        backend,
        speakers: speakers(&fields, &phases)?,
        models: fields.get("models").map_or(Ok(Patterns::any()), |node| patterns(&node))?,
        keys: fields.get("keys").map_or(Ok(Patterns::any()), |node| patterns(&node))?,
        on_failure: on_failure(&fields, kind)?,
        action: action(&fields, kind, &phases)?,
        unrewritable: unrewritable(&fields, &phases)?,
        dry_run: fields.get("dry_run").map_or(Ok(false), |node| node.flag())?,
        phases,
    })
}

/// A name that is valid in stats, in a header and in a message.
pub(super) fn check_name(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if text.len() > MAX_NAME || !text.bytes().all(plain) {
        return Err(node.error(format!("must be 1 to {MAX_NAME} letters, digits, `_`, `-` and `.`")));
    }
    Ok(text.to_owned())
}

fn by_service(fields: &Object<'_>, api: Api, environment: Environment<'_>) -> Result<Backend, ConfigError> {
    let service = service::read(fields, api.path(), TIMEOUT, environment)?;
    Ok(Backend::Service(api, service))
}

/// What a service for the generic guardrail API gets with every call, as JSON.
fn params(fields: &Object<'_>) -> Result<Option<String>, ConfigError> {
    let Some(node) = fields.get(PARAMS) else {
        return Ok(None);
    };
    node.any_object()?;
    let params = String::from_utf8_lossy(&node.to_json()).into_owned();
    match params.len() > MAX_PARAMS {
        true => Err(node.error(format!("must be at most {MAX_PARAMS} bytes: each call has them"))),
        false => Ok(Some(params)),
    }
}

/// One threshold for every category, or one for each.
fn thresholds(node: &Node<'_>) -> Result<Thresholds, ConfigError> {
    if !node.is_object() {
        return node.share().map(Thresholds::All);
    }
    let each = node.entries()?.into_iter().map(|(name, node)| node.share().map(|share| (name.to_owned(), share)));
    let each = each.collect::<Result<Vec<_>, _>>()?;
    if each.is_empty() {
        return Err(node.error("names no category, so that nothing is found; leave it out for the service's own"));
    }
    Ok(Thresholds::Each(each))
}

fn presidio(fields: &Object<'_>) -> Result<Presidio, ConfigError> {
    let default = Presidio::default();
    Ok(Presidio {
        language: fields.get("language").map_or(Ok(default.language), |node| node.text().map(str::to_owned))?,
        entities: entities(fields)?,
        score_threshold: fields.get("score_threshold").map(|node| node.share()).transpose()?,
    })
}

fn local(fields: &Object<'_>) -> Result<LocalPatterns, ConfigError> {
    let mut custom: Vec<Custom> = Vec::new();
    for node in fields.get("custom").map_or(Ok(Vec::new()), |node| node.list())? {
        let fields = node.object(&["name", "regex"])?;
        let name = entity(&fields.require("name")?)?;
        if custom.iter().any(|other| other.name == name) {
            return Err(node.error(format!("a second pattern {name:?}; join both with `|`")));
        }
        let regex = fields.require("regex")?;
        if regex.text()?.len() > MAX_REGEX {
            return Err(regex.error(format!("must be at most {MAX_REGEX} bytes")));
        }
        custom.push(Custom { name, regex: regex.text()?.to_owned() });
    }
    let local = LocalPatterns { entities: entities(fields)?, custom };
    if let Some(unknown) = local.entities.iter().find(|name| Entity::from_name(name).is_none()) {
        let known = Entity::ALL.iter().map(|entity| entity.name());
        return Err(fields.error(format!("entities: no pattern finds {unknown:?}{}", suggestion(unknown, known))));
    }
    local.compile().map_err(|problem| fields.error(problem.to_string()))?;
    Ok(local)
}

fn entities(fields: &Object<'_>) -> Result<Vec<String>, ConfigError> {
    let Some(node) = fields.get("entities") else {
        return Ok(Vec::new());
    };
    let entities = node.list()?.iter().map(entity).collect::<Result<Vec<_>, _>>()?;
    if entities.is_empty() {
        return Err(node.error("names no entity; leave it out for all"));
    }
    Ok(entities)
}

fn entity(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if text.len() > MAX_NAME || !text.bytes().all(plain) || !text.starts_with(|c: char| c.is_ascii_uppercase()) {
        return Err(node.error(format!("{text:?} is not an entity's name; write it like EMAIL_ADDRESS")));
    }
    Ok(text.to_owned())
}

fn phases(fields: &Object<'_>) -> Result<Vec<CheckPhase>, ConfigError> {
    let Some(node) = fields.get("phase") else {
        return Err(fields.error("`phase` is missing; write [request], [response], or [request, response]"));
    };
    let phases = node.list()?.iter().map(|node| node.choice(&PHASES)).collect::<Result<Vec<_>, _>>()?;
    if phases.is_empty() {
        return Err(node.error("names no phase, so that nothing is checked; write [request], [response] or both"));
    }
    Ok(phases)
}

fn speakers(fields: &Object<'_>, phases: &[CheckPhase]) -> Result<Option<Vec<Speaker>>, ConfigError> {
    let Some(node) = fields.get("roles") else {
        return Ok(None);
    };
    let speakers = node.list()?.iter().map(|node| node.choice(&SPEAKERS)).collect::<Result<Vec<_>, _>>()?;
    if speakers.is_empty() {
        return Err(node.error("names no role, so that nothing is checked; leave it out for the usual ones"));
    }
    if phases.contains(&CheckPhase::Response) && !speakers.contains(&Speaker::Assistant) {
        return Err(node.error("a response is the assistant's; add \"assistant\", or take \"response\" out of `phase`"));
    }
    Ok(Some(speakers))
}

/// Names, and prefixes of names that end in `*`.
fn patterns(node: &Node<'_>) -> Result<Patterns, ConfigError> {
    let list = node.list()?;
    for node in &list {
        let text = node.text()?;
        if text.find('*').is_some_and(|at| at + 1 < text.len()) {
            return Err(node.error("a \"*\" can only stand at the end"));
        }
    }
    if list.is_empty() {
        return Err(node.error("names nothing, so that nothing is checked; leave it out for all"));
    }
    node.texts().map(Patterns::new)
}

/// Patterns only fail if they get too much text.
fn on_failure(fields: &Object<'_>, kind: ApiKind) -> Result<OnFailure, ConfigError> {
    match fields.get("on_failure") {
        Some(node) => node.choice(&ON_FAILURE),
        None if kind == ApiKind::Patterns => Ok(OnFailure::Deny),
        None => Err(fields.error(
            "`on_failure` is missing; write deny (nothing passes unchecked) or allow (everything passes when the \
             service fails)",
        )),
    }
}

fn action(fields: &Object<'_>, kind: ApiKind, phases: &[CheckPhase]) -> Result<Action, ConfigError> {
    let Some(node) = fields.get("action") else {
        return Err(fields.error("`action` is missing; write block, flag, or for personal data mask or restore"));
    };
    let action = node.choice(&ACTIONS)?;
    let rewrites = matches!(action, Action::Mask | Action::Restore);
    if rewrites && matches!(kind, ApiKind::Moderations | ApiKind::ChatClassifier | ApiKind::TextClassification) {
        return Err(node.error("this api does not say where in a text it found something; use block or flag"));
    }
    if action == Action::Restore && kind == ApiKind::GenericGuardrail {
        return Err(node.error("the service chooses what it writes, which cannot be restored; use mask, block or flag"));
    }
    if action == Action::Restore && !phases.contains(&CheckPhase::Request) {
        return Err(node.error("what is to be restored must be found in the request; add it to `phase`, or use mask"));
    }
    Ok(action)
}

/// The policy for findings in signed content, which may not be rewritten.
fn unrewritable(fields: &Object<'_>, phases: &[CheckPhase]) -> Result<Option<Unrewritable>, ConfigError> {
    let Some(node) = fields.get("unrewritable") else {
        return Ok(None);
    };
    let action = fields.require("action")?.choice(&ACTIONS)?;
    if !matches!(action, Action::Mask | Action::Restore) || !phases.contains(&CheckPhase::Request) {
        return Err(node.error("belongs to the actions mask and restore of requests; leave it out"));
    }
    node.choice(&UNREWRITABLE).map(Some)
}

fn stream(node: &Node<'_>) -> Result<StreamPolicy, ConfigError> {
    let fields = node.object(STREAM_FIELDS)?;
    let default = StreamPolicy::default();
    let modes = [("window", StreamMode::Window), ("final", StreamMode::Final)];
    let mode = fields.get("mode").map_or(Ok(default.mode), |node| node.choice(&modes))?;
    if mode == StreamMode::Final {
        if let Some(node) = fields.get("characters").or(fields.get("time")).or(fields.get("overlap")) {
            return Err(node.error("belongs to the mode \"window\"; \"final\" checks a stream at its end"));
        }
    }
    let time = fields.get("time").map_or(Ok(default.time), |node| node.duration())?;
    if time > service::MAX_TIMEOUT {
        return Err(fields.require("time")?.error("must be 30s or less: a client waits for it"));
    }
    let characters = number(&fields, "characters", default.characters, 1, 100_000)?;
    let overlap = number(&fields, "overlap", default.overlap, 0, 100_000)?;
    Ok(StreamPolicy { mode, characters, time, overlap })
}

/// At the end of a stream that has passed, blocking and rewriting are no longer possible.
fn fits_streams(node: &Node<'_>, check: &Check, stream: &StreamPolicy) -> Result<(), ConfigError> {
    let late = stream.mode == StreamMode::Final && check.phases.contains(&CheckPhase::Response);
    match check.action {
        Action::Block | Action::Mask | Action::Restore if late => Err(node.any_object()?.require("action")?.error(
            "cannot be done at the end of a stream (`guard.stream.mode` is \"final\"); use flag, or the mode window",
        )),
        Action::Block | Action::Mask | Action::Restore | Action::Flag => Ok(()),
    }
}

fn cache_limits(node: &Node<'_>) -> Result<CacheLimits, ConfigError> {
    let fields = node.object(&["time", "entries"])?;
    let default = CacheLimits::default();
    Ok(CacheLimits {
        time: fields.get("time").map_or(Ok(default.time), |node| node.duration())?,
        entries: number(&fields, "entries", default.entries, 0, 100_000)?,
    })
}

fn number(fields: &Object<'_>, name: &str, default: usize, min: u32, max: u32) -> Result<usize, ConfigError> {
    fields.get(name).map_or(Ok(default), |node| node.integer(min, max).map(|number| number as usize))
}
