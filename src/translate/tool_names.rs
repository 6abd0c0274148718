//! Tool names that a provider does not accept, and their replacements.

use super::Notes;

/// The maximum number of changed names.
const MAX_CHANGED: usize = 1024;

/// The client's name of a tool.
pub(super) fn clients_name<'a>(name: &'a str, notes: &'a Notes) -> &'a str {
    notes.names.iter().find(|(given, _)| given == name).map_or(name, |(_, own)| own)
}

/// Stores a changed name.
pub(super) fn remember(given: &str, own: &str, notes: &mut Notes) {
    if given != own && notes.names.len() < MAX_CHANGED && !notes.names.iter().any(|(known, _)| known == given) {
        notes.names.push((given.to_owned(), own.to_owned()));
    }
}
