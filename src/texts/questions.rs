//! The questions in a model's answer: one in each line.

/// The questions, without numbers and bullets. If some lines are questions, the others, such as an introduction, are
/// none.
///
/// ```text
/// Here they are:      (left out)
/// 1. What is it?      What is it?
/// - And why?          And why?
/// ```
pub(super) fn questions(answer: &str) -> Vec<&str> {
    let lines: Vec<&str> = answer.lines().map(without_mark).filter(|line| !line.is_empty()).collect();
    let is_question = |line: &&str| line.contains(['?', '？', '؟', '¿']);
    match lines.iter().any(is_question) {
        true => lines.into_iter().filter(is_question).collect(),
        false => lines,
    }
}

/// A line without the number or bullet before it.
fn without_mark(line: &str) -> &str {
    let line = line.trim();
    let unmarked = line.strip_prefix(['-', '*', '•']).filter(|rest| rest.starts_with(' '));
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unnumbered = match digits {
        1..=3 => line.get(digits..).and_then(|rest| rest.strip_prefix(['.', ')', ':'])),
        _ => None,
    };
    unmarked.or(unnumbered).unwrap_or(line).trim_start()
}
