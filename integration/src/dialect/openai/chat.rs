//! `POST /v1/chat/completions`, and the same for an Azure deployment.

use serde::Deserialize;
use serde_json::json;

use super::chunks::{Chunks, Shape};
use super::{finish_reason, usage, with_usage, StreamOptions};
use crate::answer::Answer;
use crate::dialect::{not_empty, parse, whole};
use crate::plan::UsageReport;
use crate::problem::{Dialect, Problem};
use crate::prompt::{Message, Prompt};
use crate::scene::Scene;

#[derive(Debug, Deserialize)]
struct Request {
    model: Option<String>,
    messages: Vec<Message>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

/// On Azure the deployment in the path is the model, so the body may omit it.
pub fn answer(body: &[u8], deployment: Option<String>, scene: &Scene<'_>) -> Result<Answer, Problem> {
    let request: Request = parse(body)?;
    let dialect = if deployment.is_some() { Dialect::Azure } else { Dialect::OpenAi };
    let model =
        deployment.or(request.model).ok_or_else(|| Problem::bad_request("you must provide a model parameter"))?;
    scene.serves(&model)?;
    not_empty("messages", &request.messages)?;
    let limit = request.max_completion_tokens.or(request.max_tokens);
    let spoken = scene.speak(&Prompt::default().conversed(&request.messages), limit);
    let id = scene.id("chatcmpl-");
    if scene.streams(request.stream == Some(true)) {
        let asked = StreamOptions::usage_asked(request.stream_options.as_ref());
        let chunks = Chunks::new(Shape::Chat, dialect, id, model, asked, scene);
        return Ok(chunks.stream(&spoken));
    }
    let reported = (scene.plan.usage != UsageReport::Never).then(|| usage(spoken.input, spoken.output));
    let message = json!({
        "role": "assistant", "content": spoken.text, "refusal": null, "annotations": [],
    });
    let body = json!({
        "id": id,
        "object": "chat.completion",
        "created": scene.now.as_secs(),
        "model": model,
        "choices": [{
            "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(&spoken),
        }],
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    });
    Ok(whole(with_usage(body, reported.as_ref()), reported))
}
