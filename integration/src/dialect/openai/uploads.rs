//! `POST /v1/audio/transcriptions`, `/v1/audio/translations`, `/v1/images/edits` and `/v1/images/variations`.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use hyper::header::{HeaderMap, CONTENT_TYPE};
use serde_json::{json, Value};

use super::with_usage;
use crate::answer::{Answer, Event, Framing, Stream, Text};
use crate::dialect::whole;
use crate::form::{self, Part};
use crate::plan::UsageReport;
use crate::problem::{Dialect, Problem};
use crate::prompt::{Content, Prompt};
use crate::scene::{Scene, Spoken};
use crate::tokens::Pieces;

/// The pretended bytes of sound in a second, and tokens in a second.
const SECOND: usize = 16_000;
const TOKENS: u64 = 10;
/// The pretended tokens of an image.
const IMAGE: u64 = 272;

struct Form<'a>(Vec<Part<'a>>);

impl<'a> Form<'a> {
    fn of(headers: &HeaderMap, body: &'a [u8]) -> Result<Self, Problem> {
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        form::parts(kind, body).map(Form).ok_or_else(|| Problem::bad_request("the body is not a form"))
    }

    fn text(&self, name: &str) -> Option<&str> {
        let part = self.0.iter().find(|part| part.name == name && part.filename.is_none())?;
        std::str::from_utf8(part.content).ok()
    }

    fn required(&self, name: &str) -> Result<&str, Problem> {
        self.text(name).ok_or_else(|| Problem::bad_request(format!("`{name}` is missing")))
    }

    fn file(&self, name: &str) -> Result<&[u8], Problem> {
        let is_it = |part: &&Part<'_>| part.filename.is_some() && part.name.trim_end_matches("[]") == name;
        let file = self.0.iter().find(is_it).map(|part| part.content);
        file.ok_or_else(|| Problem::bad_request(format!("`{name}` is missing")))
    }
}

/// What was said; `whisper-1` reports seconds and does not stream, other models report tokens.
pub fn speech(headers: &HeaderMap, body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    let form = Form::of(headers, body)?;
    let model = form.required("model")?;
    scene.serves(model)?;
    let seconds = form.file("file")?.len().div_ceil(SECOND) as u64;
    let prompt = Content::Text(form.text("prompt").unwrap_or_default().to_owned());
    let spoken = scene.speak(&Prompt::default().said(&prompt), None);
    let old = model.contains("whisper");
    let input = spoken.input + seconds * TOKENS;
    let usage = (scene.plan.usage != UsageReport::Never).then(|| match old {
        true => json!({"type": "duration", "seconds": seconds}),
        false => json!({
            "type": "tokens",
            "input_tokens": input,
            "input_token_details": {"text_tokens": spoken.input, "audio_tokens": seconds * TOKENS},
            "output_tokens": spoken.output,
            "total_tokens": input + spoken.output,
        }),
    });
    if !old && scene.streams(form.text("stream") == Some("true")) {
        let done = json!({"type": "transcript.text.done", "text": spoken.text});
        let closing = vec![Event::data(&with_usage(done, usage.as_ref())).reporting(usage)];
        let delta = |piece: String| Event::data(&json!({"type": "transcript.text.delta", "delta": piece}));
        return Ok(stream(&spoken, delta, closing));
    }
    let text = &spoken.text;
    let (content_type, shown) = match form.text("response_format").unwrap_or("json") {
        "json" | "verbose_json" => return Ok(whole(with_usage(json!({"text": text}), usage.as_ref()), usage)),
        "text" => ("text/plain; charset=utf-8", format!("{text}\n")),
        "srt" => ("text/plain; charset=utf-8", format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n")),
        "vtt" => ("text/vtt; charset=utf-8", format!("WEBVTT\n\n00:00.000 --> 00:01.000\n{text}\n\n")),
        other => return Err(Problem::bad_request(format!("response_format: {other}"))),
    };
    Ok(Answer::Text(Text { content_type, body: shown }))
}

/// Images: the first one again, as often as asked.
pub fn images(headers: &HeaderMap, body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    let form = Form::of(headers, body)?;
    scene.serves(form.required("model")?)?;
    let image = STANDARD.encode(form.file("image")?);
    let prompt = Content::Text(form.text("prompt").unwrap_or_default().to_owned());
    let spoken = scene.speak(&Prompt::default().said(&prompt), None);
    let count: u64 = form.text("n").and_then(|n| n.parse().ok()).unwrap_or(1);
    let usage = (scene.plan.usage != UsageReport::Never).then(|| {
        json!({
            "input_tokens": spoken.input + IMAGE,
            "input_tokens_details": {"text_tokens": spoken.input, "image_tokens": IMAGE},
            "output_tokens": count * IMAGE,
            "total_tokens": spoken.input + IMAGE + count * IMAGE,
        })
    });
    let created = scene.now.as_secs();
    if scene.streams(form.text("stream") == Some("true")) {
        let done = json!({"type": "image_edit.completed", "b64_json": image, "created_at": created});
        let closing = vec![Event::named("image_edit.completed", &with_usage(done, usage.as_ref())).reporting(usage)];
        let partial = move |_| {
            let event = json!({"type": "image_edit.partial_image", "b64_json": image, "partial_image_index": 0});
            Event::named("image_edit.partial_image", &event)
        };
        return Ok(stream(&Spoken { text: "a".to_owned(), output: 1, ..spoken }, partial, closing));
    }
    let data: Vec<Value> = (0..count).map(|_| json!({"b64_json": image})).collect();
    Ok(whole(with_usage(json!({"created": created, "data": data}), usage.as_ref()), usage))
}

fn stream(spoken: &Spoken, event: impl Fn(String) -> Event + Send + 'static, closing: Vec<Event>) -> Answer {
    let failure = Event::data(&Problem::in_stream(Dialect::OpenAi).body(Dialect::OpenAi));
    let middle = Pieces::of(&spoken.text).map(event);
    Answer::Stream(Stream::new(Framing::Sse, Vec::new(), (spoken.output, middle), closing, failure))
}
