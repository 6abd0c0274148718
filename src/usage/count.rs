//! Asks a server to count a prompt's tokens, if it can count but does not report usage.

use std::time::Duration;

use super::Format;
use crate::endpoint::Endpoint;
use crate::json::{write_string, JsonError, Scanner, Value};

/// How an upstream's answers are metered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metering {
    /// The fields to read.
    pub format: Format,
    /// Where to count a prompt's tokens, if the answers report none.
    pub count: Option<Counter>,
}

/// An upstream's endpoint that counts tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its path, from the server's root.
    pub path: String,
    /// The timeout; after it, the estimate stays.
    pub timeout: Duration,
}

/// The default timeout.
pub const COUNT_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest answer that is read: vLLM's includes the tokens themselves.
pub const MAX_COUNT_ANSWER: usize = 1 << 20;

/// The endpoint's kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestShape {
    /// vLLM's `/tokenize`: the model, and `messages` or `prompt`.
    Tokenize,
    /// `/extras/tokenize/count`: a string, or the whole chat request.
    Extras,
}

/// The prompt's parts as written in a body.
#[derive(Default)]
struct Parts<'a> {
    messages: Option<&'a [u8]>,
    /// `prompt` or `input`.
    prompt: Option<Prompt<'a>>,
    /// The separate parts: `system`, `instructions`.
    system: Option<&'a [u8]>,
    tools: Option<&'a [u8]>,
}

struct Prompt<'a> {
    json: &'a [u8],
    is_string: bool,
}

impl Counter {
    /// The body that asks for the tokens of the prompt in `body`, which was sent to this model. `None` if the endpoint
    /// does not support the prompt: several prompts, or another dialect's.
    ///
    /// ```
    /// use sluice::endpoint::Endpoint;
    /// use sluice::usage::{Counter, COUNT_TIMEOUT};
    ///
    /// let counter = Counter { path: "/tokenize".into(), timeout: COUNT_TIMEOUT };
    /// let body = br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    /// let asked = counter.request(Endpoint::ChatCompletions, "llama", body).unwrap();
    /// assert_eq!(asked, br#"{"model":"llama","messages":[{"role":"user","content":"Hi"}]}"#);
    /// ```
    pub fn request(&self, endpoint: Endpoint, model: &str, body: &[u8]) -> Option<Vec<u8>> {
        let parts = Parts::of(body).ok()?;
        match endpoint {
            Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::OllamaChat => parts.chat(model),
            Endpoint::Completions
            | Endpoint::Embeddings
            | Endpoint::Responses
            | Endpoint::OllamaGenerate
            | Endpoint::OllamaEmbed => parts.text(self.form(), model),
            Endpoint::GenerateContent
            | Endpoint::StreamGenerateContent
            | Endpoint::Converse
            | Endpoint::ConverseStream
            | Endpoint::Further(_) => None,
        }
    }

    /// Whether it takes the requests of `/extras/tokenize/count`, not those of `/tokenize`.
    pub fn is_extras(&self) -> bool {
        self.path.ends_with("/extras/tokenize/count")
    }

    fn form(&self) -> RequestShape {
        match self.is_extras() {
            true => RequestShape::Extras,
            false => RequestShape::Tokenize,
        }
    }
}

/// Reads the answer: a number, or an object with a number called `count`. `None` for anything else.
///
/// ```
/// use sluice::usage::read_count;
///
/// assert_eq!(read_count(200, br#"{"count":12,"max_model_len":4096,"tokens":[1,2]}"#), Some(12));
/// assert_eq!(read_count(200, b"12"), Some(12));
/// assert_eq!(read_count(404, b"12"), None);
/// ```
pub fn read_count(status: u16, answer: &[u8]) -> Option<u64> {
    if status != 200 || answer.len() > MAX_COUNT_ANSWER {
        return None;
    }
    let mut scanner = Scanner::new(answer);
    let mut count = None;
    if scanner.peek() == Some(b'{') {
        let field = |key: crate::json::Text<'_>, scanner: &mut Scanner<'_>| {
            let value = scanner.value()?;
            if key.is("count") {
                count = value.as_count();
            }
            Ok(())
        };
        scanner.object(field).ok()?;
    } else {
        count = scanner.value().ok()?.as_count();
    }
    scanner.end().ok()?;
    count
}

impl<'a> Parts<'a> {
    fn of(body: &'a [u8]) -> Result<Self, JsonError> {
        let mut parts = Parts::default();
        let mut scanner = Scanner::new(body);
        scanner.object(|key, scanner| {
            let (value, span) = scanner.spanned()?;
            let json = body.get(span).filter(|_| value != Value::Null);
            if key.is("messages") {
                parts.messages = json.filter(|_| value == Value::Array { empty: false });
            } else if key.is("prompt") || key.is("input") {
                parts.prompt = json.map(|json| Prompt { json, is_string: matches!(value, Value::String(_)) });
            } else if key.is("system") || key.is("instructions") {
                parts.system = json;
            } else if key.is("tools") {
                parts.tools = json;
            }
            Ok(())
        })?;
        Ok(parts)
    }

    /// Both kinds accept a chat request's own fields. Anthropic's `system` becomes the first message, as servers
    /// translate it.
    fn chat(&self, model: &str) -> Option<Vec<u8>> {
        let mut out = String::from(r#"{"model":"#);
        write_string(&mut out, model);
        out.push_str(r#","messages":"#);
        let mut out = out.into_bytes();
        match (self.messages?, self.system) {
            (messages, None) => out.extend_from_slice(messages),
            (messages, Some(system)) => {
                out.extend_from_slice(br#"[{"role":"system","content":"#);
                out.extend_from_slice(system);
                out.extend_from_slice(b"},");
                out.extend_from_slice(messages.strip_prefix(b"[")?);
            }
        }
        if let Some(tools) = self.tools {
            out.extend_from_slice(br#","tools":"#);
            out.extend_from_slice(tools);
        }
        out.push(b'}');
        Some(out)
    }

    fn text(&self, form: RequestShape, model: &str) -> Option<Vec<u8>> {
        let prompt = self.prompt.as_ref().filter(|prompt| prompt.is_string && self.system.is_none())?;
        match form {
            RequestShape::Extras => Some(prompt.json.to_vec()),
            RequestShape::Tokenize => {
                let mut out = String::from(r#"{"model":"#);
                write_string(&mut out, model);
                out.push_str(r#","prompt":"#);
                let mut out = out.into_bytes();
                out.extend_from_slice(prompt.json);
                out.push(b'}');
                Some(out)
            }
        }
    }
}
