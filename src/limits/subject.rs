//! The subjects of limits.

use std::rc::Rc;

use crate::contract;

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
            Subject::Key(id) => contract::key_limits(id),
            Subject::Model(name) => contract::model_limits(name),
            Subject::All => contract::ALL_LIMITS.to_owned(),
        }
    }
}
