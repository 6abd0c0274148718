//! The positions in a body that will be rewritten.

use std::ops::Range;

/// Byte positions in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The body's length.
    pub length: usize,
    /// Right after the outermost `{`: where a field can be inserted.
    pub first_field: usize,
    /// The value of the body's `model`.
    pub model: Option<Range<usize>>,
    /// The text before the model's name in that value: Gemini's `models/`.
    pub model_prefix: &'static str,
    /// Repeated members with the same value, each with the comma before it: they are removed.
    pub repetitions: Vec<Range<usize>>,
    /// The body's settings for usage in streams.
    pub usage_option: UsageOption,
    /// Where the prompt starts: the value of `messages`, `prompt`, `input` or `contents`.
    pub prompt: usize,
    /// The prompt's number of text bytes, including everything that belongs to it.
    pub text: u64,
    /// The object in `prompt`, which may refer to the prompt library.
    pub reference: Option<Range<usize>>,
}

/// The body's value of `stream_options.include_usage`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UsageOption {
    /// There is no `stream_options`.
    #[default]
    Absent,
    /// `stream_options` is null, or a value that no API accepts: replace it.
    NoObject(Range<usize>),
    /// `stream_options` is an object without the field; the position is right after its `{`.
    Unset {
        /// Right after the object's `{`.
        first_field: usize,
        /// Whether the object has other fields.
        empty: bool,
    },
    /// The field has a value other than `true`.
    Declined(Range<usize>),
    /// The field is `true`.
    Asked,
}
