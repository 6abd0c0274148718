//! Reads a request to a text endpoint.

use std::borrow::Cow;

use serde_json::Value;

use super::answer::Task;
use super::batch::Batch;
use super::fields::{missing, wrong, Fields, OPTIONS};
use crate::error::ApiError;
use crate::prompts::{Kind, Library, TextSettings, Unfound, Variables};
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The longest text that goes into a prompt, in bytes: a question, a subject.
const MAX_VARIABLE: usize = 64 << 10;

/// The most questions for a text.
const MAX_QUESTIONS: u64 = 100;

/// What a request to a text endpoint becomes.
#[derive(Debug)]
pub enum TextRequest {
    /// An ordinary chat request with this body.
    Chat(Vec<u8>, Task),
    /// Several requests of the gateway to itself.
    Several(Box<Batch>),
}

/// Reads a request. `is_part`: it is one of several texts already.
///
/// # Errors
/// 400 that names the field.
pub fn read(
    kind: Kind,
    body: &[u8],
    library: &Library,
    settings: &TextSettings,
    is_part: bool,
) -> Result<TextRequest, ApiError> {
    let fields = Fields::read(kind, body)?;
    fields.check_options()?;
    let model = match (fields.text("model_name")?, fields.text("model")?) {
        (Some(_), Some(_)) => return Err(wrong("model", "and `model_name` mean the same: send one of them")),
        (Some(model), None) | (None, Some(model)) => model,
        (None, None) => Cow::Borrowed(settings.model.as_deref().ok_or_else(|| missing("model_name"))?),
    };
    let language = fields.text("language")?;
    let stream = fields.flag("stream")?;
    if !kind.is_by_text() {
        let (system, user) = whole(kind, fields, library, language.as_deref(), settings)?;
        let chat = chat(fields, &model, stream, &system, &user);
        return Ok(TextRequest::Chat(chat, Task::new(kind, None)));
    }
    let texts = texts(fields.0.field("texts").ok_or_else(|| missing("texts"))?, settings)?;
    let system = system(kind, fields, library, language.as_deref())?;
    match <[Cow<'_, str>; 1]>::try_from(texts) {
        Ok([text]) => {
            let chat = chat(fields, &model, stream, &system, &text);
            let kept = (kind != Kind::Simplification).then(|| text.into_owned());
            Ok(TextRequest::Chat(chat, Task::new(kind, kept)))
        }
        Err(_) if is_part => Err(wrong("texts", "must have one text in a request of the gateway to itself")),
        Err(texts) => {
            let mut rest = Writer::default();
            fields.0.members(|name, value| {
                if !matches!(name, "texts" | "stream") {
                    rest.put(name, value.json());
                }
            });
            let texts = texts.into_iter().map(Cow::into_owned).collect();
            Ok(TextRequest::Several(Box::new(Batch::new(kind, texts, rest.into_string(), stream, settings.clone()))))
        }
    }
}

/// The list of texts.
fn texts<'a>(value: Raw<'a>, settings: &TextSettings) -> Result<Vec<Cow<'a, str>>, ApiError> {
    if !value.is_array() {
        return Err(wrong("texts", "must be a list of strings"));
    }
    let mut texts = Vec::new();
    value.each(|index, item| {
        if index == settings.max_texts {
            return Err(wrong("texts", &format!("has more than {} texts", settings.max_texts)));
        }
        match item.string() {
            Some(text) if !text.trim().is_empty() => texts.push(text),
            Some(_) => return Err(wrong("texts", &format!("has an empty text at place {index}"))),
            None => return Err(wrong("texts", &format!("must have strings only; see place {index}"))),
        }
        Ok(())
    })?;
    match texts.is_empty() {
        true => Err(wrong("texts", "must have one text or more")),
        false => Ok(texts),
    }
}

/// The prompt of an endpoint that answers each text.
fn system(kind: Kind, fields: Fields<'_>, library: &Library, language: Option<&str>) -> Result<String, ApiError> {
    let mut variables = Variables::new();
    match kind {
        Kind::Questions => {
            let count = fields.count("number_of_questions", 1, MAX_QUESTIONS)?;
            variables.insert("number_of_questions".to_owned(), Value::from(count));
        }
        Kind::Translation => {
            let target = fields.text("target_language")?;
            let target = target.as_deref().or(language).unwrap_or(library.language());
            if target.is_empty() || target.len() > 64 || target.chars().any(char::is_control) {
                return Err(wrong("target_language", "must be a language, such as de or Polish"));
            }
            variables.insert("target_language".to_owned(), Value::from(target));
        }
        Kind::Simplification | Kind::Article | Kind::FullArticle | Kind::Answer => {}
    }
    prompt(kind, library, language, &variables)
}

/// The system prompt and the user's text, for an endpoint that gives one answer for all texts.
fn whole(
    kind: Kind,
    fields: Fields<'_>,
    library: &Library,
    language: Option<&str>,
    settings: &TextSettings,
) -> Result<(String, String), ApiError> {
    let mut variables = Variables::new();
    let mut add = |name: &'static str, value: Option<Cow<'_, str>>| {
        let value = value.unwrap_or_default();
        if value.len() > MAX_VARIABLE {
            return Err(wrong(name, &format!("is longer than {MAX_VARIABLE} bytes")));
        }
        variables.insert(name.to_owned(), Value::from(value));
        Ok(())
    };
    let user = match kind {
        Kind::FullArticle => {
            add("user_query", Some(fields.required("user_query")?))?;
            add("article_type", fields.text("article_type")?)?;
            let texts = texts(fields.0.field("texts").ok_or_else(|| missing("texts"))?, settings)?;
            texts.iter().map(|text| text.trim()).collect::<Vec<_>>().join("\n\n")
        }
        Kind::Answer => {
            add("question_str", Some(fields.required("question_str")?))?;
            add("question_prompt", fields.text("question_prompt")?)?;
            let names_documents = fields.flag("doc_name_in_answer")?;
            let user = context(fields.0.field("texts").ok_or_else(|| missing("texts"))?, names_documents, settings)?;
            if let Some(system) = fields.text("system_prompt")?.filter(|system| !system.is_empty()) {
                // the question is otherwise in the prompt
                let question = fields.required("question_str")?;
                return Ok((system.into_owned(), format!("{user}\n\n{question}")));
            }
            variables.insert("doc_name_in_answer".to_owned(), Value::from(names_documents));
            user
        }
        Kind::Article | Kind::Questions | Kind::Translation | Kind::Simplification => {
            fields.required("text")?.into_owned()
        }
    };
    Ok((prompt(kind, library, language, &variables)?, user))
}

/// The texts of [`Kind::Answer`]: a list, or lists by the names of documents.
fn context(value: Raw<'_>, names_documents: bool, settings: &TextSettings) -> Result<String, ApiError> {
    if !value.is_object() {
        return Ok(texts(value, settings)?.join("\n\n"));
    }
    let mut all: Vec<String> = Vec::new();
    let mut problem = None;
    value.members(|name, list| match texts(list, settings) {
        _ if problem.is_some() => {}
        Ok(texts) if all.len() + texts.len() <= settings.max_texts => {
            all.extend(texts.into_iter().map(|text| match names_documents {
                true => format!("Document name: {name}\nDocument context: {text}"),
                false => text.into_owned(),
            }));
        }
        Ok(_) => problem = Some(wrong("texts", &format!("has more than {} texts", settings.max_texts))),
        Err(error) => problem = Some(error),
    });
    match problem {
        Some(problem) => Err(problem),
        None if all.is_empty() => Err(wrong("texts", "must have one text or more")),
        None => Ok(all.join("\n\n")),
    }
}

fn prompt(kind: Kind, library: &Library, language: Option<&str>, variables: &Variables) -> Result<String, ApiError> {
    library.render(kind.name(), language, variables).map_err(|error| match error {
        Unfound::Language(_) => wrong("language", &format!("is not served here: {error}")),
        // the operator's own prompt uses a variable that the endpoint does not have
        Unfound::Name | Unfound::Variables(_) => {
            ApiError::internal(format!("The gateway's prompt for this endpoint cannot be used: {error}."))
        }
    })
}

/// The body of the chat request.
fn chat(fields: Fields<'_>, model: &str, stream: bool, system: &str, user: &str) -> Vec<u8> {
    let mut out = Writer::with_capacity(system.len() + user.len() + 256);
    out.object(|out| {
        out.put_string("model", model);
        out.put_array("messages", |out| {
            for (role, text) in [("system", system), ("user", user)] {
                out.object(|out| {
                    out.put_string("role", role);
                    out.put_string("content", text);
                });
            }
        });
        if stream {
            out.put("stream", "true");
        }
        for (own, name) in OPTIONS {
            if let Some(value) = fields.0.field(own) {
                out.put(name, value.json());
            }
        }
        if let Some(user) = fields.0.field("user") {
            out.put("user", user.json());
        }
    });
    out.into_bytes()
}
