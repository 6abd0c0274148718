//! A request whose body is a form.

use std::ops::Range;

use super::{checked_name, missing_model, ChangedString, Layout, ParsedRequest};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::json::{Scanner, Value};
use crate::multipart::Form;
use crate::stored::Named;

/// The most images that a form may ask for. Providers' own limits are lower; it bounds what a request may cost.
const MAX_IMAGES: u64 = 128;

impl ParsedRequest {
    /// A request with this form.
    ///
    /// # Errors
    /// A 400 that names the field.
    pub fn of_form(endpoint: Endpoint, form: Form) -> Result<Self, ApiError> {
        let invalid =
            |name, text: &str| ApiError::bad_request("invalid_value", Some(name), format!("`{name}` {text}."));
        let named = form.field("model").ok_or_else(missing_model)?;
        let model = checked_name(named.value.clone())?;
        let stream = match form.field("stream").map(|field| field.value.to_ascii_lowercase()).as_deref() {
            None | Some("" | "false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err(invalid("stream", "must be true or false")),
        };
        let count = |value: &str| value.parse().ok().filter(|count| (1..=MAX_IMAGES).contains(count));
        let choices = match form.field("n").map(|field| field.value.as_str()) {
            None | Some("") => 1,
            Some(value) => count(value).ok_or_else(|| invalid("n", "must be a number from 1 to 128"))?,
        };
        let text = form.field("prompt").map_or(0, |field| field.value.len());
        let layout =
            Layout { length: form.length, model: Some(named.range.clone()), text: text as u64, ..Layout::default() };
        Ok(ParsedRequest {
            endpoint,
            model,
            named_in_path: false,
            stream: endpoint.streams(Some(stream)),
            output_limit: None,
            output_field: None,
            choices,
            temperature: None,
            text_length: text,
            user: None,
            stored: Named::default(),
            by_id: false,
            form: Some(Box::new(form)),
            layout,
        })
    }

    /// The request with changed texts in its form, as checks have rewritten its JSON object ([`Form::to_json`]).
    /// `changes` are sorted.
    ///
    /// # Errors
    /// A text has become one that its form cannot hold, or the model's name is invalid now.
    pub fn with_form_texts(&self, json: &[u8], changes: &[ChangedString]) -> Result<Self, ApiError> {
        let mut parsed = self.clone();
        let Some(form) = &mut parsed.form else {
            return Err(ApiError::internal("A form was rewritten that is none."));
        };
        let (_, places) = form.to_json();
        let mut edits = Vec::new();
        for (index, place) in places.iter().enumerate() {
            if !changes.iter().any(|change| change.range.start >= place.start && change.range.end <= place.end) {
                continue;
            }
            let value = moved(place, changes);
            let value = Scanner::new(json.get(value).unwrap_or_default()).value();
            let Ok(Value::String(value)) = value else {
                return Err(ApiError::internal("A form's text could not be rewritten."));
            };
            edits.push((index, value.decode().into_owned()));
        }
        for (index, value) in edits {
            if !form.takes(&value) {
                let message = "A text of the form could not be rewritten: it contains the form's boundary.";
                return Err(ApiError::bad_request("invalid_multipart", None, message));
            }
            if let Some(field) = form.fields.get_mut(index) {
                if field.name == "model" {
                    parsed.model = checked_name(value.clone())?;
                }
                if field.name == "prompt" {
                    parsed.layout.text = value.len() as u64;
                    parsed.text_length = value.len();
                }
                field.changed |= field.value != value;
                field.value = value;
            }
        }
        Ok(parsed)
    }
}

/// Where a part of the body stands after the changes, which are before it or inside it.
fn moved(place: &Range<usize>, changes: &[ChangedString]) -> Range<usize> {
    let position = |at: usize| {
        let before = changes.iter().take_while(|change| change.range.end <= at);
        before.fold(at, |at, change| (at + change.length).saturating_sub(change.range.len()))
    };
    position(place.start)..position(place.end)
}
