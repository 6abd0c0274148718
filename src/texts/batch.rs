//! Several texts of one request, each answered by a request of its own.

use std::time::Duration;

use super::answer::{put_time, text_field};
use crate::error::{ApiError, Shape};
use crate::prompts::{Kind, TextSettings};
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The longest results of a request together, in bytes.
pub const MAX_RESULTS: usize = 4 << 20;

/// The longest error of a text, in bytes.
const MAX_ERROR: usize = 4 << 10;

/// The texts of a request, and their answers so far.
#[derive(Debug)]
pub struct Batch {
    kind: Kind,
    texts: Vec<String>,
    /// The other fields, as JSON.
    rest: String,
    stream: bool,
    /// How the texts are sent.
    settings: TextSettings,
    /// The next text to be sent.
    next: usize,
    /// The results by place, as JSON.
    results: Vec<Option<String>>,
    /// The places in the order of their results.
    order: Vec<usize>,
    /// The bytes of all results.
    size: usize,
}

impl Batch {
    /// The texts of a request, with its other fields as JSON.
    pub fn new(kind: Kind, texts: Vec<String>, rest: String, stream: bool, settings: TextSettings) -> Self {
        let results = texts.iter().map(|_| None).collect();
        Batch { kind, texts, rest, stream, settings, next: 0, results, order: Vec::new(), size: 0 }
    }

    /// How the texts are sent.
    pub fn settings(&self) -> &TextSettings {
        &self.settings
    }

    /// The endpoint.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The next text's place, and the body of its request; `None` if all have been sent.
    pub fn next_text(&mut self) -> Option<(usize, Vec<u8>)> {
        let place = self.next;
        let text = self.texts.get(place)?;
        self.next += 1;
        let mut out = Writer::with_capacity(text.len() + self.rest.len() + 32);
        out.object(|out| {
            out.put_array("texts", |out| out.string(text));
            out.raw(&self.rest);
        });
        Some((place, out.into_bytes()))
    }

    /// Takes in the answer to a text.
    pub fn answered(&mut self, place: usize, status: u16, body: &[u8]) {
        let raw = Raw::parse(body);
        let result = match (status, raw) {
            (200..=299, Some(raw)) => raw.field("response").and_then(Raw::first).map(|item| item.json().to_owned()),
            _ => raw.and_then(|raw| raw.field("error")).filter(|error| error.is_object()).and_then(|error| {
                let json = error.json();
                (json.len() <= MAX_ERROR).then(|| self.with_error(place, json))
            }),
        };
        match result {
            Some(result) if self.size + result.len() <= MAX_RESULTS => self.put(place, result),
            Some(_) => {
                let message = format!("All answers together are longer than {MAX_RESULTS} bytes.");
                let error = ApiError { code: "answers_too_long", ..ApiError::internal(message) };
                self.failed(place, &error);
            }
            None => self.failed(place, &ApiError::unreadable()),
        }
    }

    /// A text has no answer.
    pub fn failed(&mut self, place: usize, error: &ApiError) {
        let body = error.body(Shape::OpenAi);
        let json = Raw::parse(body.as_bytes()).and_then(|raw| raw.field("error")).map_or("{}", Raw::json);
        let result = self.with_error(place, json);
        self.put(place, result);
    }

    fn put(&mut self, place: usize, result: String) {
        if let Some(slot @ None) = self.results.get_mut(place) {
            self.size += result.len();
            *slot = Some(result);
            self.order.push(place);
        }
    }

    /// An item with an error in place of an answer.
    fn with_error(&self, place: usize, error: &str) -> String {
        let mut out = Writer::default();
        out.object(|out| {
            if let (Some(name), Some(text)) = (text_field(self.kind), self.texts.get(place)) {
                out.put_string(name, text);
            }
            out.put("error", error);
        });
        out.into_string()
    }

    /// Whether every text has its result.
    pub fn is_complete(&self) -> bool {
        self.order.len() == self.texts.len()
    }

    /// The content type and the answer: JSON, or one event for each text in the order of their results. `time`: how
    /// long it took.
    pub fn answer(&self, time: Duration) -> (&'static str, Vec<u8>) {
        let result = |place: usize| self.results.get(place).and_then(Option::as_deref).unwrap_or("null");
        let mut out = Writer::with_capacity(self.size + 64 * self.texts.len());
        if !self.stream {
            out.object(|out| {
                out.put_array("response", |out| (0..self.texts.len()).for_each(|place| out.raw(result(place))));
                put_time(out, time);
            });
            return ("application/json", out.into_bytes());
        }
        for place in &self.order {
            out.event(None, |out| {
                out.put_number("index", *place as u64);
                out.put("response", result(*place));
            });
        }
        out.event(None, |out| put_time(out, time));
        out.text("data: [DONE]\n\n");
        ("text/event-stream", out.into_bytes())
    }
}
