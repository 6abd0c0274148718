//! Tells the events that say nothing of usage, without parsing them: nearly all of a stream is deltas.

use memchr::memchr_iter;

/// Whether reading this data would surely change nothing that a [`Meter`](super::Meter) looks at: no count, no
/// choice that begins or ends, no end of the answer and no error. `false` says nothing.
///
/// Every such change needs a name or a value that is written in quotes, as it stands: so it is enough to look
/// at what follows each quote. A quote within a text may look like one of those; then the event is parsed.
/// `first_begun`: choice 0 is known, and chunks that hold only more of it are nothing new.
pub(super) fn says_nothing(data: &[u8], first_begun: bool) -> bool {
    memchr_iter(b'"', data).all(|quote| match data.get(quote + 1..).unwrap_or_default() {
        [b'u', after @ ..] => !after.starts_with(b"sage") || is_null(after.get(4..).unwrap_or_default()),
        [b'f', after @ ..] => match after.strip_prefix(b"inish_reason\"").or(after.strip_prefix(b"inishReason\"")) {
            Some(value) => follows(value, b"null"),
            None => true,
        },
        [b'e', after @ ..] => {
            !(after.starts_with(b"rror\"") || after.starts_with(b"val_count\""))
                || is_null(after.get(4..).unwrap_or_default())
        }
        [b'i', after @ ..] => match after.strip_prefix(b"ndex\"") {
            Some(value) => is_first(value),
            None => !(after.starts_with(b"mage_generation.completed\"") || after.starts_with(b"mage_edit.completed\"")),
        },
        [b'c', after @ ..] => first_begun || !after.starts_with(b"hoices\""),
        [b'd', after @ ..] => match after.strip_prefix(b"one\"") {
            Some(value) => follows(value, b"false"),
            None => true,
        },
        [b'p', after @ ..] => !(after.starts_with(b"rompt_eval_count\"") || after.starts_with(b"romptFeedback\"")),
        [b'm', after @ ..] => !after.starts_with(b"essage_stop\""),
        [b'r', after @ ..] => !["esponse.completed\"", "esponse.incomplete\"", "esponse.failed\""]
            .iter()
            .any(|name| after.starts_with(name.as_bytes())),
        [b't', after @ ..] => !after.starts_with(b"ranscript.text.done\""),
        [b's', after @ ..] => !after.starts_with(b"peech.audio.done\""),
        _ => true,
    })
}

/// What follows a name is its closing quote, a colon and `null`.
fn is_null(after: &[u8]) -> bool {
    after.strip_prefix(b"\"").is_some_and(|value| follows(value, b"null"))
}

/// What follows a name's closing quote is a colon, at most a space, and this.
fn follows(after: &[u8], word: &[u8]) -> bool {
    value(after).is_some_and(|value| value.starts_with(word))
}

fn is_first(after: &[u8]) -> bool {
    matches!(value(after), Some([b'0', b',' | b'}', ..]))
}

fn value(after: &[u8]) -> Option<&[u8]> {
    let value = after.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}
