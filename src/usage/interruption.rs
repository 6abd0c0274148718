//! The error event that ends a stream without a last event.
//!
//! A stream that just stops looks like a short answer to most clients. Each dialect has an error event for this, which
//! its SDKs raise.

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

/// The event that tells the client, in its dialect, that the stream was interrupted. Nothing may follow it, not even
/// `[DONE]`. Gemini's is for `alt=sse`; its array form cannot be repaired. The text before it must be a complete event:
/// see [`Meter::interruption`](super::Meter::interruption).
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
