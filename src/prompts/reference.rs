//! Prompts of the library in requests: `prompt: {name, language, variables}`, in place of the messages or before them.
//!
//! OpenAI's Responses API has a `prompt: {id, version, variables}` of its own. There, what is not in the library goes on
//! unchanged.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use super::{Library, Unfound, Variables};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The longest `prompt` object, in bytes.
pub const MAX_REFERENCE: usize = 256 << 10;

/// The roles in which a prompt may stand before the messages.
const ROLES: [&str; 3] = ["system", "developer", "user"];

/// Whether an object in `prompt` of such a request may refer to the library.
pub fn refers(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::OllamaChat | Endpoint::Responses)
}

/// A request with a prompt's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded {
    /// The body, with the text in place of the reference.
    pub body: Vec<u8>,
    /// The prompt's name.
    pub name: String,
}

/// Replaces the reference at `place` with the prompt's text. `None`: the reference is not the gateway's.
///
/// # Errors
/// 400 that names the field.
pub fn expand(
    library: &Library,
    endpoint: Endpoint,
    body: &[u8],
    place: Range<usize>,
) -> Result<Option<Expanded>, ApiError> {
    let reference = body.get(place).unwrap_or_default();
    if reference.len() > MAX_REFERENCE {
        return match endpoint {
            Endpoint::Responses => Ok(None),
            _ => Err(invalid("prompt", format!("`prompt` is longer than {MAX_REFERENCE} bytes."))),
        };
    }
    let Some(reference) = Raw::parse(reference) else {
        return Ok(None);
    };
    let mut unknown = None;
    let [name, id, language, variables, role, version] =
        reference.fields_and_rest(["name", "id", "language", "variables", "role", "version"], |field, _| {
            unknown.get_or_insert_with(|| field.chars().take(64).collect::<String>());
        });
    let named = name.or(id).and_then(Raw::string);
    if endpoint == Endpoint::Responses && !named.as_deref().is_some_and(|name| library.has(name)) {
        return Ok(None);
    }
    if let Some(unknown) = unknown {
        return Err(invalid(
            "prompt",
            format!("`prompt.{unknown}` is unknown; `prompt` has name, language, variables and role."),
        ));
    }
    if name.is_some() && id.is_some() {
        return Err(invalid("prompt.id", "`prompt.name` and `prompt.id` mean the same: send one of them."));
    }
    if version.is_some() {
        return Err(invalid("prompt.version", "Prompts of the gateway have no versions: leave out `prompt.version`."));
    }
    let named = named.ok_or_else(|| invalid("prompt.name", "`prompt.name` must be the name of a prompt."))?;
    let language = text(language, "prompt.language")?;
    let role = text(role, "prompt.role")?;
    if role.as_deref().is_some_and(|role| !ROLES.contains(&role)) {
        return Err(invalid("prompt.role", "`prompt.role` must be system, developer or user."));
    }
    let variables = read_variables(variables)?;
    let rendered = library.render(&named, language.as_deref(), &variables).map_err(|error| unfound(&error, &named))?;
    let body = Raw::parse(body).ok_or_else(|| ApiError::internal("The request was expanded unread."))?;
    let body = place_text(endpoint, body, &rendered, role.as_deref());
    Ok(Some(Expanded { body, name: named.into_owned() }))
}

fn invalid(field: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::bad_request("invalid_prompt", Some(field), message)
}

fn text<'a>(value: Option<Raw<'a>>, field: &'static str) -> Result<Option<Cow<'a, str>>, ApiError> {
    match value {
        None => Ok(None),
        Some(value) => match value.string() {
            Some(text) => Ok(Some(text)),
            None => Err(invalid(field, format!("`{field}` must be a string."))),
        },
    }
}

fn read_variables(value: Option<Raw<'_>>) -> Result<Variables, ApiError> {
    match value.map(|value| serde_json::from_str(value.json())) {
        None => Ok(Variables::new()),
        Some(Ok(Value::Object(variables))) => Ok(variables),
        Some(_) => Err(invalid("prompt.variables", "`prompt.variables` must be an object.")),
    }
}

/// The error for a prompt that is not there, or does not fit.
fn unfound(error: &Unfound, name: &str) -> ApiError {
    let name: String = name.chars().take(64).collect();
    let (field, code) = match error {
        Unfound::Name => ("prompt.name", "prompt_not_found"),
        Unfound::Language(_) => ("prompt.language", "prompt_not_found"),
        Unfound::Variables(_) => ("prompt.variables", "invalid_prompt"),
    };
    ApiError::bad_request(code, Some(field), format!("`{field}`: {error}. (The prompt is {name:?}.)"))
}

/// The body with the text: as the only message, or before the messages that are there.
fn place_text(endpoint: Endpoint, body: Raw<'_>, text: &str, role: Option<&str>) -> Vec<u8> {
    let existing = match endpoint {
        Endpoint::Responses => "input",
        _ => "messages",
    };
    let before = body.field(existing).is_some_and(|value| !value.is_nothing());
    let mut out = Writer::with_capacity(body.json().len() + text.len());
    out.object(|out| {
        let written: &[&str] = match (endpoint, before) {
            (Endpoint::Responses, false) => {
                out.put_string("input", text);
                &["prompt", "input"]
            }
            (Endpoint::Responses, true) => {
                out.put_string("instructions", &joined(text, body.text("instructions")));
                &["prompt", "instructions"]
            }
            (Endpoint::Messages, true) if role != Some("user") => {
                system(out, body, text);
                &["prompt", "system"]
            }
            (_, before) => {
                let role = role.unwrap_or(if before { "system" } else { "user" });
                let role = if endpoint == Endpoint::Messages { "user" } else { role };
                out.put_array("messages", |out| {
                    out.object(|out| {
                        out.put_string("role", role);
                        out.put_string("content", text);
                    });
                    if let Some(messages) = body.field("messages") {
                        messages.items(|message| out.raw(message.json()));
                    }
                });
                &["prompt", "messages"]
            }
        };
        body.members(|name, value| {
            if !written.contains(&name) {
                out.put(name, value.json());
            }
        });
    });
    out.into_bytes()
}

fn joined(text: &str, existing: Option<Cow<'_, str>>) -> String {
    match existing {
        Some(existing) if !existing.is_empty() => format!("{text}\n\n{existing}"),
        Some(_) | None => text.to_owned(),
    }
}

/// Anthropic's `system`: a text, or blocks.
fn system(out: &mut Writer, body: Raw<'_>, text: &str) {
    match body.field("system") {
        Some(blocks) if blocks.is_array() => out.put_array("system", |out| {
            out.object(|out| {
                out.put_string("type", "text");
                out.put_string("text", text);
            });
            blocks.items(|block| out.raw(block.json()));
        }),
        existing => out.put_string("system", &joined(text, existing.and_then(Raw::string))),
    }
}
