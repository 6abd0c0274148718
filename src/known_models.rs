//! Which model names stats and totals distinguish, if clients choose them.
//!
//! A model whose configured name ends in `*` accepts any name, and each distinguished name takes memory permanently. So
//! only names that a target has answered successfully are distinguished, and only a limited number for each key: no key
//! can use up the names of others.

use std::rc::Rc;

use hashbrown::{HashMap, HashSet};

/// The maximum number of distinguished names of one key.
pub const MAX_MODELS_OF_KEY: usize = 100;
/// The maximum for all keys together; a name counts once for each key that uses it.
pub const MAX_MODELS: usize = 20_000;

/// The distinguished names.
#[derive(Debug, Default)]
pub struct KnownModels {
    answered: HashSet<Rc<str>>,
    by_key: HashMap<String, Vec<Rc<str>>>,
    /// The number of names of all keys.
    count: usize,
}

impl KnownModels {
    /// Whether a key's requests for this name are distinguished; `answered`: a target has answered this request.
    ///
    /// ```
    /// use sluice::known_models::KnownModels;
    ///
    /// let mut names = KnownModels::default();
    /// assert!(!names.is_distinguished("alice", "gpt-9", false));
    /// assert!(names.is_distinguished("alice", "gpt-9", true));
    /// assert!(names.is_distinguished("bob", "gpt-9", false), "it is a name by now");
    /// ```
    pub fn is_distinguished(&mut self, key: &str, name: &str, answered: bool) -> bool {
        let names = self.by_key.get(key).map_or(&[][..], Vec::as_slice);
        if names.iter().any(|known| **known == *name) {
            return true;
        }
        let known = self.answered.get(name).cloned();
        if !answered && known.is_none() || names.len() >= MAX_MODELS_OF_KEY || self.count >= MAX_MODELS {
            return false;
        }
        let name = known.unwrap_or_else(|| {
            let name: Rc<str> = name.into();
            self.answered.insert(name.clone());
            name
        });
        self.by_key.entry_ref(key).or_default().push(name);
        self.count += 1;
        true
    }
}
