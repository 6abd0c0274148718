//! Ollama: it streams by default, and reports usage as counts next to durations.

use serde::Deserialize;
use serde_json::{json, Map, Value};

use super::{embedding, not_empty, parse, whole};
use crate::answer::{Answer, Event, Framing, Stream};
use crate::clock;
use crate::plan::UsageReport;
use crate::problem::{Dialect, Problem};
use crate::prompt::{Content, Message, Prompt};
use crate::scene::{Scene, Spoken};
use crate::tokens::{self, Pieces};

const DIMENSIONS: usize = 16;
/// The time for each token, so that the durations are plausible.
const NANOS_PER_TOKEN: u64 = 1_000_000;

#[derive(Debug, Deserialize)]
struct ChatRequest {
    model: String,
    messages: Vec<Message>,
    stream: Option<bool>,
    options: Option<Options>,
}

#[derive(Debug, Deserialize)]
struct GenerateRequest {
    model: String,
    prompt: Content,
    system: Option<Content>,
    stream: Option<bool>,
    options: Option<Options>,
}

#[derive(Debug, Deserialize)]
struct EmbedRequest {
    model: String,
    input: EmbedInput,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum EmbedInput {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Options {
    num_predict: Option<i64>,
}

impl Options {
    /// A negative number means no limit.
    fn limit(options: Option<&Self>) -> Option<u64> {
        options?.num_predict.and_then(|number| u64::try_from(number).ok())
    }
}

/// How the two endpoints send text.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Chat,
    Generate,
}

pub fn chat(body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    let request: ChatRequest = parse(body)?;
    scene.serves(&request.model)?;
    not_empty("messages", &request.messages)?;
    let prompt = Prompt::default().conversed(&request.messages);
    let spoken = scene.speak(&prompt, Options::limit(request.options.as_ref()));
    Ok(Reply::new(Shape::Chat, request.model, spoken, scene).answer(scene.streams(request.stream != Some(false))))
}

pub fn generate(body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    let request: GenerateRequest = parse(body)?;
    scene.serves(&request.model)?;
    let prompt = Prompt::default().instructed(request.system.as_ref()).said(&request.prompt);
    let spoken = scene.speak(&prompt, Options::limit(request.options.as_ref()));
    Ok(Reply::new(Shape::Generate, request.model, spoken, scene).answer(scene.streams(request.stream != Some(false))))
}

pub fn embed(body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    let request: EmbedRequest = parse(body)?;
    scene.serves(&request.model)?;
    let texts = match request.input {
        EmbedInput::One(text) => vec![text],
        EmbedInput::Many(texts) => texts,
    };
    let count: u64 = texts.iter().map(|text| tokens::count(text)).sum();
    let vectors: Vec<_> = texts.iter().map(|text| embedding(text, DIMENSIONS)).collect();
    let usage = (scene.plan.usage != UsageReport::Never).then(|| json!({"prompt_eval_count": count}));
    let mut body = json!({
        "model": request.model, "embeddings": vectors,
        "total_duration": count * NANOS_PER_TOKEN, "load_duration": 0,
    });
    merge(&mut body, usage.as_ref());
    Ok(whole(body, usage))
}

pub fn tags(scene: &Scene<'_>) -> Answer {
    let modified = clock::rfc3339(scene.now);
    let model = |name: &str| {
        json!({
            "name": name, "model": name, "modified_at": modified, "size": 0, "digest": "mock",
            "details": {"format": "gguf", "family": "mock", "families": ["mock"],
                "parameter_size": "0B", "quantization_level": "F16"},
        })
    };
    let models: Vec<Value> = scene.listed_models().into_iter().map(model).collect();
    whole(json!({"models": models}), None)
}

struct Reply {
    shape: Shape,
    model: String,
    created_at: String,
    spoken: Spoken,
    usage: Option<Value>,
}

impl Reply {
    fn new(shape: Shape, model: String, spoken: Spoken, scene: &Scene<'_>) -> Self {
        let usage = (scene.plan.usage != UsageReport::Never)
            .then(|| json!({"prompt_eval_count": spoken.input, "eval_count": spoken.output}));
        Self { shape, model, created_at: clock::rfc3339(scene.now), spoken, usage }
    }

    fn answer(self, streamed: bool) -> Answer {
        match streamed {
            true => self.stream(),
            false => whole(self.done(&self.spoken.text), self.usage),
        }
    }

    fn stream(self) -> Answer {
        let failure = Event::data(&Problem::in_stream(Dialect::Ollama).body(Dialect::Ollama));
        let closing = vec![Event::data(&self.done("")).reporting(self.usage.clone())];
        let (count, pieces) = (self.spoken.output, Pieces::of(&self.spoken.text));
        let middle = pieces.map(move |piece| Event::data(&self.line(&piece, false)));
        Answer::Stream(Stream::new(Framing::Lines, Vec::new(), (count, middle), closing, failure))
    }

    fn line(&self, text: &str, done: bool) -> Value {
        let (name, said) = match self.shape {
            Shape::Chat => ("message", json!({"role": "assistant", "content": text})),
            Shape::Generate => ("response", json!(text)),
        };
        let mut line = Map::new();
        line.insert("model".to_owned(), json!(self.model));
        line.insert("created_at".to_owned(), json!(self.created_at));
        line.insert(name.to_owned(), said);
        line.insert("done".to_owned(), json!(done));
        Value::Object(line)
    }

    fn done(&self, text: &str) -> Value {
        let spoken = &self.spoken;
        let mut line = self.line(text, true);
        let timing = json!({
            "done_reason": if spoken.cut { "length" } else { "stop" },
            "total_duration": spoken.total() * NANOS_PER_TOKEN,
            "load_duration": 0,
            "prompt_eval_duration": spoken.input * NANOS_PER_TOKEN,
            "eval_duration": spoken.output * NANOS_PER_TOKEN,
        });
        merge(&mut line, Some(&timing));
        merge(&mut line, self.usage.as_ref());
        line
    }
}

fn merge(body: &mut Value, more: Option<&Value>) {
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.and_then(Value::as_object)) {
        body.extend(more.clone());
    }
}
