//! An answer before any fault is applied, and the framings of streams.

use bytes::Bytes;
use serde_json::Value;

/// A dialect's answer to a request.
#[derive(Debug)]
pub enum Answer {
    Json(Json),
    Text(Text),
    Stream(Stream),
}

/// A complete body that is not JSON.
#[derive(Debug)]
pub struct Text {
    pub content_type: &'static str,
    pub body: String,
}

/// A complete body, and the usage it reports, if any.
#[derive(Debug)]
pub struct Json {
    pub body: Value,
    pub usage: Option<Value>,
}

/// One event; `usage` is the usage that the client knows once it has this event.
#[derive(Debug)]
pub struct Event {
    pub name: Option<&'static str>,
    pub data: String,
    pub usage: Option<Value>,
}

/// A stream; its last event ends it properly (`[DONE]`, `message_stop`).
pub struct Stream {
    pub framing: Framing,
    pub events: Box<dyn Iterator<Item = Event> + Send>,
    pub count: u64,
    /// The provider's error event in the middle of a stream.
    pub failure: Event,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({:?}, {} events)", self.framing, self.count)
    }
}

impl Stream {
    /// Events are created while they are sent, so a long answer is never in memory as a whole.
    pub fn new(
        framing: Framing,
        opening: Vec<Event>,
        (pieces, middle): (u64, impl Iterator<Item = Event> + Send + 'static),
        closing: Vec<Event>,
        failure: Event,
    ) -> Self {
        let count = pieces + (opening.len() + closing.len()) as u64;
        let events = Box::new(opening.into_iter().chain(middle).chain(closing));
        Self { framing, events, count, failure }
    }
}

impl Event {
    pub fn data(value: &Value) -> Self {
        Self { name: None, data: value.to_string(), usage: None }
    }

    /// An event with an `event:` line.
    pub fn named(name: &'static str, value: &Value) -> Self {
        Self { name: Some(name), ..Self::data(value) }
    }

    pub fn reporting(self, usage: Option<Value>) -> Self {
        Self { usage, ..self }
    }
}

/// How events are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Sse,
    /// Ollama: a JSON object per line.
    Lines,
    /// Gemini without `alt=sse`: the elements of one JSON array.
    Array,
    /// Bedrock: Amazon's binary messages.
    Binary,
}

/// An event's position in its stream, because an array must be opened and closed.
#[derive(Clone, Copy, Debug)]
pub struct EventPosition {
    pub first: bool,
    pub last: bool,
}

impl Framing {
    pub fn content_type(self) -> &'static str {
        match self {
            Framing::Sse => "text/event-stream; charset=utf-8",
            Framing::Lines => "application/x-ndjson",
            Framing::Array => "application/json; charset=UTF-8",
            Framing::Binary => "application/vnd.amazon.eventstream",
        }
    }

    pub fn encode(self, event: &Event, position: EventPosition) -> Bytes {
        let data = &event.data;
        let text = match self {
            Framing::Sse => match event.name {
                Some(name) => format!("event: {name}\ndata: {data}\n\n"),
                None => format!("data: {data}\n\n"),
            },
            Framing::Binary => return message(event),
            Framing::Lines => format!("{data}\n"),
            Framing::Array => {
                let before = if position.first { "[" } else { ",\r\n" };
                let after = if position.last { "]" } else { "" };
                format!("{before}{data}{after}")
            }
        };
        Bytes::from(text)
    }
}

/// One Amazon message: lengths, headers, the payload, and checksums after the lengths and at the end.
fn message(event: &Event) -> Bytes {
    let name = event.name.unwrap_or_default();
    let (kind, named) = match name.ends_with("Exception") {
        true => ("exception", ":exception-type"),
        false => ("event", ":event-type"),
    };
    let mut headers = Vec::new();
    for (header, value) in [(named, name), (":content-type", "application/json"), (":message-type", kind)] {
        headers.push(header.len() as u8);
        headers.extend_from_slice(header.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let total = 16 + headers.len() + event.data.len();
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&(total as u32).to_be_bytes());
    out.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(event.data.as_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn encoded(framing: Framing) -> String {
        let events = [Event::data(&json!({"a": 1})), Event::named("x", &json!({"b": "ü\n"}))];
        let positions = [EventPosition { first: true, last: false }, EventPosition { first: false, last: true }];
        let bytes: Vec<u8> =
            events.iter().zip(positions).flat_map(|(event, position)| framing.encode(event, position)).collect();
        String::from_utf8(bytes).expect("events are text")
    }

    #[test]
    fn framings() {
        let cases = [
            (Framing::Sse, "data: {\"a\":1}\n\nevent: x\ndata: {\"b\":\"ü\\n\"}\n\n"),
            (Framing::Lines, "{\"a\":1}\n{\"b\":\"ü\\n\"}\n"),
            (Framing::Array, "[{\"a\":1},\r\n{\"b\":\"ü\\n\"}]"),
        ];
        for (framing, want) in cases {
            assert_eq!(encoded(framing), want);
        }
    }
}
