//! `POST /model/{model}/converse` and `/converse-stream`.

use serde::Deserialize;
use serde_json::{json, Value};

use super::{not_empty, parse, whole};
use crate::answer::{Answer, Event, Framing, Stream};
use crate::plan::UsageReport;
use crate::problem::{Dialect, Problem};
use crate::prompt::{Content, Message, Part, Prompt};
use crate::scene::{Scene, Spoken};
use crate::tokens::Pieces;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    messages: Vec<Message>,
    #[serde(default)]
    system: Vec<Part>,
    inference_config: Option<InferenceConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InferenceConfig {
    max_tokens: Option<u64>,
}

pub fn answer(body: &[u8], model: &str, stream: bool, scene: &Scene<'_>) -> Result<Answer, Problem> {
    let request: Request = parse(body)?;
    scene.serves(model)?;
    not_empty("messages", &request.messages)?;
    let system = Content::Parts(request.system);
    let prompt = Prompt::default().instructed(Some(&system)).conversed(&request.messages);
    let limit = request.inference_config.and_then(|config| config.max_tokens);
    let reply = Reply { reporting: scene.plan.usage != UsageReport::Never, spoken: scene.speak(&prompt, limit) };
    Ok(match scene.streams(stream) {
        true => reply.stream(),
        false => reply.json(),
    })
}

struct Reply {
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

    fn usage(&self) -> Option<Value> {
        let (input, output) = (self.spoken.input, self.spoken.output);
        self.reporting.then(|| json!({"inputTokens": input, "outputTokens": output, "totalTokens": input + output}))
    }

    fn json(&self) -> Answer {
        let usage = self.usage();
        let message = json!({"role": "assistant", "content": [{"text": self.spoken.text}]});
        let mut body = json!({
            "output": {"message": message}, "stopReason": self.stop_reason(), "metrics": {"latencyMs": 1},
        });
        if let (Some(object), Some(usage)) = (body.as_object_mut(), &usage) {
            object.insert("usage".to_owned(), usage.clone());
        }
        whole(body, usage)
    }

    fn stream(self) -> Answer {
        let failure = Problem::in_stream(Dialect::Converse).body(Dialect::Converse);
        let middle = Pieces::of(&self.spoken.text)
            .map(|piece| Event::named("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": piece}})));
        let opening = vec![Event::named("messageStart", &json!({"role": "assistant"}))];
        let usage = self.usage();
        let mut metadata = json!({"metrics": {"latencyMs": 1}});
        if let (Some(object), Some(usage)) = (metadata.as_object_mut(), &usage) {
            object.insert("usage".to_owned(), usage.clone());
        }
        let closing = vec![
            Event::named("contentBlockStop", &json!({"contentBlockIndex": 0})),
            Event::named("messageStop", &json!({"stopReason": self.stop_reason()})),
            Event::named("metadata", &metadata).reporting(usage),
        ];
        let failure = Event::named("serviceUnavailableException", &failure);
        Answer::Stream(Stream::new(Framing::Binary, opening, (self.spoken.output, middle), closing, failure))
    }
}
