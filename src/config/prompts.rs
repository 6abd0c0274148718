//! The configuration of the prompt library and of the text endpoints: `router.prompts` and `router.builtin`.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::reader::{ConfigError, Node, Object};
use super::suggestion::suggestion;
use crate::prompts::{Library, Prompt, Template, TextSettings, BUILTIN, MAX_LANGUAGES, MAX_PROMPTS};
use crate::routing::Table;

/// The fields of `builtin`.
pub const BUILTIN_FIELDS: &[&str] = &["model", "language", "max_texts", "parallel", "timeout", "cluster"];

/// The default of `language`.
const LANGUAGE: &str = "en";
/// The default of `max_texts`.
const TEXTS: u32 = 100;
/// The default of `parallel`.
const PARALLEL: u32 = 8;
/// The default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The default of `cluster`: the name that the `sluice` command gives the gateway's own listener.
pub const SELF_CLUSTER: &str = "sluice-self";

/// Reads the library; `None` if nothing of it is configured. The models must be there already.
pub(super) fn read(root: &Object<'_>, table: &Table) -> Result<Option<Rc<Library>>, ConfigError> {
    let (prompts, builtin) = (root.get("prompts"), root.get("builtin"));
    if prompts.is_none() && builtin.is_none() {
        return Ok(None);
    }
    let mut all = match prompts {
        Some(node) => configured(&node)?,
        None => BTreeMap::new(),
    };
    let fields = match &builtin {
        Some(node) => node.object(BUILTIN_FIELDS)?,
        None => Object::empty("router.builtin"),
    };
    let language = match fields.get("language") {
        Some(node) => language(&node, node.text()?)?,
        None => LANGUAGE.to_owned(),
    };
    let texts = builtin.is_some().then(|| settings(&fields, table)).transpose()?;
    if texts.is_some() {
        for (name, language, source) in BUILTIN {
            let template = Template::parse(source).map_err(|error| fields.error(format!("{name}: {error}")))?;
            all.entry(name.to_owned()).or_default().add(language, template);
        }
    }
    Ok(Some(Rc::new(Library::new(all, language, texts))))
}

fn configured(node: &Node<'_>) -> Result<BTreeMap<String, Prompt>, ConfigError> {
    let mut all = BTreeMap::new();
    let entries = node.entries()?;
    if entries.len() > MAX_PROMPTS {
        return Err(node.error(format!("has {} prompts, more than {MAX_PROMPTS}; remove some", entries.len())));
    }
    for (name, node) in entries {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if name.is_empty() || name.len() > 128 || !name.bytes().all(is_name) {
            return Err(node.error("a prompt's name has 1 to 128 letters, digits, \"_\", \"-\" and \".\""));
        }
        let languages = node.entries()?;
        if languages.is_empty() || languages.len() > MAX_LANGUAGES {
            return Err(node.error(format!("needs 1 to {MAX_LANGUAGES} languages, such as {{en: \"...\"}}")));
        }
        let mut prompt = Prompt::default();
        for (tag, node) in languages {
            let template = Template::parse(node.text()?).map_err(|error| node.error(error.to_string()))?;
            if !prompt.add(&language(&node, tag)?, template) {
                return Err(node.error("is there twice, in different letter case; keep one"));
            }
        }
        all.insert(name.to_owned(), prompt);
    }
    Ok(all)
}

/// A language tag, such as `de` or `pt-br`, in lower case.
fn language(node: &Node<'_>, tag: &str) -> Result<String, ConfigError> {
    let is_part = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match tag.len() <= 35 && tag.split('-').all(is_part) {
        true => Ok(tag.to_ascii_lowercase()),
        false => Err(node.error(format!("{tag:?} is not a language; write it like en, de or pt-BR"))),
    }
}

fn settings(fields: &Object<'_>, table: &Table) -> Result<TextSettings, ConfigError> {
    let count = |name, default, most| fields.get(name).map_or(Ok(default), |node| node.integer(1, most));
    let model = fields.get("model").map(|node| model(&node, table)).transpose()?;
    let cluster = fields.get("cluster").map_or(Ok(SELF_CLUSTER), |node| node.text())?;
    Ok(TextSettings {
        model,
        max_texts: count("max_texts", TEXTS, 1000)? as usize,
        parallel: count("parallel", PARALLEL, 64)? as usize,
        timeout: fields.get("timeout").map_or(Ok(TIMEOUT), |node| node.duration())?,
        cluster: cluster.to_owned(),
    })
}

fn model(node: &Node<'_>, table: &Table) -> Result<String, ConfigError> {
    let name = node.text()?;
    match table.find(name) {
        Some(_) => Ok(name.to_owned()),
        None => {
            let names = table.models().iter().map(|model| model.name.as_str());
            Err(node.error(format!("no model {name:?}{}", suggestion(name, names))))
        }
    }
}
