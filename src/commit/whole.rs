//! JSON answers that are held until they are all there.

use crate::json::{JsonError, Scanner};

/// Whether a body is one complete JSON text, so that a connection which ended cleanly in the middle of it is
/// noticed. What is nested too deep to tell is taken for whole: another target would answer no better.
///
/// ```
/// use sluice::commit::is_whole;
///
/// assert!(is_whole(b"{\"choices\":[]}\n"));
/// assert!(!is_whole(b"{\"choices\":["));
/// assert!(!is_whole(b""));
/// ```
pub fn is_whole(body: &[u8]) -> bool {
    let mut scanner = Scanner::new(body);
    match scanner.value().and_then(|_| scanner.end()) {
        Ok(()) | Err(JsonError::TooDeep) => true,
        Err(JsonError::UnexpectedEnd | JsonError::Unexpected { .. }) => false,
    }
}
