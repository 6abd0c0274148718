//! Names of tools that a provider does not take, and what stands for them.

use super::Notes;

/// The most names that are changed.
const MAX_CHANGED: usize = 1024;

/// The name the client knows a tool by.
pub(super) fn clients_name<'a>(name: &'a str, notes: &'a Notes) -> &'a str {
    notes.names.iter().find(|(given, _)| given == name).map_or(name, |(_, own)| own)
}

/// Remembers that a name has been changed.
pub(super) fn remember(given: &str, own: &str, notes: &mut Notes) {
    if given != own && notes.names.len() < MAX_CHANGED && !notes.names.iter().any(|(known, _)| known == given) {
        notes.names.push((given.to_owned(), own.to_owned()));
    }
}
