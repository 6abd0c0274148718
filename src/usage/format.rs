//! Whose fields of usage are read in an answer.

use crate::endpoint::Dialect;

/// The family of fields in which a provider reports usage. Most answers tell by their shape, and
/// [`Format::Auto`] reads whatever it knows; the others are for an upstream whose answers hold fields of
/// another family that mean something else there. Errors are recognised in every format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Whatever the answer's shape says.
    #[default]
    Auto,
    /// `usage` with `prompt_tokens` or `input_tokens`, both of which include what was cached.
    OpenAi,
    /// `usage` with `input_tokens`, which leaves out what was cached.
    Anthropic,
    /// `prompt_eval_count` and `eval_count`.
    Ollama,
    /// `usageMetadata`.
    Gemini,
    /// `usage` with `inputTokens`, which leaves out what was cached.
    Converse,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 6] =
        [Format::Auto, Format::OpenAi, Format::Anthropic, Format::Ollama, Format::Gemini, Format::Converse];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::OpenAi => "openai",
            Format::Anthropic => "anthropic",
            Format::Ollama => "ollama",
            Format::Gemini => "gemini",
            Format::Converse => "converse",
        }
    }

    /// The format of this name.
    ///
    /// ```
    /// use sluice::usage::Format;
    ///
    /// assert_eq!(Format::parse("gemini"), Some(Format::Gemini));
    /// assert_eq!(Format::parse("Gemini"), None);
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether a field of one of these formats is read.
    pub(super) fn reads(self, formats: &[Format]) -> bool {
        self == Format::Auto || formats.contains(&self)
    }
}

/// The format a request's path promises.
impl From<Dialect> for Format {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAi => Format::OpenAi,
            Dialect::Anthropic => Format::Anthropic,
            Dialect::Ollama => Format::Ollama,
            Dialect::Gemini => Format::Gemini,
            Dialect::Converse => Format::Converse,
        }
    }
}
