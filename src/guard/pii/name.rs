//! The names of entities in placeholders and stats.

/// The longest name of an entity.
pub(super) const MAX_NAME: usize = 64;

/// Whether it is valid as the name of an entity.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
