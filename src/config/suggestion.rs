//! Suggestions for unknown names.

/// The maximum number of names in a suggestion.
const MAX_NAMED: usize = 20;

/// The text after an unknown name: `; did you mean "x"?` or the known names.
pub(super) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let nearest = known.iter().map(|known| (distance(name, known), known)).min();
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

/// The number of letters to add, remove, change or swap with an adjacent one to get from one word to the other (optimal
/// string alignment distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut two_ago: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    let mut before = None;
    for (row, letter) in a.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in b.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let change = at(&previous, column) + usize::from(letter != *other);
            let mut cost = change.min(at(&previous, column + 1) + 1).min(at(&current, column) + 1);
            let left = column.checked_sub(1).and_then(|left| b.get(left).map(|c| (left, *c)));
            if let (Some(before), Some((left, left_letter))) = (before, left) {
                if before == *other && left_letter == letter {
                    cost = cost.min(at(&two_ago, left) + 1);
                }
            }
            current.push(cost);
        }
        two_ago = std::mem::replace(&mut previous, current);
        before = Some(letter);
    }
    previous.last().copied().unwrap_or(0)
}
