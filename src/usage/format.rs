//! The provider whose usage fields are read.

use crate::endpoint::Dialect;

/// The family of fields in which a provider reports usage. Most answers can be recognised by their shape, and
/// [`Format::Auto`] reads all known fields. The others are for an upstream whose answers have fields of another family
/// with another meaning. Errors are recognised in every format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// By the answer's shape.
    #[default]
    Auto,
    /// `usage` with `prompt_tokens` or `input_tokens`, both including cached tokens.
    OpenAi,
    /// `usage` with `input_tokens`, excluding cached tokens.
    Anthropic,
    /// `prompt_eval_count` and `eval_count`.
    Ollama,
    /// `usageMetadata`.
    Gemini,
    /// `usage` with `inputTokens`, excluding cached tokens.
    Converse,
}

impl Format {
    /// All formats.
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

    /// The format with this name.
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

/// The usual format of a request's endpoint.
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
