//! `generateContent` and `streamGenerateContent`: every chunk of a stream reports the usage so far.

use serde::Deserialize;
use serde_json::{json, Value};

use super::{embedding, not_empty, parse, whole};
use crate::answer::{Answer, Event, Framing, Stream};
use crate::plan::UsageReport;
use crate::problem::{Dialect, Problem};
use crate::prompt::{Content, Part, Prompt};
use crate::route::Delivery;
use crate::scene::{Scene, Spoken};
use crate::tokens::Pieces;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    contents: Vec<Turn>,
    #[serde(alias = "system_instruction")]
    system_instruction: Option<Turn>,
    #[serde(alias = "generation_config")]
    generation_config: Option<GenerationConfig>,
}

/// A turn without a role is the user's.
#[derive(Debug, Deserialize)]
struct Turn {
    role: Option<String>,
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Batch {
    requests: Vec<Embed>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Embed {
    model: String,
    content: Turn,
    output_dimensionality: Option<usize>,
}

/// `batchEmbedContents`: reports no usage.
pub fn embed(body: &[u8], model: &str, scene: &Scene<'_>) -> Result<Answer, Problem> {
    let batch: Batch = parse(body)?;
    scene.serves(model)?;
    not_empty("requests", &batch.requests)?;
    let mut embeddings = Vec::new();
    for request in batch.requests {
        if request.model.strip_prefix("models/") != Some(model) {
            return Err(Problem::bad_request("the model in a request is not the model in the path"));
        }
        let text = Prompt::default().said(&Content::Parts(request.content.parts)).last_user_text;
        embeddings.push(json!({"values": embedding(&text, request.output_dimensionality.unwrap_or(16))}));
    }
    Ok(whole(json!({"embeddings": embeddings}), None))
}

pub fn answer(body: &[u8], model: String, delivery: Delivery, scene: &Scene<'_>) -> Result<Answer, Problem> {
    let request: Request = parse(body)?;
    scene.serves(&model)?;
    not_empty("contents", &request.contents)?;
    let limit = request.generation_config.as_ref().and_then(|config| config.max_output_tokens);
    let reply = Reply {
        id: scene.id("mock"),
        model,
        reporting: scene.plan.usage != UsageReport::Never,
        spoken: scene.speak(&prompt(request), limit),
    };
    Ok(match delivery {
        Delivery::Sse if scene.streams(true) => reply.stream(Framing::Sse),
        Delivery::Array if scene.streams(true) => reply.stream(Framing::Array),
        Delivery::Whole | Delivery::Sse | Delivery::Array => reply.json(),
    })
}

fn prompt(request: Request) -> Prompt {
    let system = request.system_instruction.map(|turn| Content::Parts(turn.parts));
    let prompt = Prompt::default().instructed(system.as_ref());
    request.contents.into_iter().fold(prompt, |prompt, turn| {
        let content = Content::Parts(turn.parts);
        match turn.role.as_deref() {
            Some("user") | None => prompt.said(&content),
            Some(_) => prompt.instructed(Some(&content)),
        }
    })
}

struct Reply {
    id: String,
    model: String,
    reporting: bool,
    spoken: Spoken,
}

impl Reply {
    /// Usage after this many output tokens.
    fn usage(&self, output: u64) -> Option<Value> {
        self.reporting.then(|| {
            json!({
                "promptTokenCount": self.spoken.input,
                "candidatesTokenCount": output,
                "totalTokenCount": self.spoken.input + output,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.spoken.input}],
            })
        })
    }

    fn finish_reason(&self) -> &'static str {
        if self.spoken.cut {
            "MAX_TOKENS"
        } else {
            "STOP"
        }
    }

    fn chunk(&self, text: &str, finish_reason: Option<&str>, usage: Option<&Value>) -> Value {
        let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
        put(&mut candidate, "finishReason", finish_reason.map(Value::from));
        let mut chunk = json!({
            "candidates": [candidate], "modelVersion": self.model, "responseId": self.id,
        });
        put(&mut chunk, "usageMetadata", usage.cloned());
        chunk
    }

    fn json(&self) -> Answer {
        let usage = self.usage(self.spoken.output);
        whole(self.chunk(&self.spoken.text, Some(self.finish_reason()), usage.as_ref()), usage)
    }

    fn stream(self, framing: Framing) -> Answer {
        let failure = Event::data(&Problem::in_stream(Dialect::Gemini).body(Dialect::Gemini));
        let closing = vec![self.event("", Some(self.finish_reason()), self.spoken.output)];
        let (count, pieces) = (self.spoken.output, Pieces::of(&self.spoken.text));
        let middle = (1..).zip(pieces).map(move |(output, piece)| self.event(&piece, None, output));
        Answer::Stream(Stream::new(framing, Vec::new(), (count, middle), closing, failure))
    }

    fn event(&self, text: &str, finish_reason: Option<&str>, output: u64) -> Event {
        let usage = self.usage(output);
        Event::data(&self.chunk(text, finish_reason, usage.as_ref())).reporting(usage)
    }
}

fn put(body: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (body.as_object_mut(), value) {
        object.insert(name.to_owned(), value);
    }
}
