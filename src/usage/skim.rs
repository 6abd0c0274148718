//! Recognises events without usage, without parsing them: nearly all of a stream is deltas.

use std::ops::Range;

use memchr::memchr_iter;

/// Longer events are not kept for comparison.
const MAX_KEPT: usize = 4096;
/// The maximum distance from a quote to the end of a name and a value that matter.
const REACH: usize = 40;

/// Keeps the last event without usage: the next one mostly differs in one word.
#[derive(Debug, Default)]
pub(super) struct Skim {
    last: Vec<u8>,
    /// The state with which the last one was judged.
    first_begun: bool,
}

impl Skim {
    /// Whether this data would certainly change nothing for a [`Meter`](super::Meter): no count, no choice that begins
    /// or ends, no end of the answer and no error. `false` proves nothing. `first_begun`: choice 0 is known, so chunks
    /// with more of it are not new.
    ///
    /// Every such change needs a name or a value in quotes, so it is enough to check the bytes after each quote. A
    /// quote inside a text may look like one of those; then the event is parsed. Bytes that equal the last event's need
    /// not be checked again.
    pub(super) fn says_nothing(&mut self, data: &[u8], first_begun: bool) -> bool {
        let looked_at = match self.first_begun == first_begun {
            true => difference(&self.last, data),
            false => 0..data.len(),
        };
        let start = looked_at.start;
        let says_nothing = memchr_iter(b'"', data.get(looked_at).unwrap_or_default())
            .all(|quote| tells_nothing(data.get(start + quote + 1..).unwrap_or_default(), first_begun));
        if says_nothing && data.len() <= MAX_KEPT {
            self.last.clear();
            self.last.extend_from_slice(data);
            self.first_begun = first_begun;
        }
        says_nothing
    }

    /// Its buffer's capacity.
    pub(super) fn reserved(&self) -> usize {
        self.last.capacity()
    }
}

/// The quotes of `data` to check: all except those with the same bytes as in `last`.
fn difference(last: &[u8], data: &[u8]) -> Range<usize> {
    let start = common(last.chunks_exact(8), data.chunks_exact(8));
    let end = common(last.rchunks_exact(8), data.rchunks_exact(8));
    // the common prefix and suffix may overlap, if a word is repeated
    let end = end.min(last.len().saturating_sub(start)).min(data.len().saturating_sub(start));
    start.saturating_sub(REACH)..data.len() - end
}

/// The number of bytes before the words differ.
fn common<'a>(one: impl Iterator<Item = &'a [u8]>, other: impl Iterator<Item = &'a [u8]>) -> usize {
    8 * one.zip(other).take_while(|(one, other)| one == other).count()
}

/// Whether a name or a value with this beginning is irrelevant.
pub(super) fn tells_nothing(text: &[u8], first_begun: bool) -> bool {
    let is = |name: &str| text.starts_with(name.as_bytes());
    match text.first() {
        Some(b'u') => !is("usage") || is_followed_by(text, "usage\"", b"null"),
        Some(b'f') => {
            (!is("finish_reason\"") || is_followed_by(text, "finish_reason\"", b"null"))
                && (!is("finishReason\"") || is_followed_by(text, "finishReason\"", b"null"))
        }
        Some(b'e') => !is("eval_count\"") && (!is("error\"") || is_followed_by(text, "error\"", b"null")),
        Some(b'i') => {
            (!is("index\"") || is_followed_by(text, "index\"", b"0,") || is_followed_by(text, "index\"", b"0}"))
                && !is("image_generation.completed\"")
                && !is("image_edit.completed\"")
                && !is("interaction.complete")
        }
        Some(b'c') => (first_begun || !is("choices\"")) && !is("complete\""),
        Some(b'd') => !is("done\"") || is_followed_by(text, "done\"", b"false"),
        Some(b'p') => !is("prompt_eval_count\"") && !is("promptFeedback\""),
        Some(b'm') => !is("message_stop\"") && !is("message-end\"") && !is("metrics\"") && !is("meta\""),
        Some(b'r') => !is("response.completed\"") && !is("response.incomplete\"") && !is("response.failed\""),
        Some(b't') => !is("transcript.text.done\"") && !is("timings\"") && !is("tokens_"),
        Some(b's') => {
            (!is("stop_reason\"") || is_followed_by(text, "stop_reason\"", b"null"))
                && !is("speech.audio.done\"")
                && !is("stats\"")
        }
        Some(_) | None => true,
    }
}

/// Whether this is a name whose value begins like this; at most one space may come before the value.
fn is_followed_by(text: &[u8], name: &str, value: &[u8]) -> bool {
    let found = text.strip_prefix(name.as_bytes()).and_then(|text| text.strip_prefix(b":"));
    found.is_some_and(|found| found.strip_prefix(b" ").unwrap_or(found).starts_with(value))
}
