//! Everything that the gateway must know about a request's body: one pass, borrowed, no tree.

mod changed;
mod fields;
mod form;
mod layout;
mod members;

use crate::endpoint::{Dialect, Endpoint, Further};
use crate::error::ApiError;
use crate::json::{JsonError, Value};
use crate::multipart::Form;
use crate::stored::{self, Named};
pub use changed::ChangedString;
use fields::Fields;
pub use layout::{Layout, UsageOption};
pub(crate) use members::folds_to;

/// The longest model name accepted, in bytes; real ones stay under 100.
pub const MAX_MODEL_NAME: usize = 256;

/// One request body, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedRequest {
    /// The operation.
    pub endpoint: Endpoint,
    /// The client's name for the model, decoded.
    pub model: String,
    /// Whether the name is in the path, not in the body.
    pub named_in_path: bool,
    /// Whether the answer will be a stream.
    pub stream: bool,
    /// The maximum number of output tokens, over all choices; `None` if the request does not limit them.
    pub output_limit: Option<u64>,
    /// The field with the limit; of several, the one with the largest value.
    pub output_field: Option<&'static str>,
    /// The number of requested answers; 0 if nothing is generated.
    pub choices: u64,
    /// The sampling temperature in thousandths, for traces; `None` if the request names none.
    pub temperature: Option<u32>,
    /// The number of bytes that may be text; the rest are images, audio and files.
    pub text_length: usize,
    /// A hash of the end user: `prompt_cache_key`, else `user`.
    pub user: Option<u64>,
    /// The stored response or conversation that it continues. Only for Responses.
    pub stored: Named,
    /// Only the path says what it is about: a stored response, or what an upstream makes of a passed path.
    pub by_id: bool,
    /// The fields of a form; `None`: the body is JSON.
    pub form: Option<Box<Form>>,
    /// The positions in the body that may be rewritten.
    pub layout: Layout,
}

impl ParsedRequest {
    /// A request for a stored response with this id. `model`: the client's name for the model that made
    /// it; `stream`: it is streamed again.
    ///
    /// # Errors
    /// 400: the body is not empty.
    pub fn of_stored(model: String, id: String, stream: bool, body: &[u8]) -> Result<Self, ApiError> {
        if !matches!(body.trim_ascii(), b"" | b"{}") {
            return Err(ApiError::bad_request("invalid_value", None, "This path takes no body."));
        }
        Ok(ParsedRequest {
            endpoint: Endpoint::Responses,
            model,
            named_in_path: true,
            stream,
            output_limit: None,
            output_field: None,
            choices: 1,
            temperature: None,
            text_length: 0,
            user: None,
            stored: Named(vec![id], false),
            by_id: true,
            form: None,
            layout: Layout { length: body.len(), ..Layout::default() },
        })
    }

    /// A WebSocket to this model: nothing but its path is read.
    pub fn of_socket(model: String) -> Self {
        let passed = ParsedRequest::of_path("", Dialect::OpenAi, false);
        ParsedRequest { endpoint: Endpoint::Further(Further::Realtime), model, ..passed }
    }

    /// A request to a further path, which passes to its upstream unread. `generates`: its answer may report usage, because
    /// its method is not one of those that only look something up.
    pub fn of_path(path: &str, dialect: Dialect, generates: bool) -> Self {
        ParsedRequest {
            endpoint: Endpoint::Further(Further::Passed(dialect)),
            model: path.to_owned(),
            named_in_path: true,
            stream: false,
            output_limit: None,
            output_field: None,
            choices: u64::from(generates),
            temperature: None,
            text_length: 0,
            user: None,
            stored: Named::default(),
            by_id: true,
            form: None,
            layout: Layout::default(),
        }
    }

    /// Whether it passes to its upstream unread.
    pub fn is_passed(&self) -> bool {
        matches!(self.endpoint, Endpoint::Further(Further::Passed(_)))
    }

    /// Whether it is a form with fields that are not known.
    pub fn has_unread_fields(&self) -> bool {
        self.form.as_ref().is_some_and(|form| form.incomplete)
    }

    /// Whether the request uses tokens, reported or not.
    pub fn uses_tokens(&self) -> bool {
        !self.by_id && self.endpoint.uses_tokens()
    }
}

/// Parses a request's body. `path_model` is the model in the path, if there is one (Gemini).
///
/// ```
/// use sluice::{endpoint::Endpoint, parsed_request::read};
///
/// let body = br#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
/// let parsed = read(Endpoint::ChatCompletions, None, body)?;
/// assert_eq!((parsed.model.as_str(), parsed.stream), ("gpt-4o", true));
/// # Ok::<(), sluice::error::ApiError>(())
/// ```
///
/// # Errors
/// A 400 that names the field: not UTF-8, not JSON, not an object, no valid `model`, a `stream` that is not a boolean,
/// a name that some readers would treat as another one, or a field that is repeated with different values.
pub fn read(endpoint: Endpoint, path_model: Option<String>, body: &[u8]) -> Result<ParsedRequest, ApiError> {
    // most bodies are ASCII: this check has no branches, so it uses vector instructions
    let is_ascii = body.iter().fold(0, |all, byte| all | byte) < 0x80;
    if !is_ascii && std::str::from_utf8(body).is_err() {
        return Err(invalid_json("The request body is not valid UTF-8."));
    }
    let mut fields = Fields::new(body);
    match fields.scan() {
        Ok(true) => {}
        Ok(false) => return Err(invalid_json("The request body must be a JSON object.")),
        Err(JsonError::UnexpectedEnd) if body.is_empty() => {
            return Err(invalid_json("The request body is empty; a JSON object is expected."));
        }
        Err(error) => return Err(invalid_json(format!("The request body is not valid JSON: {error}."))),
    }
    if let Some(problem) = fields.problem {
        return Err(problem);
    }
    let stream_field = stream(fields.stream)?;
    let named_in_path = path_model.is_some();
    let model = match path_model {
        Some(model) => {
            fields.layout.model_prefix = prefix_beside_path(fields.model, &model)?;
            checked_name(model)?
        }
        None => model(fields.model)?,
    };
    let user = fields.cache_key.or(fields.user);
    let choices = fields.choices.unwrap_or(1).max(1);
    let output_limit = fields.max_tokens.map(|tokens| tokens.saturating_mul(choices));
    let output_field = fields.output_field;
    let stream = endpoint.streams(stream_field);
    let text_length = body.len().saturating_sub(usize::try_from(fields.data).unwrap_or(usize::MAX));
    let layout = fields.layout;
    let stored = if endpoint == Endpoint::Responses { stored::named(body) } else { Named::default() };
    Ok(ParsedRequest {
        endpoint,
        model,
        named_in_path,
        stream,
        output_limit,
        output_field,
        choices,
        temperature: fields.temperature,
        text_length,
        user,
        stored,
        by_id: false,
        form: None,
        layout,
    })
}

fn model(field: Option<Value<'_>>) -> Result<String, ApiError> {
    match field {
        Some(Value::String(name)) => checked_name(name.decode().into_owned()),
        Some(_) => Err(ApiError::bad_request("invalid_type", Some("model"), "`model` must be a string.")),
        None => Err(missing_model()),
    }
}

/// Whether a request was refused because it names no model.
pub fn is_without_model(error: &ApiError) -> bool {
    error.code == MISSING && error.param == Some("model")
}

const MISSING: &str = "missing_required_parameter";

fn missing_model() -> ApiError {
    let message = "`model` is missing: name the model to use.";
    ApiError::bad_request(MISSING, Some("model"), message)
}

/// If the path names the model, the body must have the same name: Gemini's clients repeat it, and a server may read
/// either. Returns the text before the name in the body.
fn prefix_beside_path(field: Option<Value<'_>>, model: &str) -> Result<&'static str, ApiError> {
    const COLLECTION: &str = "models/";
    let named = match field {
        None => return Ok(""),
        Some(Value::String(name)) => name.decode(),
        Some(_) => return Err(ApiError::bad_request("invalid_type", Some("model"), "`model` must be a string.")),
    };
    match named.strip_prefix(COLLECTION) {
        _ if named == model => Ok(""),
        Some(name) if name == model => Ok(COLLECTION),
        _ => {
            let message = "`model` in the body is not the model that the path names; leave it out.";
            Err(ApiError::bad_request("ambiguous_parameter", Some("model"), message))
        }
    }
}

fn stream(field: Option<Value<'_>>) -> Result<Option<bool>, ApiError> {
    match field {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(stream)) => Ok(Some(stream)),
        Some(_) => Err(ApiError::bad_request("invalid_type", Some("stream"), "`stream` must be true, false or null.")),
    }
}

fn checked_name(name: String) -> Result<String, ApiError> {
    let problem = if name.is_empty() {
        "`model` is empty."
    } else if name.len() > MAX_MODEL_NAME {
        "`model` is too long."
    } else if name.chars().any(char::is_control) {
        "`model` contains control characters."
    } else {
        return Ok(name);
    };
    Err(ApiError::bad_request("invalid_value", Some("model"), problem))
}

fn invalid_json(message: impl Into<String>) -> ApiError {
    ApiError::bad_request("invalid_json", None, message)
}
