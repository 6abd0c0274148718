//! The chunks of streamed chat and text completions, and where usage goes in them.

use serde_json::{json, Value};

use super::{finish_reason, usage};
use crate::answer::{Answer, Event, Framing, Stream};
use crate::plan::UsageReport;
use crate::problem::{Dialect, Problem};
use crate::scene::{Scene, Spoken};
use crate::tokens::Pieces;

/// The API of the chunks.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Chat,
    Text,
}

/// Where a stream reports usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UsagePlace {
    /// Not requested, or never reported.
    Nowhere,
    /// A last chunk without choices, as documented.
    OwnChunk,
    /// The last chunk with choices (LiteLLM).
    FinishChunk,
    /// Every chunk, as running totals (vLLM), and a last one without choices.
    EveryChunk,
}

/// Makes the chunks of one stream.
#[derive(Clone, Debug)]
pub struct Chunks {
    shape: Shape,
    dialect: Dialect,
    id: String,
    model: String,
    created: u64,
    place: UsagePlace,
}

impl Chunks {
    pub fn new(
        shape: Shape,
        dialect: Dialect,
        id: String,
        model: String,
        usage_asked: bool,
        scene: &Scene<'_>,
    ) -> Self {
        let place = match (usage_asked, scene.plan.usage) {
            (false, _) | (true, UsageReport::Never) => UsagePlace::Nowhere,
            (true, UsageReport::AsDocumented) => UsagePlace::OwnChunk,
            (true, UsageReport::OnLastChunk) => UsagePlace::FinishChunk,
            (true, UsageReport::Continuous) => UsagePlace::EveryChunk,
        };
        Self { shape, dialect, id, model, created: scene.now.as_secs(), place }
    }

    pub fn stream(self, spoken: &Spoken) -> Answer {
        let (input, output) = (spoken.input, spoken.output);
        let opening = self.opening().map(|choice| self.chunk(&[choice], self.running(input, 0)));
        let closing = self.closing(spoken);
        let failure = Event::data(&Problem::in_stream(self.dialect).body(self.dialect));
        let middle = (1..)
            .zip(Pieces::of(&spoken.text))
            .map(move |(count, piece)| self.chunk(&[self.piece(&piece)], self.running(input, count)));
        let opening = opening.into_iter().collect();
        Answer::Stream(Stream::new(Framing::Sse, opening, (output, middle), closing, failure))
    }

    /// The finish chunk, the usage chunk if there is one, and `[DONE]`.
    fn closing(&self, spoken: &Spoken) -> Vec<Event> {
        let totals = usage(spoken.input, spoken.output);
        let on_finish = match self.place {
            UsagePlace::Nowhere | UsagePlace::OwnChunk => None,
            UsagePlace::FinishChunk | UsagePlace::EveryChunk => Some(totals.clone()),
        };
        let own_chunk = match self.place {
            UsagePlace::Nowhere | UsagePlace::FinishChunk => None,
            UsagePlace::OwnChunk | UsagePlace::EveryChunk => Some(self.chunk(&[], Some(totals))),
        };
        let done = Event { name: None, data: "[DONE]".to_owned(), usage: None };
        let finish = self.chunk(&[self.finish(finish_reason(spoken))], on_finish);
        [Some(finish), own_chunk, Some(done)].into_iter().flatten().collect()
    }

    fn running(&self, input: u64, output: u64) -> Option<Value> {
        (self.place == UsagePlace::EveryChunk).then(|| usage(input, output))
    }

    /// If usage is to be reported, chunks without it say `null`.
    fn chunk(&self, choices: &[Value], reported: Option<Value>) -> Event {
        let mut chunk = json!({
            "id": self.id,
            "object": self.object(),
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "fp_mock",
            "choices": choices,
        });
        if self.place != UsagePlace::Nowhere {
            if let Some(object) = chunk.as_object_mut() {
                object.insert("usage".to_owned(), reported.clone().unwrap_or(Value::Null));
            }
        }
        Event::data(&chunk).reporting(reported)
    }

    fn object(&self) -> &'static str {
        match self.shape {
            Shape::Chat => "chat.completion.chunk",
            Shape::Text => "text_completion",
        }
    }

    fn opening(&self) -> Option<Value> {
        match self.shape {
            Shape::Chat => Some(chat_choice(&json!({"role": "assistant", "content": "", "refusal": null}), None)),
            Shape::Text => None,
        }
    }

    fn piece(&self, text: &str) -> Value {
        match self.shape {
            Shape::Chat => chat_choice(&json!({"content": text}), None),
            Shape::Text => text_choice(text, None),
        }
    }

    fn finish(&self, reason: &str) -> Value {
        match self.shape {
            Shape::Chat => chat_choice(&json!({}), Some(reason)),
            Shape::Text => text_choice("", Some(reason)),
        }
    }
}

fn chat_choice(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason})
}

/// The only choice of a text completion, complete or in part.
pub fn text_choice(text: &str, finish_reason: Option<&str>) -> Value {
    json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish_reason})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use std::time::Duration;

    /// For every chunk: its number of choices, and the completion tokens it reports.
    fn outline(asked: bool, report: UsageReport) -> Vec<String> {
        let plan = Plan { usage: report, ..Plan::default() };
        let scene = Scene { name: "m", models: &[], plan: &plan, now: Duration::ZERO, serial: 0 };
        let spoken = Spoken { text: "a b".into(), input: 1, output: 2, cut: false };
        let chunks = Chunks::new(Shape::Chat, Dialect::OpenAi, "i".into(), "x".into(), asked, &scene);
        let Answer::Stream(stream) = chunks.stream(&spoken) else { panic!("not a stream") };
        let count = stream.count;
        let events: Vec<String> = stream.events.map(|event| describe(&event)).collect();
        assert_eq!(events.len() as u64, count);
        events
    }

    fn describe(event: &Event) -> String {
        let Ok(chunk) = serde_json::from_str::<Value>(&event.data) else {
            return event.data.clone();
        };
        let choices = chunk["choices"].as_array().map_or(0, Vec::len);
        assert_eq!(event.usage.as_ref(), chunk.get("usage").filter(|usage| !usage.is_null()));
        match chunk.get("usage") {
            None => format!("{choices}"),
            Some(usage) => format!("{choices} {}", usage["completion_tokens"]),
        }
    }

    #[test]
    fn usage_is_in_the_requested_chunk() {
        let cases: [(bool, UsageReport, &[&str]); 5] = [
            (false, UsageReport::AsDocumented, &["1", "1", "1", "1", "[DONE]"]),
            (true, UsageReport::Never, &["1", "1", "1", "1", "[DONE]"]),
            (true, UsageReport::AsDocumented, &["1 null", "1 null", "1 null", "1 null", "0 2", "[DONE]"]),
            (true, UsageReport::OnLastChunk, &["1 null", "1 null", "1 null", "1 2", "[DONE]"]),
            (true, UsageReport::Continuous, &["1 0", "1 1", "1 2", "1 2", "0 2", "[DONE]"]),
        ];
        for (asked, report, want) in cases {
            assert_eq!(outline(asked, report), want, "{asked} {report:?}");
        }
    }
}
