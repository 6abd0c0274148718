//! Decides whether a complete body with status 200 is an answer, an error or broken.

use std::ops::ControlFlow;

use crate::endpoint::Endpoint;
use crate::json::{JsonError, Scanner, Value};
use crate::usage::{Boundaries, EventKind, Framing, Meter, UsageReading};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The kind of a complete body with status 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// An answer of the endpoint: one JSON text, or a complete stream of events, which some servers send anyway.
    Answer,
    /// It reports an error.
    Error,
    /// Neither: empty, a web page, cut JSON, another endpoint's answer.
    Broken,
}

impl Document {
    /// Judges a body. If it is nested too deep to judge, it counts as an answer, because another target would answer
    /// the same way.
    ///
    /// ```
    /// use sluice::response_gate::Document;
    /// use sluice::endpoint::Endpoint::ChatCompletions;
    ///
    /// assert_eq!(Document::judge(ChatCompletions, b"{\"choices\":[{}]}\ndata: [DONE]\n"), Document::Answer);
    /// assert_eq!(Document::judge(ChatCompletions, b"{\"error\":{\"code\":500}}"), Document::Error);
    /// assert_eq!(Document::judge(ChatCompletions, b"{\"choices\":[{"), Document::Broken);
    /// assert_eq!(Document::judge(ChatCompletions, b""), Document::Broken);
    /// ```
    pub fn judge(endpoint: Endpoint, body: &[u8]) -> Self {
        let body = body.strip_prefix(BOM).unwrap_or(body).trim_ascii_start();
        match body.first() {
            Some(b'{' | b'[') => match Self::judge_json(endpoint, body) {
                Document::Broken if matches!(endpoint, Endpoint::OllamaChat | Endpoint::OllamaGenerate) => {
                    Self::judge_events(Framing::Ndjson, body)
                }
                judged => judged,
            },
            Some(b'<') | None => Document::Broken,
            Some(_) => Self::judge_events(Framing::Sse, body),
        }
    }

    /// The same for a body that a meter has read: most bodies need not be read again.
    ///
    /// ```
    /// use sluice::response_gate::Document;
    /// use sluice::endpoint::Endpoint::{ChatCompletions, Embeddings};
    /// use sluice::usage::{Framing, Meter};
    ///
    /// let body = b"{\"choices\":[{}]}";
    /// let mut meter = Meter::new(Framing::Json, false);
    /// meter.chunk(body, true);
    /// assert_eq!(Document::judge_metered(ChatCompletions, body, &meter), Document::Answer);
    /// assert_eq!(Document::judge_metered(Embeddings, body, &meter), Document::Broken);
    /// ```
    pub fn judge_metered(endpoint: Endpoint, body: &[u8], meter: &Meter) -> Self {
        match endpoint {
            Endpoint::ChatCompletions | Endpoint::Completions if meter.has_good_choices() => Document::Answer,
            _ => Document::judge(endpoint, body),
        }
    }

    /// Whether a body is an answer.
    pub fn is_answer(endpoint: Endpoint, body: &[u8]) -> bool {
        Document::judge(endpoint, body) == Document::Answer
    }

    fn judge_json(endpoint: Endpoint, body: &[u8]) -> Self {
        let mut scanner = Scanner::new(body);
        let mut marks = Marks::default();
        let scanned = match scanner.peek() {
            // Gemini's array of answers; other servers send errors like this
            Some(b'[') => scanner.array(|scanner| marks.read(endpoint, scanner)).map(|_| ()),
            _ => marks.read(endpoint, &mut scanner),
        };
        let rest = body.get(scanner.position()..).unwrap_or_default();
        match scanned {
            Ok(()) if !is_end(rest) => Document::Broken,
            Ok(()) if marks.error => Document::Error,
            Ok(()) if marks.answer => Document::Answer,
            Ok(()) => Document::Broken,
            Err(JsonError::TooDeep) => Document::Answer,
            Err(JsonError::UnexpectedEnd | JsonError::Unexpected { .. }) => Document::Broken,
        }
    }

    /// Judges a stream of events where JSON was requested: a complete one has a last event and at least one other
    /// event.
    fn judge_events(framing: Framing, body: &[u8]) -> Self {
        let (mut boundaries, mut reading) = (Boundaries::default(), UsageReading::default());
        let (mut begun, mut complete) = (false, false);
        let mut start = 0;
        while start < body.len() {
            let stop = boundaries.next(framing, body).unwrap_or(body.len());
            let event = reading.read_event(framing, body.get(start..stop).unwrap_or_default());
            match judge_event(event) {
                ControlFlow::Break(document) => return document,
                ControlFlow::Continue(EventRole::Nothing) => {}
                ControlFlow::Continue(EventRole::Content) => begun = true,
                ControlFlow::Continue(EventRole::End) => (begun, complete) = (true, true),
                ControlFlow::Continue(EventRole::Done) => complete = true,
            }
            start = stop;
        }
        let finished = framing == Framing::Sse && reading.is_finished();
        match begun && (complete || finished) {
            true => Document::Answer,
            false => Document::Broken,
        }
    }
}

/// The role of an event in a complete stream.
enum EventRole {
    Nothing,
    Content,
    End,
    Done,
}

fn judge_event(event: Option<EventKind>) -> ControlFlow<Document, EventRole> {
    ControlFlow::Continue(match event {
        None | Some(EventKind::Preliminary | EventKind::UsageOnly) => EventRole::Nothing,
        Some(EventKind::Content) => EventRole::Content,
        Some(EventKind::Terminal) => EventRole::End,
        Some(EventKind::Done) => EventRole::Done,
        Some(EventKind::Error | EventKind::Failure) => return ControlFlow::Break(Document::Error),
        Some(EventKind::Garbage) => return ControlFlow::Break(Document::Broken),
    })
}

/// The relevant members of an answer.
#[derive(Default)]
struct Marks {
    answer: bool,
    error: bool,
}

impl Marks {
    fn read(&mut self, endpoint: Endpoint, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let members = members(endpoint);
        scanner.object(|key, scanner| {
            match key.raw() {
                b"error" => self.error |= is_something(scanner.value()?),
                b"object" | b"type" => {
                    self.error |= matches!(scanner.value()?, Value::String(kind) if kind.raw() == b"error");
                }
                // OpenRouter reports a failure within the choice
                b"choices" => {
                    let mut failed = false;
                    self.answer |= scanner.array(|scanner| {
                        failed |= is_failed(scanner)?;
                        Ok(())
                    })? && members.contains(&"choices");
                    self.error |= failed;
                }
                key => {
                    let value = scanner.value()?;
                    self.answer |= value != Value::Null && members.iter().any(|member| member.as_bytes() == key);
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// The members of each endpoint's answer; an answer has at least one of them.
fn members(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions => &["choices"],
        Endpoint::Embeddings => &["data"],
        Endpoint::Responses => &["output"],
        Endpoint::Messages => &["content"],
        Endpoint::OllamaChat => &["message", "done"],
        Endpoint::OllamaGenerate => &["response", "done"],
        Endpoint::OllamaEmbed => &["embeddings", "embedding"],
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => {
            &["candidates", "promptFeedback", "usageMetadata"]
        }
        Endpoint::Converse | Endpoint::ConverseStream => &["output"],
        Endpoint::Further(further) => further.answer_members().unwrap_or_default(),
    }
}

/// Whether a choice is an error instead of a text.
fn is_failed(scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
    let mut failed = false;
    scanner.object(|key, scanner| {
        let value = scanner.value()?;
        failed |= key.raw() == b"error" && is_something(value);
        Ok(())
    })?;
    Ok(failed)
}

/// Some servers write an empty `error` into every answer.
fn is_something(value: Value<'_>) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && !matches!(value, Value::String(text) if text.is(""))
}

/// Whether a document ends here, or is only followed by a stream's end marker, as some servers send it.
fn is_end(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii();
    let data = rest.strip_prefix(b"data:").map(<[u8]>::trim_ascii_start);
    rest.is_empty() || data == Some(b"[DONE]")
}
