//! Sorting by a number or a text, with one copy of the sorting code.
//!
//! `slice::sort_by_key` is compiled again for each type, about five kilobytes each time, and Envoy compiles all of it at
//! its start.

/// Sorts by a number, stably. A sorted slice, the usual case, is not changed.
///
/// ```
/// let mut words = vec!["three", "a", "to", "b"];
/// sluice::order::by_number(&mut words, |word| word.len());
/// assert_eq!(words, ["a", "b", "to", "three"]);
/// ```
pub fn by_number<T>(items: &mut Vec<T>, number: impl Fn(&T) -> usize) {
    if !items.is_sorted_by_key(&number) {
        let order = sorted_numbers(items.iter().map(number).zip(0..).collect());
        permute(items, order);
    }
}

/// Sorts by a text, stably.
///
/// ```
/// let mut people = vec![("bob", 1), ("alice", 2)];
/// sluice::order::by_text(&mut people, |(name, _)| name);
/// assert_eq!(people, [("alice", 2), ("bob", 1)]);
/// ```
pub fn by_text<T>(items: &mut Vec<T>, text: impl Fn(&T) -> &str) {
    let order = sorted_texts(items.iter().map(text).zip(0..).collect());
    permute(items, order);
}

#[inline(never)]
fn sorted_numbers(mut order: Vec<(usize, usize)>) -> Vec<usize> {
    order.sort_unstable();
    order.into_iter().map(|(_, at)| at).collect()
}

#[inline(never)]
fn sorted_texts(mut order: Vec<(&str, usize)>) -> Vec<usize> {
    order.sort_unstable();
    order.into_iter().map(|(_, at)| at).collect()
}

fn permute<T>(items: &mut Vec<T>, order: Vec<usize>) {
    let mut unsorted: Vec<Option<T>> = items.drain(..).map(Some).collect();
    items.extend(order.into_iter().filter_map(|at| unsorted.get_mut(at)?.take()));
}
