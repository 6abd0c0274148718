//! The providers' dialects: each module reads its requests and writes its answers.

mod anthropic;
mod converse;
mod gemini;
mod ollama;
mod openai;
mod tokenize;

use hyper::header::{HeaderMap, AUTHORIZATION};
use serde::Deserialize;

use crate::answer::{Answer, Json};
use crate::problem::{Dialect, Problem};
use crate::route::{Operation, Route};
use crate::scene::Scene;

/// Answers a request that is well-formed, authorized and for a served model.
pub fn answer(
    route: Route,
    headers: &HeaderMap,
    key: Option<&str>,
    body: &[u8],
    scene: &Scene<'_>,
) -> Result<Answer, Problem> {
    let operation = route.operation?;
    check_credential(route.dialect, headers, key)?;
    match operation {
        Operation::Chat => openai::chat::answer(body, None, scene),
        Operation::AzureChat { deployment } => openai::chat::answer(body, Some(deployment), scene),
        Operation::Completions => openai::completions::answer(body, scene),
        Operation::Embeddings => openai::embeddings::answer(body, scene),
        Operation::Responses => openai::responses::answer(body, scene),
        Operation::Speech => openai::uploads::speech(headers, body, scene),
        Operation::Pictures => openai::uploads::images(headers, body, scene),
        Operation::ListModels => Ok(openai::models(scene)),
        Operation::Messages => anthropic::answer(headers, body, scene),
        Operation::OllamaChat => ollama::chat(body, scene),
        Operation::OllamaGenerate => ollama::generate(body, scene),
        Operation::OllamaEmbed => ollama::embed(body, scene),
        Operation::OllamaTags => Ok(ollama::tags(scene)),
        Operation::Tokenize => tokenize::tokenize(body, scene),
        Operation::CountTokens => tokenize::count(body, scene),
        Operation::Generate { model, delivery } => gemini::answer(body, model, delivery, scene),
        Operation::BatchEmbed { model } => gemini::embed(body, &model, scene),
        Operation::Converse { model, stream } => converse::answer(body, &model, stream, scene),
    }
}

pub fn check_credential(dialect: Dialect, headers: &HeaderMap, key: Option<&str>) -> Result<(), Problem> {
    let Some(key) = key else {
        return Ok(());
    };
    let is = |name: &str| headers.get(name).is_some_and(|value| value.as_bytes() == key.as_bytes());
    let accepted = match dialect {
        Dialect::OpenAi | Dialect::Azure | Dialect::Ollama => is_bearer(headers, key) || is("api-key"),
        Dialect::Anthropic => is("x-api-key"),
        Dialect::Gemini => is("x-goog-api-key"),
        // a Bedrock API key; signatures are not checked here
        Dialect::Converse => is_bearer(headers, key),
    };
    accepted.then_some(()).ok_or_else(Problem::bad_credential)
}

fn is_bearer(headers: &HeaderMap, key: &str) -> bool {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let parts = value.and_then(|value| value.split_once(' '));
    parts.is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("bearer") && given.trim() == key)
}

/// Parses a body; errors in it are the client's 400.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::bad_request(format!("Invalid request: {error}")),
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            Problem::bad_request(format!("We could not parse the JSON body of your request: {error}"))
        }
    })
}

/// Providers refuse an empty conversation.
fn not_empty<T>(name: &str, list: &[T]) -> Result<(), Problem> {
    if list.is_empty() {
        return Err(Problem::bad_request(format!("`{name}` must not be empty")));
    }
    Ok(())
}

fn whole(body: serde_json::Value, usage: Option<serde_json::Value>) -> Answer {
    Answer::Json(Json { body, usage })
}

/// A vector that depends only on the text, so that equal inputs get equal embeddings.
fn embedding(text: &str, dimensions: usize) -> Vec<f32> {
    let mut state = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The upper bits are the random ones; 256 steps from -1 to 1 have few digits.
        f32::from((state >> 56) as u8) / 128.0 - 1.0
    };
    (0..dimensions).map(|_| next()).collect()
}
