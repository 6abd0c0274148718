//! Which tools a caller may offer to a model.
//!
//! A request is read a second time for that, and only if the caller has lists. Its bytes are hostile: a name may be
//! escaped, stand twice, or be spelled in letters that a server in Go reads as the same name. So every name that any
//! reader could see must be permitted, and a tool without a name is refused.

mod offered;
mod reading;

use serde::{Deserialize, Serialize};

pub use reading::{check, ToolRefusal};

use crate::pattern::matches;
use offered::Offered;

/// The maximum number of patterns in a list.
pub const MAX_PATTERNS: usize = 64;

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 128;

/// A caller's lists. A pattern is a name, or a prefix that ends in `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolLists {
    /// The tools that may be offered; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// The tools that may not, even if they are in `allow`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

impl ToolLists {
    /// What is wrong with the lists.
    ///
    /// # Errors
    /// The field, and what to do.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.allow.is_none() && self.deny.is_empty() {
            return Err(("", "lists nothing; name the tools in `allow` or `deny`".to_owned()));
        }
        let allow = self.allow.as_deref().unwrap_or_default();
        for (field, list) in [("allow", allow), ("deny", self.deny.as_slice())] {
            if list.len() > MAX_PATTERNS {
                return Err((field, format!("must be at most {MAX_PATTERNS}")));
            }
            for pattern in list {
                if !(1..=MAX_PATTERN).contains(&pattern.len()) || pattern.chars().any(char::is_control) {
                    return Err((field, format!("each must have 1 to {MAX_PATTERN} bytes, and no control characters")));
                }
                if pattern.find('*').is_some_and(|at| at + 1 < pattern.len()) {
                    return Err((field, format!("{pattern:?}: a `*` can only stand at the end")));
                }
            }
        }
        Ok(())
    }

    /// Whether a tool may be offered: none of its names is denied, and one of those that say what it is is allowed.
    fn permit(&self, offered: &Offered) -> bool {
        let is_in = |list: &[String], name: &String| list.iter().any(|pattern| matches(pattern, name));
        let denied = offered.names.iter().chain(&offered.further).any(|name| is_in(&self.deny, name));
        let allowed = self.allow.as_deref().is_none_or(|list| offered.names.iter().any(|name| is_in(list, name)));
        allowed && !denied
    }
}
