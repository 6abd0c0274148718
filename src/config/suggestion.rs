//! Suggestions for unknown names.

use strsim::osa_distance;

/// The maximum number of names in a suggestion.
const MAX_NAMED: usize = 20;

/// The text after an unknown name: `; did you mean "x"?` or the known names.
pub(super) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let nearest = known.iter().map(|known| (osa_distance(name, known), known)).min();
    match nearest {
        Some((distance, nearest)) if distance <= 1 + name.chars().count() / 4 => {
            format!("; did you mean {nearest:?}?")
        }
        Some(_) => match known.split_at_checked(MAX_NAMED) {
            Some((first, rest)) if !rest.is_empty() => {
                format!("; there is {} and {} more", first.join(", "), rest.len())
            }
            _ => format!("; there is {}", known.join(", ")),
        },
        None => "; there is none".to_owned(),
    }
}
