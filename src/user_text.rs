//! The last text of the user in a request: what a similar request would say in other words.
//!
//! | dialect | where it stands |
//! |---|---|
//! | chat, Messages, Ollama's chat | in the last of `messages`, if its `role` is `user`: `content`, or the last text in it |
//! | Responses | `input`, or the same in its last item |
//! | Gemini | in the last of `contents`, if it is the user's: the last text of its `parts` |
//! | completions, Ollama's `generate` | `prompt`, if it is one text |

use std::ops::Range;

use crate::endpoint::Endpoint;
use crate::json::{JsonError, Scanner, Text, Value};

/// The last text of the user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserText {
    /// The text.
    pub text: String,
    /// Its place in the body, with the quotes.
    pub place: Range<usize>,
}

/// The last text of the user in a body; `None` if there is none, or if it is not the last in the conversation.
///
/// ```
/// use sluice::endpoint::Endpoint;
/// use sluice::user_text::last;
///
/// let body = br#"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi!"}]}"#;
/// let found = last(Endpoint::ChatCompletions, body).unwrap();
/// assert_eq!((found.text.as_str(), &body[found.place]), ("Hi!", &br#""Hi!""#[..]));
/// assert!(last(Endpoint::Embeddings, br#"{"input":"Hi!"}"#).is_none());
/// ```
pub fn last(endpoint: Endpoint, body: &[u8]) -> Option<UserText> {
    let (field, is_prompt) = match endpoint {
        Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::OllamaChat => ("messages", false),
        Endpoint::Responses => ("input", false),
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => ("contents", false),
        Endpoint::Completions | Endpoint::OllamaGenerate => ("prompt", true),
        Endpoint::Embeddings
        | Endpoint::OllamaEmbed
        | Endpoint::Converse
        | Endpoint::ConverseStream
        | Endpoint::Further(_) => return None,
    };
    // in Gemini's API a content without a role is the user's
    let has_roles = field != "contents";
    let mut scanner = Scanner::new(body);
    let mut found = None;
    let mut times = 0;
    let scanned = scanner.object(|name, scanner| {
        if !name.is(field) {
            return scanner.value().map(|_| ());
        }
        times += 1;
        found = match scanner.peek() {
            Some(b'"') => text(scanner)?,
            Some(b'[') if !is_prompt => {
                let mut last = None;
                scanner.array(|scanner| {
                    last = message(scanner, has_roles)?;
                    Ok(())
                })?;
                last
            }
            _ => {
                scanner.value()?;
                None
            }
        };
        Ok(())
    });
    let text = found.filter(|_| scanned == Ok(true) && times == 1)?;
    Some(UserText { text: text.decode().into_owned(), place: scanner.place_of(&text) })
}

/// The last text of a message, if it is the user's.
fn message<'a>(scanner: &mut Scanner<'a>, has_role: bool) -> Result<Option<Text<'a>>, JsonError> {
    let (mut is_user, mut text) = (!has_role, None);
    scanner.object(|name, scanner| {
        if name.is("role") {
            is_user = matches!(scanner.value()?, Value::String(role) if role.is("user"));
        } else if name.is("content") || name.is("parts") {
            text = content(scanner)?;
        } else {
            scanner.value()?;
        }
        Ok(())
    })?;
    Ok(text.filter(|_| is_user))
}

fn text<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Text<'a>>, JsonError> {
    Ok(match scanner.value()? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// A text, or the last text among parts.
fn content<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Text<'a>>, JsonError> {
    if scanner.peek() == Some(b'"') {
        return text(scanner);
    }
    let mut last = None;
    scanner.array(|scanner| {
        scanner.object(|name, scanner| {
            if let (Value::String(text), true) = (scanner.value()?, name.is("text")) {
                last = Some(text);
            }
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(last)
}
