//! `POST /v1/responses`: a stream contains the response object at its start, and again, completed, at its end.

use serde::Deserialize;
use serde_json::{json, Value};

use crate::answer::{Answer, Event, Framing, Stream};
use crate::dialect::{not_empty, parse, whole};
use crate::plan::UsageReport;
use crate::problem::{Dialect, Problem};
use crate::prompt::{Content, Prompt};
use crate::scene::{Scene, Spoken};
use crate::tokens::Pieces;

/// The events of every stream before its first delta.
const BEFORE_DELTAS: u64 = 4;

#[derive(Debug, Deserialize)]
struct Request {
    model: String,
    input: Input,
    instructions: Option<String>,
    max_output_tokens: Option<u64>,
    stream: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Items(Vec<Item>),
}

/// An item without a role (a tool's output) is not the user's.
#[derive(Debug, Deserialize)]
struct Item {
    role: Option<String>,
    content: Option<Content>,
}

pub fn answer(body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    let request: Request = parse(body)?;
    scene.serves(&request.model)?;
    let instructions = request.instructions.clone().map(Content::Text);
    let prompt = said(Prompt::default().instructed(instructions.as_ref()), &request.input)?;
    let spoken = scene.speak(&prompt, request.max_output_tokens);
    let response = ResponseObject {
        id: scene.id("resp_"),
        message_id: scene.id("msg_"),
        created: scene.now.as_secs(),
        usage: (scene.plan.usage != UsageReport::Never).then(|| usage(&spoken)),
        streaming: scene.streams(request.stream == Some(true)),
        request,
        spoken,
    };
    Ok(if response.streaming { response.stream() } else { whole(response.done(), response.usage.clone()) })
}

fn said(prompt: Prompt, input: &Input) -> Result<Prompt, Problem> {
    match input {
        Input::Text(text) => Ok(prompt.said(&Content::Text(text.clone()))),
        Input::Items(items) => {
            not_empty("input", items)?;
            Ok(items.iter().fold(prompt, |prompt, item| match (&item.content, item.role.as_deref()) {
                (Some(content), Some("user")) => prompt.said(content),
                (content, _) => prompt.instructed(content.as_ref()),
            }))
        }
    }
}

fn usage(spoken: &Spoken) -> Value {
    json!({
        "input_tokens": spoken.input,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": spoken.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": spoken.total(),
    })
}

struct ResponseObject {
    id: String,
    message_id: String,
    created: u64,
    usage: Option<Value>,
    streaming: bool,
    request: Request,
    spoken: Spoken,
}

impl ResponseObject {
    fn begun(&self) -> Value {
        self.with("in_progress", &[], None)
    }

    fn done(&self) -> Value {
        self.with(self.final_status(), &[self.message(self.final_status(), &[self.part()])], self.usage.as_ref())
    }

    fn final_status(&self) -> &'static str {
        if self.spoken.cut {
            "incomplete"
        } else {
            "completed"
        }
    }

    fn part(&self) -> Value {
        text_part(&self.spoken.text)
    }

    fn message(&self, status: &str, content: &[Value]) -> Value {
        json!({
            "type": "message", "id": self.message_id, "status": status, "role": "assistant",
            "content": content,
        })
    }

    fn with(&self, status: &str, output: &[Value], usage: Option<&Value>) -> Value {
        let incomplete = (status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
        json!({
            "id": self.id, "object": "response", "created_at": self.created, "status": status,
            "background": false, "error": null, "incomplete_details": incomplete,
            "instructions": self.request.instructions,
            "max_output_tokens": self.request.max_output_tokens,
            "model": self.request.model, "output": output, "parallel_tool_calls": true,
            "previous_response_id": null, "reasoning": {"effort": null, "summary": null},
            "service_tier": "default", "store": true, "temperature": 1.0,
            "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "truncation": "disabled", "usage": usage, "user": null, "metadata": {},
        })
    }

    fn stream(self) -> Answer {
        let opening = self.opening();
        let closing = self.closing();
        let failure = Event::named("error", &Problem::in_stream(Dialect::OpenAi).responses_event());
        let (count, item) = (self.spoken.output, self.message_id);
        let middle = (BEFORE_DELTAS..).zip(Pieces::of(&self.spoken.text)).map(move |(number, piece)| {
            let mut event = within_part(&item);
            put(&mut event, "delta", json!(piece));
            put(&mut event, "logprobs", json!([]));
            numbered("response.output_text.delta", number, event)
        });
        Answer::Stream(Stream::new(Framing::Sse, opening, (count, middle), closing, failure))
    }

    fn opening(&self) -> Vec<Event> {
        let mut part = within_part(&self.message_id);
        put(&mut part, "part", text_part(""));
        let item = self.message("in_progress", &[]);
        vec![
            numbered("response.created", 0, json!({"response": self.begun()})),
            numbered("response.in_progress", 1, json!({"response": self.begun()})),
            numbered("response.output_item.added", 2, json!({"output_index": 0, "item": item})),
            numbered("response.content_part.added", 3, part),
        ]
    }

    fn closing(&self) -> Vec<Event> {
        let first = BEFORE_DELTAS + self.spoken.output;
        let mut text = within_part(&self.message_id);
        put(&mut text, "text", json!(self.spoken.text));
        put(&mut text, "logprobs", json!([]));
        let mut part = within_part(&self.message_id);
        put(&mut part, "part", self.part());
        let item = self.message(self.final_status(), &[self.part()]);
        let last = if self.spoken.cut { "response.incomplete" } else { "response.completed" };
        vec![
            numbered("response.output_text.done", first, text),
            numbered("response.content_part.done", first + 1, part),
            numbered("response.output_item.done", first + 2, json!({"output_index": 0, "item": item})),
            numbered(last, first + 3, json!({"response": self.done()})).reporting(self.usage.clone()),
        ]
    }
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn within_part(item: &str) -> Value {
    json!({"item_id": item, "output_index": 0, "content_index": 0})
}

fn numbered(kind: &'static str, number: u64, mut event: Value) -> Event {
    put(&mut event, "type", json!(kind));
    put(&mut event, "sequence_number", json!(number));
    Event::named(kind, &event)
}

fn put(event: &mut Value, name: &str, value: Value) {
    if let Some(object) = event.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}
