//! The configuration of a model's `defaults` and `overrides`, and of the router's default model.

use serde_json::Value;

use super::reader::{ConfigError, Node, Object};
use super::suggestion::suggestion;
use crate::json::write_string;
use crate::presets::{
    is_conversation, places, BodyKind, Edits, Field, Kind, Presets, Setting, SystemMessage, SETTINGS,
};
use crate::validation::Validate;

/// The largest system prompt, in bytes.
const MAX_SYSTEM: usize = 256 << 10;
/// The most fields of one kind of body.
const MAX_FIELDS: usize = 64;

/// The fields of `defaults` and `overrides`.
pub fn preset_fields() -> Vec<&'static str> {
    let mut names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    for kind in BodyKind::ALL {
        if !names.contains(&kind.name()) {
            names.push(kind.name());
        }
    }
    names
}

/// Reads the settings of a model with these fields; `None` if it has none.
pub(super) fn read(model: &Object<'_>) -> Result<Option<Presets>, ConfigError> {
    let mut presets = Presets::default();
    for (name, overrides) in [("defaults", false), ("overrides", true)] {
        if let Some(node) = model.get(name) {
            add(&mut presets, &node, overrides)?;
        }
    }
    Ok((presets != Presets::default()).then_some(presets))
}

fn add(presets: &mut Presets, node: &Node<'_>, overrides: bool) -> Result<(), ConfigError> {
    for (name, node) in node.entries()? {
        refuse_conversation(name, &node)?;
        refuse_stream(name, &node, overrides)?;
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) {
            let value = checked(setting, &node)?;
            for kind in BodyKind::ALL {
                set(presets, kind, setting, &value, overrides);
            }
        } else if !BodyKind::ALL.iter().any(|kind| kind.name() == name) {
            let known = preset_fields();
            let fix = suggestion(name, known.iter().copied());
            let message = "no such setting; other fields go under the name of their API, such as chat";
            return Err(node.error(format!("{message}{fix}")));
        }
    }
    // what is written for one API comes before what is written for all
    for (name, node) in node.entries()? {
        for kind in BodyKind::ALL.into_iter().filter(|kind| kind.name() == name) {
            for (name, node) in node.entries()? {
                own(presets, kind, (name, &node), overrides)?;
            }
        }
    }
    Ok(())
}

/// A field that is written as one API has it.
fn own(
    presets: &mut Presets,
    kind: BodyKind,
    (name, node): (&str, &Node<'_>),
    overrides: bool,
) -> Result<(), ConfigError> {
    refuse_conversation(name, node)?;
    refuse_stream(name, node, overrides)?;
    let fields = match node.is_object() {
        true => node.entries()?.into_iter().map(|(field, node)| (name, field, node)).collect(),
        false => vec![("", name, node.clone())],
    };
    for (parent, name, node) in fields {
        let wanted = "must be a text, a number, true or false, or an object of these";
        let value = node.scalar().ok_or_else(|| node.error(wanted))?;
        let (parent, names) = places(kind, parent, name);
        let field = Field { parent, names, value: json(value), overrides };
        let Some(edits) = presets.of_kind_mut(kind) else {
            continue;
        };
        put(edits, field);
        if edits.fields.len() > MAX_FIELDS {
            return Err(node.error(format!("too many fields; at most {MAX_FIELDS} can be set")));
        }
    }
    Ok(())
}

/// Sets a field, in place of another one for the same.
fn put(edits: &mut Edits, field: Field) {
    let same =
        |other: &Field| other.parent == field.parent && other.names.iter().any(|name| field.names.contains(name));
    match edits.fields.iter_mut().find(|other| same(other)) {
        Some(known) => *known = field,
        None => edits.fields.push(field),
    }
}

fn set(presets: &mut Presets, kind: BodyKind, setting: &Setting, value: &str, overrides: bool) {
    let Some(edits) = presets.of_kind_mut(kind) else {
        return;
    };
    let is_system = setting.name == "system";
    let messages = match kind {
        BodyKind::Chat | BodyKind::OllamaChat => Some("messages"),
        // its messages may have one besides the field
        BodyKind::Responses => Some("input"),
        BodyKind::Messages if overrides => Some("messages"),
        BodyKind::Completions | BodyKind::Messages | BodyKind::Gemini | BodyKind::OllamaGenerate => None,
    };
    if let (true, Some(messages)) = (is_system, messages) {
        let message = match kind {
            BodyKind::Responses | BodyKind::Messages => String::new(),
            _ => format!(r#"{{"role":"system","content":{value}}}"#),
        };
        edits.system = Some(SystemMessage { messages, message, overrides });
    }
    // a template of the client's need not have a place for the system prompt
    let template = match kind {
        BodyKind::Chat => Some("chat_template"),
        BodyKind::OllamaGenerate => Some("template"),
        _ => None,
    };
    if let (true, true, Some(template)) = (is_system, overrides, template) {
        put(edits, Field { parent: Vec::new(), names: vec![template.to_owned()], value: "null".to_owned(), overrides });
    }
    let Some((parent, names)) = setting.place(kind) else {
        return;
    };
    let value = match (is_system, kind) {
        (true, BodyKind::Gemini) => format!(r#"{{"parts":[{{"text":{value}}}]}}"#),
        _ => value.to_owned(),
    };
    put(edits, Field { parent, names, value, overrides });
    if is_system {
        let is_field = |field: &Field| field.parent.is_empty() && field.names.iter().any(|name| name == "instructions");
        edits.system_field = edits.fields.iter().position(is_field);
    }
}

/// A setting's value as JSON.
fn checked(setting: &Setting, node: &Node<'_>) -> Result<String, ConfigError> {
    // Envoy passes fractions, and numbers above 32 bits, on as strings
    let number = || match node.scalar() {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.parse::<f64>().ok(),
        _ => None,
    };
    match setting.kind {
        Kind::Number(least, most) => {
            let number = number().filter(|number| (least..=most).contains(number));
            number.map(written).ok_or_else(|| node.error(format!("must be a number from {least} to {most}")))
        }
        Kind::Whole(least, most) => {
            let whole = number().filter(|number| number.fract() == 0.0 && (least..=most).contains(number));
            whole.map(written).ok_or_else(|| node.error(format!("must be a whole number from {least} to {most}")))
        }
        Kind::Text => {
            let text = node.text()?;
            if text.len() > MAX_SYSTEM {
                return Err(node.error(format!("is longer than {} KiB", MAX_SYSTEM >> 10)));
            }
            let mut json = String::new();
            write_string(&mut json, text);
            Ok(json)
        }
        Kind::Flag => node.flag().map(|flag| flag.to_string()),
    }
}

/// A value as JSON. A text that is a number with a fraction is one that Envoy has passed on as a text.
fn json(value: &Value) -> String {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse::<f64>().ok().filter(|number| number.is_finite() && number.fract() != 0.0),
        _ => None,
    };
    number.map_or_else(|| value.to_string(), written)
}

/// A number as JSON: some servers take `256.0` for no whole number.
fn written(number: f64) -> String {
    match number.fract() == 0.0 && number.abs() < 1e16 {
        true => format!("{}", number as i64),
        false => Value::from(number).to_string(),
    }
}

fn refuse_conversation(name: &str, node: &Node<'_>) -> Result<(), ConfigError> {
    if !is_conversation(name) {
        return Ok(());
    }
    Err(node.error(match name {
        "model" => "cannot be set; a target's `model` is the name that its server gets",
        "stream_options" => "cannot be set; an upstream's `include_usage` asks for the usage of streams",
        _ => "is the conversation itself and cannot be set; `system` sets the system prompt",
    }))
}

fn refuse_stream(name: &str, node: &Node<'_>, overrides: bool) -> Result<(), ConfigError> {
    match name == "stream" && overrides {
        true => {
            Err(node.error("cannot be overridden, since the client expects what it asked for; put it in `defaults`"))
        }
        false => Ok(()),
    }
}

/// The router's `validate`, or a model's. (YAML reads `on` and `off` as true and false.)
pub(super) fn validate(node: Option<Node<'_>>) -> Result<Option<Validate>, ConfigError> {
    let Some(node) = node else {
        return Ok(None);
    };
    Ok(Some(match node.flag() {
        Ok(true) => Validate::On,
        Ok(false) => Validate::Off,
        Err(_) => node.choice(&[("off", Validate::Off), ("warn", Validate::Warn), ("on", Validate::On)])?,
    }))
}

/// The router's default model.
pub(super) fn default_model(node: &Node<'_>, names: &[&str]) -> Result<String, ConfigError> {
    let name = node.text()?;
    if name.ends_with('*') {
        return Err(node.error("must be one model's name, without a \"*\""));
    }
    let is_known = |known: &&str| known.strip_suffix('*').map_or(*known == name, |prefix| name.starts_with(prefix));
    if !names.iter().any(is_known) {
        return Err(node.error(format!("no model {name:?}{}", suggestion(name, names.iter().copied()))));
    }
    Ok(name.to_owned())
}
