//! The subjects of limits.

use std::borrow::Cow;
use std::rc::Rc;

use crate::wire_names;

/// The subject of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A client key, by its id.
    Key(Rc<str>),
    /// All callers with a label of this value together: the label's name, and the value.
    Label(Rc<str>, Rc<str>),
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
            Subject::Label(name, value) => wire_names::label_limits(name, value),
            Subject::Model(name) => wire_names::model_limits(name),
            Subject::All => wire_names::ALL_LIMITS.to_owned(),
        }
    }

    /// What it is, in reports and questions: `key`, `label:team`, `model` or `gateway`.
    pub fn kind(&self) -> Cow<'static, str> {
        match self {
            Subject::Key(_) => "key".into(),
            Subject::Label(name, _) => format!("label:{name}").into(),
            Subject::Model(_) => "model".into(),
            Subject::All => "gateway".into(),
        }
    }

    /// Its tag in stats; `None` for the whole gateway.
    pub fn tag(&self) -> Option<(&'static str, Cow<'_, str>)> {
        match self {
            Subject::Key(id) => Some(("key", Cow::Borrowed(id))),
            Subject::Label(name, value) => Some(("label", format!("{name}/{value}").into())),
            Subject::Model(name) => Some(("model", Cow::Borrowed(name))),
            Subject::All => None,
        }
    }

    /// Its name among those of its kind: a key's id, a label's value, a model's name.
    pub fn id(&self) -> Option<&str> {
        match self {
            Subject::Key(id) | Subject::Label(_, id) | Subject::Model(id) => Some(id),
            Subject::All => None,
        }
    }
}
