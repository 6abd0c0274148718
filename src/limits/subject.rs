//! The subjects of limits.

use std::rc::Rc;

use crate::wire_names;

/// The subject of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A client key, by its id.
    Key(Rc<str>),
    /// A model, by its configured name.
    Model(Rc<str>),
    /// All callers together.
    All,
}

impl Subject {
    /// The name of its record in the workers' shared data.
    pub fn data_key(&self) -> String {
        match self {
            Subject::Key(id) => wire_names::key_limits(id),
            Subject::Model(name) => wire_names::model_limits(name),
            Subject::All => wire_names::ALL_LIMITS.to_owned(),
        }
    }
}
