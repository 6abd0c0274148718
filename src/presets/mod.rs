//! A model's own settings for requests: `defaults` for what a request leaves open, `overrides` for what it cannot choose.
//!
//! The names of settings are the same for all dialects; `places` has the field of each body. The body is edited where it
//! stands, by `edit`: everything else in it stays as the client wrote it.

mod edit;
mod places;

use crate::endpoint::Endpoint;

pub use edit::edit;
pub use places::{is_conversation, places, BodyKind, Kind, Setting, SETTINGS};

/// A field that a body shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The names of the object that it stands in, which mean the same; empty: it stands at the top.
    pub parent: Vec<String>,
    /// Its names, which mean the same. The first is written where none of them is there.
    pub names: Vec<String>,
    /// Its value, as JSON; `null`: the client's is removed, and nothing is added.
    pub value: String,
    /// Whether it replaces the client's value.
    pub overrides: bool,
}

/// The system prompt of a body that has it among its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemMessage {
    /// The field with the messages.
    pub messages: &'static str,
    /// The message, as JSON; empty if the prompt itself is a field of its own.
    pub message: String,
    /// Whether it replaces the client's.
    pub overrides: bool,
}

/// What one kind of body shall have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Its fields.
    pub fields: Vec<Field>,
    /// Its system prompt, if it may be among the messages. A field for it (Responses) does not count as missing where a
    /// message has one.
    pub system: Option<SystemMessage>,
    /// The place of that field among `fields`.
    pub system_field: Option<usize>,
}

/// The settings of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presets {
    edits: [Edits; BodyKind::ALL.len()],
}

impl Presets {
    /// The edits of a kind of body.
    pub fn of_kind(&self, kind: BodyKind) -> Option<&Edits> {
        self.edits.get(kind as usize)
    }

    /// The same, to be added to.
    pub fn of_kind_mut(&mut self, kind: BodyKind) -> Option<&mut Edits> {
        self.edits.get_mut(kind as usize)
    }

    /// The edits of an endpoint's bodies; `None` if there is nothing to do.
    pub fn of(&self, endpoint: Endpoint) -> Option<&Edits> {
        let edits = self.of_kind(BodyKind::of(endpoint)?)?;
        (!edits.fields.is_empty() || edits.system.is_some()).then_some(edits)
    }
}
