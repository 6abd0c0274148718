//! What the gateway must know of a request's body: one pass, borrowed, no tree.

use std::ops::Range;

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::hash::stable;
use crate::json::{JsonError, Scanner, Value};
use crate::usage::{length_of_images, length_of_prompt, PromptLength};

/// The longest model name accepted, in bytes; real ones stay under 100.
pub const MAX_MODEL_NAME: usize = 256;
/// How often `model` may stand in one body. Parsers disagree on duplicates, so each is rewritten; more than
/// a few is no client's mistake.
const MAX_MODEL_FIELDS: usize = 8;
/// Where the dialects have what stands before a prompt.
const INSTRUCTIONS: [&str; 4] = ["system", "instructions", "systemInstruction", "system_instruction"];
/// A field that says nothing to the gateway counts as text from this length on, in bytes: schemas, documents.
const LONG: usize = 256;

/// The facts of one request body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Which operation is asked for.
    pub endpoint: Endpoint,
    /// The model the client asked for, decoded.
    pub model: String,
    /// Whether the answer will be a stream.
    pub stream: bool,
    /// The most output tokens the client asks for, over all choices; `None` if it does not say.
    pub output_limit: Option<u64>,
    /// How many bytes of the body may be text; the rest are images, sounds and files.
    pub text_length: usize,
    /// A hash of who the client says the request is for: `prompt_cache_key`, else `user`.
    pub user: Option<u64>,
    /// Where things stand in the body, for rewriting it.
    pub layout: Layout,
}

/// Byte positions in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The body's length.
    pub length: usize,
    /// Right after the outermost `{`: where a field can be inserted.
    pub first_field: usize,
    /// Each value of a top-level `model`.
    pub models: Vec<Range<usize>>,
    /// What the body says about usage in streams.
    pub usage_option: UsageOption,
    /// Where the prompt starts: the value of `messages`, `prompt`, `input` or `contents`.
    pub prompt: usize,
    /// How many bytes of text the prompt has, all that belongs to it together.
    pub text: u64,
}

/// What a body says about `stream_options.include_usage`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UsageOption {
    /// There is no `stream_options`.
    #[default]
    Absent,
    /// `stream_options` is null, or nothing an API would accept: replace the value.
    NoObject(Range<usize>),
    /// `stream_options` is an object without the field; the position is right after its `{`.
    Unset {
        /// Right after the object's `{`.
        first_field: usize,
        /// Whether the object has other fields.
        empty: bool,
    },
    /// The field says something else than `true`.
    Declined(Range<usize>),
    /// The field is `true`.
    Asked,
}

/// Reads a request's facts from its body. `path_model` is the model the path names, where it does (Gemini).
///
/// ```
/// use sluice::{endpoint::Endpoint, facts::read};
///
/// let body = br#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
/// let facts = read(Endpoint::ChatCompletions, None, body)?;
/// assert_eq!((facts.model.as_str(), facts.stream), ("gpt-4o", true));
/// # Ok::<(), sluice::error::ApiError>(())
/// ```
///
/// # Errors
/// A 400 that names the field: not UTF-8, not JSON, no object, no usable `model`, a `stream` that is no
/// boolean.
pub fn read(endpoint: Endpoint, path_model: Option<String>, body: &[u8]) -> Result<Facts, ApiError> {
    // most bodies are ASCII: told without a branch, and so by vector instructions
    let is_ascii = body.iter().fold(0, |all, byte| all | byte) < 0x80;
    if !is_ascii && std::str::from_utf8(body).is_err() {
        return Err(invalid_json("The request body is not valid UTF-8."));
    }
    let mut fields = Fields::default();
    let mut scanner = Scanner::new(body);
    let object = fields.scan(&mut scanner).and_then(|object| scanner.end().map(|()| object));
    match object {
        Ok(true) => {}
        Ok(false) => return Err(invalid_json("The request body must be a JSON object.")),
        Err(JsonError::UnexpectedEnd) if body.is_empty() => {
            return Err(invalid_json("The request body is empty; a JSON object is expected."));
        }
        Err(error) => return Err(invalid_json(format!("The request body is not valid JSON: {error}."))),
    }
    let stream_field = fields.stream()?;
    let model = match path_model {
        Some(model) => {
            fields.layout.models.clear(); // the path decides; a field of that name is the provider's business
            checked_name(model)?
        }
        None => fields.model()?,
    };
    fields.layout.length = body.len();
    let user = fields.cache_key.or(fields.user);
    let output_limit = fields.max_tokens.map(|tokens| tokens.saturating_mul(fields.choices.unwrap_or(1).max(1)));
    let stream = endpoint.streams(stream_field);
    let text_length = body.len().saturating_sub(usize::try_from(fields.data).unwrap_or(usize::MAX));
    Ok(Facts { endpoint, model, stream, output_limit, text_length, user, layout: fields.layout })
}

/// The fields as they stand, before they are judged.
#[derive(Default)]
struct Fields<'a> {
    model: Option<Value<'a>>,
    stream: Option<Value<'a>>,
    user: Option<u64>,
    cache_key: Option<u64>,
    max_tokens: Option<u64>,
    choices: Option<u64>,
    layout: Layout,
    /// How many bytes do not count as text.
    data: u64,
    model_fields: usize,
}

impl<'a> Fields<'a> {
    fn scan(&mut self, scanner: &mut Scanner<'a>) -> Result<bool, JsonError> {
        scanner.peek();
        self.layout.first_field = scanner.position() + 1;
        scanner.object(|key, scanner| {
            if key.is("model") {
                let (value, span) = scanner.spanned()?;
                self.model = Some(value); // the last one wins, as in the parsers behind us
                self.model_fields += 1;
                if self.model_fields <= MAX_MODEL_FIELDS {
                    self.layout.models.push(span);
                }
            } else if key.is("stream") {
                self.stream = Some(scanner.value()?);
            } else if key.is("stream_options") {
                self.layout.usage_option = usage_option(scanner)?;
            } else if key.is("user") {
                self.user = hashed(scanner.value()?);
            } else if key.is("prompt_cache_key") {
                self.cache_key = hashed(scanner.value()?);
            } else if ["max_tokens", "max_completion_tokens", "max_output_tokens"].iter().any(|name| key.is(name)) {
                self.max_tokens = self.max_tokens.max(scanner.value()?.as_count());
            } else if key.is("n") {
                self.choices = self.choices.max(scanner.value()?.as_count());
            } else if key.is("options") || key.is("generationConfig") {
                self.options(scanner)?;
            } else if ["messages", "prompt", "input", "contents"].iter().any(|name| key.is(name)) {
                scanner.peek();
                self.layout.prompt = scanner.position();
                self.add(length_of_prompt(scanner)?);
            } else if INSTRUCTIONS.iter().any(|name| key.is(name)) {
                self.add(length_of_prompt(scanner)?);
            } else if key.is("tools") {
                let (_, span) = scanner.spanned()?;
                self.add(PromptLength::of_text(span.len() as u64)); // their schemas are part of the prompt as they stand
            } else if key.is("images") {
                self.add(length_of_images(scanner)?);
            } else {
                let (_, span) = scanner.spanned()?;
                if span.len() >= LONG {
                    self.add(PromptLength::of_text(span.len() as u64));
                }
            }
            Ok(())
        })
    }

    fn add(&mut self, length: PromptLength) {
        self.layout.text = self.layout.text.saturating_add(length.text);
        self.data = self.data.saturating_add(length.data);
    }

    /// Ollama's and Gemini's place for what OpenAI has at the top.
    fn options(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        scanner.object(|key, scanner| {
            let count = scanner.value()?.as_count();
            if key.is("num_predict") || key.is("maxOutputTokens") {
                self.max_tokens = self.max_tokens.max(count);
            } else if key.is("candidateCount") {
                self.choices = self.choices.max(count);
            }
            Ok(())
        })?;
        Ok(())
    }

    fn model(&self) -> Result<String, ApiError> {
        if self.model_fields > MAX_MODEL_FIELDS {
            let message = format!("`model` stands in the body {} times.", self.model_fields);
            return Err(ApiError::bad_request("invalid_value", Some("model"), message));
        }
        match self.model {
            Some(Value::String(name)) => checked_name(name.decode().into_owned()),
            Some(_) => Err(ApiError::bad_request("invalid_type", Some("model"), "`model` must be a string.")),
            None => {
                let message = "`model` is missing: name the model to use.";
                Err(ApiError::bad_request("missing_required_parameter", Some("model"), message))
            }
        }
    }

    fn stream(&self) -> Result<Option<bool>, ApiError> {
        match self.stream {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(stream)) => Ok(Some(stream)),
            Some(_) => {
                Err(ApiError::bad_request("invalid_type", Some("stream"), "`stream` must be true, false or null."))
            }
        }
    }
}

fn hashed(value: Value<'_>) -> Option<u64> {
    match value {
        Value::String(text) => Some(stable(text.decode().as_bytes())),
        _ => None,
    }
}

fn usage_option(scanner: &mut Scanner<'_>) -> Result<UsageOption, JsonError> {
    scanner.peek();
    let start = scanner.position();
    let mut found = None;
    let mut empty = true;
    let object = scanner.object(|key, scanner| {
        empty = false;
        let (value, span) = scanner.spanned()?;
        if key.is("include_usage") {
            found = Some(if value == Value::Bool(true) { UsageOption::Asked } else { UsageOption::Declined(span) });
        }
        Ok(())
    })?;
    Ok(match (object, found) {
        (false, _) => UsageOption::NoObject(start..scanner.position()),
        (true, Some(found)) => found,
        (true, None) => UsageOption::Unset { first_field: start + 1, empty },
    })
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
