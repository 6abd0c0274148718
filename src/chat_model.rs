//! A question to a chat model, as the gateway itself asks it (`POST /v1/chat/completions`), and what the model says.

use serde::Deserialize;

use crate::json::write_string;

/// The path of the API.
pub const PATH: &str = "/v1/chat/completions";
/// The longest answer that is asked for, in tokens: a few words.
const MAX_TOKENS: u32 = 20;

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

/// The request that sends these messages, each with its role, to a model.
pub fn body(model: &str, messages: &[(&str, &str)]) -> String {
    let mut out = String::from(r#"{"model":"#);
    write_string(&mut out, model);
    out.push_str(r#","messages":["#);
    for (index, (role, text)) in messages.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        out.push_str(r#"{"role":"#);
        write_string(&mut out, role);
        out.push_str(r#","content":"#);
        write_string(&mut out, text);
        out.push('}');
    }
    out.push_str(&format!(r#"],"temperature":0,"max_tokens":{MAX_TOKENS}}}"#));
    out
}

/// What the model says in an answer to such a request. `None`: it is not one answer with a text.
///
/// ```
/// use sluice::chat_model::said;
///
/// assert_eq!(said(br#"{"choices":[{"message":{"role":"assistant","content":"code"}}]}"#).as_deref(), Some("code"));
/// assert_eq!(said(br#"{"choices":[]}"#), None);
/// ```
pub fn said(body: &[u8]) -> Option<String> {
    let completion: Completion = serde_json::from_slice(body).ok()?;
    let mut choices = completion.choices.into_iter();
    match (choices.next(), choices.next()) {
        (Some(choice), None) => Some(choice.message.content),
        _ => None,
    }
}
