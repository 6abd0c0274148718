//! `POST /v1/messages`.

use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::{json, Value};

use super::{not_empty, parse, whole};
use crate::answer::{Answer, Event, Framing, Stream};
use crate::plan::UsageReport;
use crate::problem::{Dialect, Problem};
use crate::prompt::{Content, Message, Prompt};
use crate::scene::{Scene, Spoken};
use crate::tokens::Pieces;

#[derive(Debug, Deserialize)]
struct Request {
    model: String,
    messages: Vec<Message>,
    max_tokens: u64,
    system: Option<Content>,
    stream: Option<bool>,
}

pub fn answer(headers: &HeaderMap, body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    if !headers.contains_key("anthropic-version") {
        return Err(Problem::bad_request("anthropic-version: header is required"));
    }
    let request: Request = parse(body)?;
    scene.serves(&request.model)?;
    not_empty("messages", &request.messages)?;
    let prompt = Prompt::default().instructed(request.system.as_ref()).conversed(&request.messages);
    let spoken = scene.speak(&prompt, Some(request.max_tokens));
    let answer =
        Reply { id: scene.id("msg_"), model: request.model, reporting: scene.plan.usage != UsageReport::Never, spoken };
    Ok(match scene.streams(request.stream == Some(true)) {
        true => answer.stream(),
        false => answer.json(),
    })
}

struct Reply {
    id: String,
    model: String,
    reporting: bool,
    spoken: Spoken,
}

impl Reply {
    fn stop_reason(&self) -> &'static str {
        if self.spoken.cut {
            "max_tokens"
        } else {
            "end_turn"
        }
    }

    /// Usage after this many output tokens.
    fn usage(&self, output: u64) -> Option<Value> {
        self.reporting.then(|| {
            json!({
                "input_tokens": self.spoken.input,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": output,
                "service_tier": "standard",
            })
        })
    }

    fn message(&self, content: &[Value], stop_reason: Option<&str>, usage: Option<&Value>) -> Value {
        let message = json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": content, "stop_reason": stop_reason, "stop_sequence": null,
        });
        with_usage(message, usage)
    }

    fn json(&self) -> Answer {
        let usage = self.usage(self.spoken.output);
        let content = [json!({"type": "text", "text": self.spoken.text})];
        whole(self.message(&content, Some(self.stop_reason()), usage.as_ref()), usage)
    }

    fn stream(self) -> Answer {
        let failure = Problem::in_stream(Dialect::Anthropic).body(Dialect::Anthropic);
        let middle = Pieces::of(&self.spoken.text).map(|piece| {
            let delta = json!({"type": "text_delta", "text": piece});
            event("content_block_delta", json!({"index": 0, "delta": delta}))
        });
        Answer::Stream(Stream::new(
            Framing::Sse,
            self.opening(),
            (self.spoken.output, middle),
            self.closing(),
            Event::named("error", &failure),
        ))
    }

    /// The real server counts the first token, if there is one, before it sends it.
    fn opening(&self) -> Vec<Event> {
        let usage = self.usage(self.spoken.output.min(1));
        let message = self.message(&[], None, usage.as_ref());
        let block = json!({"type": "text", "text": ""});
        vec![
            event("message_start", json!({"message": message})).reporting(usage),
            event("content_block_start", json!({"index": 0, "content_block": block})),
            event("ping", json!({})),
        ]
    }

    /// `message_delta` only reports output, cumulatively; with `message_start` the client knows everything.
    fn closing(&self) -> Vec<Event> {
        let known = self.usage(self.spoken.output);
        let output = self.reporting.then(|| json!({"output_tokens": self.spoken.output}));
        let delta = json!({"stop_reason": self.stop_reason(), "stop_sequence": null});
        let stopped = with_usage(json!({"delta": delta}), output.as_ref());
        vec![
            event("content_block_stop", json!({"index": 0})),
            event("message_delta", stopped).reporting(known),
            event("message_stop", json!({})),
        ]
    }
}

fn with_usage(mut body: Value, usage: Option<&Value>) -> Value {
    if let (Some(object), Some(usage)) = (body.as_object_mut(), usage) {
        object.insert("usage".to_owned(), usage.clone());
    }
    body
}

fn event(kind: &'static str, mut body: Value) -> Event {
    if let Some(object) = body.as_object_mut() {
        object.insert("type".to_owned(), kind.into());
    }
    Event::named(kind, &body)
}
