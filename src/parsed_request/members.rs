//! The decisive members of a request's body, and other readers' spellings of them.
//!
//! Go's JSON reader ignores the case of names, by Unicode's simple folding. For it, `MODEL` and `ſtream` are decisive
//! members; for other readers they mean nothing. So a name that only equals one of ours after folding is refused.

use crate::json::Text;

/// The object of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParentObject {
    /// The body itself.
    Top,
    /// `stream_options`
    StreamOptions,
    /// Ollama's `options`
    Options,
    /// Gemini's `generationConfig`
    GenerationConfig,
}

/// A decisive member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Model,
    Stream,
    StreamOptions,
    IncludeUsage,
    User,
    PromptCacheKey,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    NPredict,
    NumPredict,
    GeminiMaxOutputTokens,
    N,
    BestOf,
    CandidateCount,
    Options,
    GenerationConfig,
    Messages,
    Prompt,
    Input,
    Contents,
    System,
    Instructions,
    SystemInstruction,
    Tools,
    Functions,
    Images,
}

impl Member {
    /// The field's path in the body, for fields that limit the output.
    pub(super) fn output_field(self) -> Option<&'static str> {
        Some(match self {
            Member::MaxTokens => "max_tokens",
            Member::MaxCompletionTokens => "max_completion_tokens",
            Member::MaxOutputTokens => "max_output_tokens",
            Member::NPredict => "n_predict",
            Member::NumPredict => "options.num_predict",
            Member::GeminiMaxOutputTokens => "generationConfig.maxOutputTokens",
            _ => return None,
        })
    }
}

/// The number of members.
pub(super) const MEMBERS: usize = Member::Images as usize + 1;

/// A name, its level and its member. If a member has two names, they are Gemini's two spellings: from JSON and from its
/// protobuf, which its servers read as well.
type Named = (&'static str, ParentObject, Member);

static NAMES: [Named; 31] = [
    ("model", ParentObject::Top, Member::Model),
    ("messages", ParentObject::Top, Member::Messages),
    ("stream", ParentObject::Top, Member::Stream),
    ("stream_options", ParentObject::Top, Member::StreamOptions),
    ("max_tokens", ParentObject::Top, Member::MaxTokens),
    ("max_completion_tokens", ParentObject::Top, Member::MaxCompletionTokens),
    ("max_output_tokens", ParentObject::Top, Member::MaxOutputTokens),
    ("n_predict", ParentObject::Top, Member::NPredict),
    ("n", ParentObject::Top, Member::N),
    ("best_of", ParentObject::Top, Member::BestOf),
    ("tools", ParentObject::Top, Member::Tools),
    ("functions", ParentObject::Top, Member::Functions),
    ("images", ParentObject::Top, Member::Images),
    ("prompt", ParentObject::Top, Member::Prompt),
    ("input", ParentObject::Top, Member::Input),
    ("contents", ParentObject::Top, Member::Contents),
    ("system", ParentObject::Top, Member::System),
    ("instructions", ParentObject::Top, Member::Instructions),
    ("systemInstruction", ParentObject::Top, Member::SystemInstruction),
    ("system_instruction", ParentObject::Top, Member::SystemInstruction),
    ("options", ParentObject::Top, Member::Options),
    ("generationConfig", ParentObject::Top, Member::GenerationConfig),
    ("generation_config", ParentObject::Top, Member::GenerationConfig),
    ("user", ParentObject::Top, Member::User),
    ("prompt_cache_key", ParentObject::Top, Member::PromptCacheKey),
    ("include_usage", ParentObject::StreamOptions, Member::IncludeUsage),
    ("num_predict", ParentObject::Options, Member::NumPredict),
    ("maxOutputTokens", ParentObject::GenerationConfig, Member::GeminiMaxOutputTokens),
    ("max_output_tokens", ParentObject::GenerationConfig, Member::GeminiMaxOutputTokens),
    ("candidateCount", ParentObject::GenerationConfig, Member::CandidateCount),
    ("candidate_count", ParentObject::GenerationConfig, Member::CandidateCount),
];

/// The meaning of a name.
pub(super) enum Meaning {
    /// This member, with this name.
    Is(Member, &'static str),
    /// Not a member, but some readers treat it as this one.
    LooksLike(&'static str),
    /// Without effect.
    Other,
}

/// The meaning of a name at a level.
pub(super) fn meaning(name: &Text<'_>, level: ParentObject) -> Meaning {
    let name = name.decode();
    let is_ascii = name.is_ascii();
    let mut looks_like = None;
    for (known, at, member) in &NAMES {
        // nearly all names are ASCII, and most differ in length; a character that folds to an ASCII letter has up to
        // three bytes
        let may_be = match is_ascii {
            true => name.len() == known.len(),
            false => (known.len()..=3 * known.len()).contains(&name.len()),
        };
        if !may_be || *at != level {
            continue;
        }
        if name == *known {
            return Meaning::Is(*member, known);
        }
        if looks_like.is_none() && folds_to(&name, known) {
            looks_like = Some(*known);
        }
    }
    looks_like.map_or(Meaning::Other, Meaning::LooksLike)
}

pub(crate) fn folds_to(name: &str, known: &str) -> bool {
    name.chars().map(fold).eq(known.chars().map(fold))
}

/// Unicode's simple case folding, for characters that fold to ASCII.
fn fold(character: char) -> char {
    match character {
        '\u{17f}' => 's',  // the long s
        '\u{212a}' => 'k', // the Kelvin sign
        other => other.to_ascii_lowercase(),
    }
}
