//! `POST /v1/embeddings`.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde::Deserialize;
use serde_json::{json, Value};

use super::with_usage;
use crate::answer::Answer;
use crate::dialect::{embedding, not_empty, parse, whole};
use crate::plan::UsageReport;
use crate::problem::Problem;
use crate::scene::Scene;
use crate::tokens;

const DIMENSIONS: usize = 16;
const MOST_DIMENSIONS: usize = 4_096;
const MOST_INPUTS: usize = 2_048;

#[derive(Debug, Deserialize)]
struct Request {
    model: String,
    input: Input,
    dimensions: Option<usize>,
    #[serde(default)]
    encoding_format: Encoding,
}

/// Texts, or texts as token ids.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

pub fn answer(body: &[u8], scene: &Scene<'_>) -> Result<Answer, Problem> {
    let request: Request = parse(body)?;
    scene.serves(&request.model)?;
    let dimensions = request.dimensions.unwrap_or(DIMENSIONS);
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(Problem::bad_request(format!("dimensions: not within 1 to {MOST_DIMENSIONS}")));
    }
    let (inputs, tokens) = counted(request.input);
    not_empty("input", &inputs)?;
    if inputs.len() > MOST_INPUTS {
        return Err(Problem::bad_request(format!("input: more than {MOST_INPUTS} items")));
    }
    let data: Vec<Value> = (0..)
        .zip(&inputs)
        .map(|(index, text): (u64, _)| {
            let vector = encoded(&embedding(text, dimensions), request.encoding_format);
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    let usage =
        (scene.plan.usage != UsageReport::Never).then(|| json!({"prompt_tokens": tokens, "total_tokens": tokens}));
    let body = json!({"object": "list", "data": data, "model": request.model});
    Ok(whole(with_usage(body, usage.as_ref()), usage))
}

/// The inputs as texts, and the total of their tokens.
fn counted(input: Input) -> (Vec<String>, u64) {
    let count = |texts: &[String]| texts.iter().map(|text| tokens::count(text)).sum();
    match input {
        Input::Text(text) => {
            let tokens = tokens::count(&text);
            (vec![text], tokens)
        }
        Input::Texts(texts) => {
            let tokens = count(&texts);
            (texts, tokens)
        }
        Input::Tokens(ids) => (vec![format!("{ids:?}")], ids.len() as u64),
        Input::ManyTokens(lists) => {
            let tokens = lists.iter().map(|ids| ids.len() as u64).sum();
            (lists.iter().map(|ids| format!("{ids:?}")).collect(), tokens)
        }
    }
}

fn encoded(vector: &[f32], encoding: Encoding) -> Value {
    match encoding {
        Encoding::Float => json!(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            json!(STANDARD.encode(bytes))
        }
    }
}
