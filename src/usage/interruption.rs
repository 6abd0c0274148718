//! The event that ends a stream whose own end never came.
//!
//! A stream that just stops looks like a short answer to most clients; each dialect has an event of its own
//! for an error in the midst of a stream, which its SDKs raise.

use crate::endpoint::Endpoint;

macro_rules! message {
    () => {
        r#""message":"The model server's stream ended before it was complete.""#
    };
}

const OPENAI: &str = concat!(
    r#"data: {"error":{"#,
    message!(),
    r#","type":"server_error","param":null,"code":"upstream_stream_interrupted"}}"#,
    "\n\n"
);
const RESPONSES: &str = concat!(
    "event: error\n",
    r#"data: {"type":"error","code":"upstream_stream_interrupted","#,
    message!(),
    r#","param":null,"sequence_number":0}"#,
    "\n\n"
);
const ANTHROPIC: &str =
    concat!("event: error\n", r#"data: {"type":"error","error":{"type":"api_error","#, message!(), "}}\n\n");
const OLLAMA: &str = concat!(r#"{"error":"The model server's stream ended before it was complete."}"#, "\n");
const GEMINI: &str = concat!(r#"data: {"error":{"code":502,"#, message!(), r#","status":"UNAVAILABLE"}}"#, "\n\n");

/// What tells the client of a stream that it was interrupted, in its dialect's words. Nothing may follow it,
/// not even `[DONE]`. Gemini's is the one for `alt=sse`; its array cannot be mended. What stands before it
/// must be a whole event: see [`Meter::interruption`](super::Meter::interruption).
///
/// ```
/// use sluice::endpoint::Endpoint;
/// use sluice::usage::interruption;
///
/// let event = interruption(Endpoint::OllamaChat);
/// assert_eq!(event, b"{\"error\":\"The model server's stream ended before it was complete.\"}\n");
/// ```
pub fn interruption(endpoint: Endpoint) -> &'static [u8] {
    match endpoint {
        Endpoint::ChatCompletions
        | Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Converse
        | Endpoint::ConverseStream
        | Endpoint::Further(_) => OPENAI.as_bytes(),
        Endpoint::Responses => RESPONSES.as_bytes(),
        Endpoint::Messages => ANTHROPIC.as_bytes(),
        Endpoint::OllamaChat | Endpoint::OllamaGenerate | Endpoint::OllamaEmbed => OLLAMA.as_bytes(),
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => GEMINI.as_bytes(),
    }
}
