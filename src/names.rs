//! Which names of models are told apart in stats and sums, where clients choose them.
//!
//! A model whose configured name ends in `*` takes any name, and each name that is told apart takes memory for good. So
//! only those are that a target has answered successfully, and only so many of each key: no key takes the names of
//! others.

use std::rc::Rc;

use hashbrown::{HashMap, HashSet};

/// The most names of one key that are told apart.
pub const MAX_NAMES_OF_KEY: usize = 100;
/// The most names of all keys together, each counted as often as there are keys that use it.
pub const MAX_NAMES: usize = 20_000;

/// The names that are told apart.
#[derive(Debug, Default)]
pub struct Names {
    answered: HashSet<Rc<str>>,
    by_key: HashMap<String, Vec<Rc<str>>>,
    /// How many there are of all keys.
    count: usize,
}

impl Names {
    /// Whether a key's requests for this name are told apart; `answered`: a target has answered this one.
    ///
    /// ```
    /// use sluice::names::Names;
    ///
    /// let mut names = Names::default();
    /// assert!(!names.tells("alice", "gpt-9", false));
    /// assert!(names.tells("alice", "gpt-9", true));
    /// assert!(names.tells("bob", "gpt-9", false), "it is a name by now");
    /// ```
    pub fn tells(&mut self, key: &str, name: &str, answered: bool) -> bool {
        let names = self.by_key.get(key).map_or(&[][..], Vec::as_slice);
        if names.iter().any(|known| **known == *name) {
            return true;
        }
        let known = self.answered.get(name).cloned();
        if !answered && known.is_none() || names.len() >= MAX_NAMES_OF_KEY || self.count >= MAX_NAMES {
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
