//! What a client's message asks for: the events of OpenAI's Realtime API, and of the Responses API's WebSocket mode.

use std::borrow::Cow;

use super::Close;
use crate::json::{JsonError, Scanner, Value};
use crate::parsed_request::{folds_to, MAX_MODEL_NAME};

/// The most names of models in one message. More is not an accident.
const MAX_MODELS: usize = 8;

/// Where a model may be named: at the top, and in these objects, one in the other.
const PLACES: [&str; 6] = ["session", "response", "audio", "input", "transcription", "input_audio_transcription"];

/// The deepest of these places.
const MAX_DEPTH: u32 = 5;

/// How the client's messages are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// The key may use all models: what cannot be read passes.
    All,
    /// The key may use some models: what cannot be read is refused.
    Some,
    /// The same where each `response.create` must name its model.
    Named,
}

/// What a message asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientEvent {
    /// It starts a response.
    pub creates: bool,
    /// The models that it names, in any place.
    pub models: Vec<String>,
    /// It names too many, or one that is no name.
    odd: bool,
}

impl ClientEvent {
    /// Reads a message. `None`: it is not one JSON object.
    ///
    /// ```
    /// use sluice::websocket::ClientEvent;
    ///
    /// let event = ClientEvent::read(r#"{"type":"response.create","model":"gpt-5","input":"model"}"#).unwrap();
    /// assert!(event.creates && event.models == ["gpt-5"]);
    /// assert_eq!(ClientEvent::read("[]"), None);
    /// ```
    pub fn read(text: &str) -> Option<Self> {
        let mut event = ClientEvent::default();
        let mut scanner = Scanner::new(text.as_bytes());
        let is_object = event.object(&mut scanner, 0).ok()?;
        scanner.end().ok()?;
        is_object.then_some(event)
    }

    /// Whether a key may send this message; `may_use`: whether it may use a model.
    ///
    /// # Errors
    /// It may not.
    pub fn judge(
        text: &str,
        strictness: Strictness,
        may_use: &dyn Fn(&str) -> bool,
    ) -> Result<Option<ClientEvent>, Close> {
        let Some(event) = ClientEvent::read(text) else {
            return match strictness {
                Strictness::All => Ok(None),
                Strictness::Some | Strictness::Named => Err(Close::policy("a message that is not a JSON object")),
            };
        };
        if let Some(model) = event.models.iter().find(|model| !may_use(model)) {
            return Err(Close::policy(format!("this key may not use the model {model}")));
        }
        match strictness {
            Strictness::Some | Strictness::Named if event.odd => {
                Err(Close::policy("the message names no valid model, or too many"))
            }
            Strictness::Named if event.creates && event.models.is_empty() => {
                Err(Close::policy("response.create must name its model"))
            }
            Strictness::All | Strictness::Some | Strictness::Named => Ok(Some(event)),
        }
    }

    fn object(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Result<bool, JsonError> {
        scanner.object(|key, scanner| {
            let name = key.decode();
            if folds_to(&name, "model") {
                self.model(scanner.value()?);
            } else if depth == 0 && folds_to(&name, "type") {
                self.creates |= matches!(scanner.value()?, Value::String(text) if text.is("response.create"));
            } else if depth < MAX_DEPTH && PLACES.iter().any(|place| folds_to(&name, place)) {
                self.object(scanner, depth + 1)?;
            } else {
                scanner.value()?;
            }
            Ok(())
        })
    }

    /// All of repeated names count, because readers differ in which of them they take.
    fn model(&mut self, value: Value<'_>) {
        match value {
            Value::String(text) if self.models.len() < MAX_MODELS && text.raw().len() <= 6 * MAX_MODEL_NAME => {
                self.models.push(text.decode().into_owned());
            }
            Value::Null => {}
            _ => self.odd = true,
        }
    }
}

/// The `type` of a server's event.
pub(super) fn event_type(text: &[u8]) -> Option<Cow<'_, str>> {
    let mut found = None;
    let mut scanner = Scanner::new(text);
    scanner
        .object(|key, scanner| {
            let is_type = key.is("type");
            if let (true, Value::String(text)) = (is_type, scanner.value()?) {
                found = Some(text.decode());
            }
            Ok(())
        })
        .ok()?;
    found
}
