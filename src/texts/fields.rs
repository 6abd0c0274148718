//! The fields of the text endpoints.

use std::borrow::Cow;

use crate::error::ApiError;
use crate::prompts::Kind;
use crate::translate::raw::Raw;

/// The fields of every endpoint. `model_name`, `max_new_tokens` and the last three are those of the gateway that the
/// endpoints come from.
const COMMON: [&str; 12] = [
    "model_name",
    "model",
    "language",
    "stream",
    "user",
    "temperature",
    "top_p",
    "max_new_tokens",
    "max_tokens",
    "top_k",
    "typical_p",
    "repetition_penalty",
];

/// Those of them that a model server gets, with its own names. The last ones are only known to some servers.
pub(super) const OPTIONS: [(&str, &str); 7] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("max_new_tokens", "max_tokens"),
    ("max_tokens", "max_tokens"),
    ("top_k", "top_k"),
    ("typical_p", "typical_p"),
    ("repetition_penalty", "repetition_penalty"),
];

/// The further fields of an endpoint.
fn own(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Questions => &["texts", "number_of_questions"],
        Kind::Translation => &["texts", "target_language"],
        Kind::Simplification => &["texts"],
        Kind::Article => &["text"],
        Kind::FullArticle => &["texts", "user_query", "article_type"],
        Kind::Answer => &["texts", "question_str", "question_prompt", "system_prompt", "doc_name_in_answer"],
    }
}

/// A request's body, whose fields are read by name.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub Raw<'a>);

impl<'a> Fields<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// It is no JSON object, or has unknown fields.
    pub fn read(kind: Kind, body: &'a [u8]) -> Result<Self, ApiError> {
        let Some(raw) = Raw::parse(body).filter(|raw| raw.is_object()) else {
            return Err(ApiError::bad_request("invalid_json", None, "The request body must be a JSON object."));
        };
        let mut problem = None;
        let mut seen: Vec<String> = Vec::new();
        raw.members(|name, _| {
            let is_known = COMMON.contains(&name) || own(kind).contains(&name);
            let shown = || name.chars().take(64).collect::<String>();
            if problem.is_some() {
            } else if !is_known {
                let known = own(kind).join(", ");
                let message = format!("`{}` is no field of this endpoint; its own are: {known}.", shown());
                problem = Some(ApiError::bad_request("unknown_parameter", None, message));
            } else if seen.iter().any(|other| other == name) {
                let message = format!("`{}` is in the body twice: send it once.", shown());
                problem = Some(ApiError::bad_request("ambiguous_parameter", None, message));
            } else {
                seen.push(name.to_owned());
            }
        });
        match problem {
            Some(problem) => Err(problem),
            None => Ok(Fields(raw)),
        }
    }

    /// A text.
    pub fn text(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, ApiError> {
        match self.0.field(name) {
            None => Ok(None),
            Some(value) => value.string().map(Some).ok_or_else(|| wrong(name, "must be a string")),
        }
    }

    /// A text that must be there.
    pub fn required(&self, name: &'static str) -> Result<Cow<'a, str>, ApiError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
    }

    /// A flag.
    pub fn flag(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.0.field(name).map(Raw::json) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    /// A whole number.
    pub fn count(&self, name: &'static str, default: u64, most: u64) -> Result<u64, ApiError> {
        match self.0.field(name) {
            None => Ok(default),
            Some(value) => match value.count().filter(|count| (1..=most).contains(count)) {
                Some(count) => Ok(count),
                None => Err(wrong(name, &format!("must be a whole number from 1 to {most}"))),
            },
        }
    }

    /// Checks the options for the model server.
    pub fn check_options(&self) -> Result<(), ApiError> {
        for (name, _) in OPTIONS {
            if self.0.field(name).is_some_and(|value| !value.is_number()) {
                return Err(wrong(name, "must be a number"));
            }
        }
        if self.0.field("max_tokens").is_some() && self.0.field("max_new_tokens").is_some() {
            return Err(wrong("max_tokens", "and `max_new_tokens` mean the same: send one of them"));
        }
        Ok(())
    }
}

pub(super) fn missing(name: &'static str) -> ApiError {
    ApiError::bad_request("missing_required_parameter", Some(name), format!("`{name}` is missing."))
}

pub(super) fn wrong(name: &'static str, problem: &str) -> ApiError {
    ApiError::bad_request("invalid_value", Some(name), format!("`{name}` {problem}."))
}
