//! Tells the events that say nothing of usage, without parsing them: nearly all of a stream is deltas.

use std::ops::Range;

use memchr::memchr_iter;

/// A longer event is not kept for comparison.
const MAX_KEPT: usize = 4096;
/// How far from its quote a name, and the value that makes it tell nothing, can reach.
const REACH: usize = 40;

/// Knows the last event that said nothing: the next one mostly differs from it in one word.
#[derive(Debug, Default)]
pub(super) struct Skim {
    last: Vec<u8>,
    /// What the last one was judged by.
    first_begun: bool,
}

impl Skim {
    /// Whether reading this data would surely change nothing that a [`Meter`](super::Meter) looks at: no count,
    /// no choice that begins or ends, no end of the answer and no error. `false` says nothing.
    /// `first_begun`: choice 0 is known, and chunks that hold only more of it are nothing new.
    ///
    /// Every such change needs a name or a value that is written in quotes, as it stands: so it is enough to
    /// look at what follows each quote. A quote within a text may look like one of those; then the event is
    /// parsed. And where the bytes are those of the last event, nothing has to be looked at again.
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

    /// How many bytes its buffer takes.
    pub(super) fn reserved(&self) -> usize {
        self.last.capacity()
    }
}

/// The quotes of `data` that must be looked at: all but those whose reach is the same in `last`.
fn difference(last: &[u8], data: &[u8]) -> Range<usize> {
    let start = common(last.chunks_exact(8), data.chunks_exact(8));
    let end = common(last.rchunks_exact(8), data.rchunks_exact(8));
    // what both ends have in common may overlap, where a word is repeated
    let end = end.min(last.len().saturating_sub(start)).min(data.len().saturating_sub(start));
    start.saturating_sub(REACH)..data.len() - end
}

/// How many bytes go by before the words differ.
fn common<'a>(one: impl Iterator<Item = &'a [u8]>, other: impl Iterator<Item = &'a [u8]>) -> usize {
    8 * one.zip(other).take_while(|(one, other)| one == other).count()
}

/// Whether a name or a value that begins so tells nothing.
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
        Some(b's') => !is("speech.audio.done\"") && !is("stats\""),
        Some(_) | None => true,
    }
}

/// Whether this is a name, and its value begins so; at most a space stands before the value.
fn is_followed_by(text: &[u8], name: &str, value: &[u8]) -> bool {
    let found = text.strip_prefix(name.as_bytes()).and_then(|text| text.strip_prefix(b":"));
    found.is_some_and(|found| found.strip_prefix(b" ").unwrap_or(found).starts_with(value))
}
