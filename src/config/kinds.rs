//! The configuration of virtual models: the kinds of prompts, and how they are told apart.

use std::time::Duration;

use super::guard::check_name;
use super::reader::{ConfigError, Node, Object};
use super::suggestion::suggestion;
use crate::cache::config_digest;
use crate::endpoint::Dialect;
use crate::kinds::{By, Choose, Kind, Regex, Rule, Service, LANGUAGES, MAX_BY_EMBEDDING, MAX_EXAMPLES, MAX_KINDS};
use crate::routing::{Table, Upstream};

/// The fields of a virtual model.
pub const VIRTUAL_FIELDS: &[&str] = &["name", "aliases", "choose", "defaults", "overrides", "validate"];
/// The fields of `choose`.
pub const CHOOSE_FIELDS: &[&str] =
    &["by", "kinds", "otherwise", "upstream", "model", "threshold", "timeout", "cache", "keep"];
/// The fields of a kind.
pub const KIND_FIELDS: &[&str] = &["name", "model", "description", "examples", "match"];
/// The fields of a rule.
pub const RULE_FIELDS: &[&str] = &["regex", "language", "min_length", "max_length", "images", "tools"];

/// The default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest, because a client waits for it.
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
/// The default of `keep`.
const KEEP: Duration = Duration::from_secs(60 * 60);
/// The defaults of `cache`.
const CACHE: (usize, Duration) = (1000, Duration::from_secs(10 * 60));
/// The default of `threshold`, for all-MiniLM-L6-v2: docs/kinds.md has what was measured.
const THRESHOLD: f64 = 0.15;
/// The longest description or example, in bytes.
const MAX_TEXT: usize = 1000;
/// The most regular expressions of one model.
const MAX_REGEXES: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Rules,
    Llm,
    Embedding,
}

/// Reads `choose`.
pub(super) fn read(node: &Node<'_>, upstreams: &[Upstream]) -> Result<Choose, ConfigError> {
    let fields = node.object(CHOOSE_FIELDS)?;
    let way =
        fields.require("by")?.choice(&[("rules", Way::Rules), ("llm", Way::Llm), ("embedding", Way::Embedding)])?;
    let list = fields.require("kinds")?;
    let mut kinds: Vec<Kind> = Vec::new();
    for node in list.list()? {
        let kind = kind(&node, way)?;
        if kinds.iter().any(|other| other.name.eq_ignore_ascii_case(&kind.name)) {
            return Err(node.error(format!("a second kind {:?}; names tell kinds apart", kind.name)));
        }
        kinds.push(kind);
    }
    if kinds.is_empty() || kinds.len() > MAX_KINDS {
        return Err(list.error(format!("a model has 1 to {MAX_KINDS} kinds, this one {}", kinds.len())));
    }
    let regexes = kinds.iter().flat_map(|kind| &kind.rules).filter(|rule| rule.regex.is_some()).count();
    if regexes > MAX_REGEXES {
        return Err(list.error(format!("at most {MAX_REGEXES} regular expressions; join some with `|`")));
    }
    if kinds.iter().map(|kind| kind.examples.len()).sum::<usize>() > MAX_EXAMPLES {
        return Err(list.error(format!("at most {MAX_EXAMPLES} examples of all kinds together")));
    }
    let timeout = fields.get("timeout").map_or(Ok(TIMEOUT), |node| node.duration())?;
    if timeout > MAX_TIMEOUT {
        return Err(fields.require("timeout")?.error("must be 30s or less: a client waits for it"));
    }
    Ok(Choose {
        by: by(&fields, way, upstreams)?,
        kinds,
        otherwise: fields.require("otherwise")?.text()?.to_owned(),
        timeout,
        cache: fields.get("cache").map_or(Ok(CACHE), |node| cache(&node))?,
        keep: fields.get("keep").map_or(Ok(KEEP), |node| node.duration())?,
        digest: config_digest(&[&node.to_json()]),
    })
}

fn by(fields: &Object<'_>, way: Way, upstreams: &[Upstream]) -> Result<By, ConfigError> {
    if way != Way::Embedding {
        if let Some(node) = fields.get("threshold") {
            return Err(node.error("belongs to `by: embedding`"));
        }
    }
    if way == Way::Rules {
        return match fields.get("upstream").or(fields.get("model")) {
            Some(node) => Err(node.error("rules ask nobody; leave it out, or write `by: llm` or `by: embedding`")),
            None => Ok(By::Rules),
        };
    }
    let node = fields.require("upstream")?;
    let name = node.text()?;
    let upstream = upstreams.iter().position(|upstream| upstream.name == name).ok_or_else(|| {
        let names = upstreams.iter().map(|upstream| upstream.name.as_str());
        node.error(format!("no upstream {name:?}{}", suggestion(name, names)))
    })?;
    if upstreams.get(upstream).is_none_or(|upstream| !upstream.dialects.contains(&Dialect::OpenAi)) {
        return Err(node.error(format!("upstream {name:?} does not speak the openai dialect, in which it is asked")));
    }
    let service = Service { upstream, model: fields.require("model")?.text()?.to_owned() };
    Ok(match way {
        Way::Embedding => By::Embedding(service, fields.get("threshold").map_or(Ok(THRESHOLD), |node| node.share())?),
        Way::Rules | Way::Llm => By::Llm(service),
    })
}

fn cache(node: &Node<'_>) -> Result<(usize, Duration), ConfigError> {
    let fields = node.object(&["entries", "time"])?;
    let entries =
        fields.get("entries").map_or(Ok(CACHE.0), |node| node.integer(0, 100_000).map(|count| count as usize))?;
    Ok((entries, fields.get("time").map_or(Ok(CACHE.1), |node| node.duration())?))
}

fn kind(node: &Node<'_>, way: Way) -> Result<Kind, ConfigError> {
    let fields = node.object(KIND_FIELDS)?;
    let name_node = fields.require("name")?;
    let name = check_name(&name_node)?;
    if ["otherwise", "none"].iter().any(|other| name.eq_ignore_ascii_case(other)) {
        return Err(name_node.error("is what prompts without a kind have; choose another name"));
    }
    let short = |node: &Node<'_>| match node.text()? {
        text if text.len() > MAX_TEXT => Err(node.error(format!("must be at most {MAX_TEXT} bytes"))),
        text => Ok(text.to_owned()),
    };
    let description = fields.get("description").map(|node| short(&node)).transpose()?;
    let examples = match fields.get("examples") {
        Some(node) => node.list()?.iter().map(short).collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    let rules = match fields.get("match") {
        Some(node) if node.is_object() => vec![rule(&node)?],
        Some(node) => node.list()?.iter().map(rule).collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    let missing = match way {
        Way::Rules if rules.is_empty() => Some("`match` is missing, so that no prompt is of this kind"),
        Way::Embedding if examples.is_empty() => Some("`examples` is missing; prompts are compared with them"),
        Way::Llm if description.is_none() => Some("`description` is missing; the model that is asked reads it"),
        Way::Rules | Way::Embedding | Way::Llm => None,
    };
    if let Some(missing) = missing {
        return Err(node.error(missing));
    }
    let model = fields.require("model")?.text()?.to_owned();
    Ok(Kind { name, model, description: description.unwrap_or_default(), examples, rules })
}

fn rule(node: &Node<'_>) -> Result<Rule, ConfigError> {
    let fields = node.object(RULE_FIELDS)?;
    let flag = |name| fields.get(name).map(|node| node.flag()).transpose();
    let length = |name| fields.get(name).map(|node| node.integer(0, 1_000_000).map(|count| count as usize)).transpose();
    let rule = Rule {
        regex: match fields.get("regex") {
            Some(node) => Some(Regex::new(node.text()?).map_err(|problem| node.error(problem.to_string()))?),
            None => None,
        },
        languages: fields.get("language").map_or(Ok(Vec::new()), |node| languages(&node))?,
        min_length: length("min_length")?.unwrap_or(0),
        max_length: length("max_length")?,
        images: flag("images")?,
        tools: flag("tools")?,
    };
    if rule.max_length.is_some_and(|most| most < rule.min_length) {
        return Err(node.error("`max_length` is less than `min_length`, so that no prompt fits"));
    }
    if RULE_FIELDS.iter().all(|name| fields.get(name).is_none()) {
        return Err(node.error(format!("a rule needs a condition: {}", RULE_FIELDS.join(", "))));
    }
    Ok(rule)
}

fn languages(node: &Node<'_>) -> Result<Vec<&'static str>, ConfigError> {
    let choices = LANGUAGES.map(|name| (name, name));
    match node.is_text() {
        true => node.choice(&choices).map(|language| vec![language]),
        false => node.list()?.iter().map(|node| node.choice(&choices)).collect(),
    }
}

/// Whether the models that virtual models name exist, and are not virtual themselves. `models`: the list of models.
pub(super) fn check(models: &Node<'_>, table: &Table) -> Result<(), ConfigError> {
    let mut by_embedding = 0;
    for (node, model) in models.list()?.iter().zip(table.models()) {
        let fields = node.any_object()?;
        let Some(choose) = fields.get("choose") else {
            for name in ["fallbacks", "context_length_fallback"] {
                let Some(node) = fields.get(name) else {
                    continue;
                };
                let nodes = if node.is_text() { vec![node] } else { node.list()? };
                for node in nodes {
                    if is_virtual(table, node.text()?) {
                        return Err(node.error("has no targets of its own, only `choose`; name another model"));
                    }
                }
            }
            continue;
        };
        let choose = choose.any_object()?;
        if matches!(model.choose.as_ref().map(|choose| &choose.by), Some(By::Embedding(..))) {
            by_embedding += 1;
            if by_embedding > MAX_BY_EMBEDDING {
                return Err(choose.require("by")?.error(format!(
                    "at most {MAX_BY_EMBEDDING} models choose by embedding, because each worker keeps the vectors of their \
                     examples; write `by: llm` or `by: rules`, or give several models one list of kinds, as `aliases`"
                )));
            }
        }
        let kinds = choose.require("kinds")?.list()?;
        let kinds = kinds.iter().map(|kind| kind.any_object()?.require("model")).collect::<Result<Vec<_>, _>>()?;
        for node in kinds.iter().chain([&choose.require("otherwise")?]) {
            let name = node.text()?;
            if table.find(name).is_none() || name.ends_with('*') {
                let names = table.models().iter().flat_map(|model| model.names()).filter(|known| *known != model.name);
                return Err(node.error(format!("no model {name:?}{}", suggestion(name, names))));
            }
            if is_virtual(table, name) {
                return Err(node.error("chooses a model itself; name one that has targets"));
            }
        }
    }
    Ok(())
}

fn is_virtual(table: &Table, name: &str) -> bool {
    table.find(name).and_then(|index| table.models().get(index)).is_some_and(|model| model.choose.is_some())
}
