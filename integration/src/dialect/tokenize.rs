//! Endpoints that only count tokens: vLLM's `POST /tokenize`, and `POST /extras/tokenize/count`, which takes a string
//! or a chat request.

use serde::Deserialize;
use serde_json::json;

use super::{parse, whole};
use crate::answer::Answer;
use crate::problem::Problem;
use crate::prompt::{Content, Message, Prompt};
use crate::scene::Scene;
use crate::tokens;

#[derive(Debug, Deserialize)]
struct Request {
    model: Option<String>,
    messages: Option<Vec<Message>>,
    prompt: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    Bare(String),
    Request(Request),
}

impl Request {
    fn tokens(&self, scene: &Scene<'_>) -> Result<u64, Problem> {
        if let Some(model) = &self.model {
            scene.serves(model)?;
        }
        match (&self.messages, &self.prompt) {
            (Some(messages), _) => Ok(Prompt::default().conversed(messages).tokens),
            (None, Some(prompt)) => Ok(Prompt::default().said(prompt).tokens),
            (None, None) => Err(Problem::bad_request("either `messages` or `prompt` is needed")),
        }
    }
}

pub fn tokenize(body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    let request: Request = parse(body)?;
    let count = request.tokens(scene)?;
    let tokens: Vec<u64> = (0..count).collect();
    Ok(whole(json!({"count": count, "max_model_len": 4096, "tokens": tokens}), None))
}

pub fn count(body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    let count = match parse(body)? {
        Text::Bare(text) => tokens::count(&text),
        Text::Request(request) => request.tokens(scene)?,
    };
    Ok(whole(json!(count), None))
}
