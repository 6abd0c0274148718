//! Where in a body what will be rewritten stands.

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
    /// What stands before the model's name in that value: Gemini's `models/`.
    pub model_prefix: &'static str,
    /// Members that say once more what the same name has said before, each with the comma before it: they go no further.
    pub repetitions: Vec<Range<usize>>,
    /// What the body says about usage in streams.
    pub usage_option: UsageOption,
    /// Where the prompt starts: the value of `messages`, `prompt`, `input` or `contents`.
    pub prompt: usize,
    /// How many bytes of text the prompt has, all that belongs to it together.
    pub text: u64,
}

/// What a body says about `stream_options.include_usage`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UsageOption {
    /// There is no `stream_options`.
    #[default]
    Absent,
    /// `stream_options` is null, or nothing an API would accept: replace the value.
    NoObject(Range<usize>),
    /// `stream_options` is an object without the field; the position is right after its `{`.
    Unset {
        /// Right after the object's `{`.
        first_field: usize,
        /// Whether the object has other fields.
        empty: bool,
    },
    /// The field says something else than `true`.
    Declined(Range<usize>),
    /// The field is `true`.
    Asked,
}
