//! `POST /v1/completions`. Several prompts count as one, and get one choice.

use serde::Deserialize;
use serde_json::json;

use super::chunks::{text_choice, Chunks, Shape};
use super::{finish_reason, usage, with_usage, StreamOptions};
use crate::answer::Answer;
use crate::dialect::{parse, whole};
use crate::plan::UsageReport;
use crate::problem::{Dialect, Problem};
use crate::prompt::{Content, Prompt};
use crate::scene::Scene;

#[derive(Debug, Deserialize)]
struct Request {
    model: String,
    prompt: Content,
    max_tokens: Option<u64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

pub fn answer(body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    let request: Request = parse(body)?;
    scene.serves(&request.model)?;
    let spoken = scene.speak(&Prompt::default().said(&request.prompt), request.max_tokens);
    let id = scene.id("cmpl-");
    if scene.streams(request.stream == Some(true)) {
        let asked = StreamOptions::usage_asked(request.stream_options.as_ref());
        let chunks = Chunks::new(Shape::Text, Dialect::OpenAi, id, request.model, asked, scene);
        return Ok(chunks.stream(&spoken));
    }
    let reported = (scene.plan.usage != UsageReport::Never).then(|| usage(spoken.input, spoken.output));
    let body = json!({
        "id": id,
        "object": "text_completion",
        "created": scene.now.as_secs(),
        "model": request.model,
        "choices": [text_choice(&spoken.text, Some(finish_reason(&spoken)))],
        "system_fingerprint": "fp_mock",
    });
    Ok(whole(with_usage(body, reported.as_ref()), reported))
}
