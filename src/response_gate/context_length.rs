//! Refusals because a request does not fit the model's context.
//!
//! Such a request is not wrong: a model with a longer context may accept it. Only OpenAI has a code for it that others
//! copy; other providers only say so in the message.

use crate::json::{JsonError, Scanner, Value};

/// How much of a body is read; errors are shorter.
const MAX_BODY: usize = 64 * 1024;
/// How much of one text is read: the reason comes first, and quotes may follow.
const MAX_TEXT: usize = 4 * 1024;
/// The deepest text: in a list (Gemini's), in `error`, in `message`.
const LEVELS: u8 = 4;

/// In any letter case, anywhere in a code, a type or a message.
const PHRASES: [&[u8]; 12] = [
    b"context_length_exceeded",              // OpenAI, Azure, Groq
    b"exceed_context_size",                  // llama.cpp
    b"contextwindowexceeded",                // LiteLLM
    b"context length",                       // OpenAI, vLLM, SGLang, DeepSeek, Mistral, Ollama
    b"context window",                       // OpenAI Responses, MiniMax
    b"context size",                         // llama.cpp
    b"context limit",                        // Anthropic, with `max_tokens`
    b"prompt is too long",                   // Anthropic
    b"input is too long",                    // Bedrock
    b"maximum model length",                 // vLLM
    b"maximum prompt length",                // xAI
    b"exceeds the maximum number of tokens", // Gemini
];

/// Whether the body of a 400 or 413 says that the request is too long for the model. Reads at most the first 64 KiB of
/// the body; of a cut or broken body it reads the part before.
///
/// ```
/// use sluice::response_gate::is_context_length_exceeded;
///
/// let openai = br#"{"error":{"message":"...","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
/// assert!(is_context_length_exceeded(openai));
/// assert!(is_context_length_exceeded(b"{\"error\":{\"message\":\"prompt is too long: 5 tokens > 4 maximum\"}}"));
/// assert!(!is_context_length_exceeded(b"{\"error\":{\"message\":\"Unknown parameter.\"}}"));
/// ```
pub fn is_context_length_exceeded(body: &[u8]) -> bool {
    let mut found = false;
    // ignore everything after a syntax error
    let _ = search(&mut Scanner::new(body.get(..MAX_BODY).unwrap_or(body)), LEVELS, &mut found);
    found
}

/// Searches a value's texts, and those of the fields that describe the error.
fn search(scanner: &mut Scanner<'_>, levels: u8, found: &mut bool) -> Result<(), JsonError> {
    match (scanner.peek(), levels.checked_sub(1)) {
        (Some(b'['), Some(levels)) => {
            scanner.array(|scanner| search(scanner, levels, found))?;
        }
        (Some(b'{'), Some(levels)) => {
            scanner.object(|key, scanner| match key.raw() {
                b"error" | b"message" | b"code" | b"type" | b"detail" => search(scanner, levels, found),
                _ => scanner.value().map(|_| ()),
            })?;
        }
        _ => {
            if let Value::String(text) = scanner.value()? {
                *found |= says_so(text.raw());
            }
        }
    }
    Ok(())
}

fn says_so(text: &[u8]) -> bool {
    let text = text.get(..MAX_TEXT).unwrap_or(text);
    PHRASES.iter().any(|phrase| text.windows(phrase.len()).any(|words| words.eq_ignore_ascii_case(phrase)))
}
