//! The names of settings, and where each kind of body has them.
//!
//! Sources: the providers' API references (OpenAI's chat, completions and responses, Anthropic's messages, Gemini's
//! `generateContent`, Ollama's `docs/api.md`).

use crate::endpoint::Endpoint;

/// A kind of request body with settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's text completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Gemini.
    Gemini,
    /// Ollama's chat.
    OllamaChat,
    /// Ollama's completion.
    OllamaGenerate,
}

impl BodyKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [BodyKind; 7] = [
        BodyKind::Chat,
        BodyKind::Completions,
        BodyKind::Responses,
        BodyKind::Messages,
        BodyKind::Gemini,
        BodyKind::OllamaChat,
        BodyKind::OllamaGenerate,
    ];

    /// The kind of an endpoint's bodies; `None` if they have no settings.
    pub fn of(endpoint: Endpoint) -> Option<Self> {
        Some(match endpoint {
            Endpoint::ChatCompletions => BodyKind::Chat,
            Endpoint::Completions => BodyKind::Completions,
            Endpoint::Responses => BodyKind::Responses,
            Endpoint::Messages => BodyKind::Messages,
            Endpoint::GenerateContent | Endpoint::StreamGenerateContent => BodyKind::Gemini,
            Endpoint::OllamaChat => BodyKind::OllamaChat,
            Endpoint::OllamaGenerate => BodyKind::OllamaGenerate,
            Endpoint::Embeddings
            | Endpoint::OllamaEmbed
            | Endpoint::Converse
            | Endpoint::ConverseStream
            | Endpoint::Further(_) => return None,
        })
    }

    /// Its name in the configuration, with which it gets fields of its own.
    pub fn name(self) -> &'static str {
        match self {
            BodyKind::Chat => "chat",
            BodyKind::Completions => "completions",
            BodyKind::Responses => "responses",
            BodyKind::Messages => "messages",
            BodyKind::Gemini => "gemini",
            BodyKind::OllamaChat | BodyKind::OllamaGenerate => "ollama",
        }
    }
}

/// What a setting's value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A number in this range.
    Number(f64, f64),
    /// A whole number in this range.
    Whole(f64, f64),
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
}

/// A setting, by the same name for all dialects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
    /// Its field in each kind of body, in the order of [`BodyKind::ALL`]; empty where there is none. Names with a dot stand
    /// in an object; of several, separated by spaces, the first is written.
    fields: [&'static str; BodyKind::ALL.len()],
}

/// The most exactly countable number of a JSON reader.
const MOST: f64 = 9_007_199_254_740_991.0;
/// The most tokens.
const MOST_TOKENS: f64 = 100_000_000.0;

const GEMINI: [&str; 2] = ["generationConfig", "generation_config"];
const OLLAMA: [&str; 1] = ["options"];

/// All settings.
pub static SETTINGS: [Setting; 9] = [
    Setting {
        name: "temperature",
        kind: Kind::Number(0.0, 2.0),
        fields: [
            "temperature",
            "temperature",
            "temperature",
            "temperature",
            ".temperature",
            ".temperature",
            ".temperature",
        ],
    },
    Setting {
        name: "top_p",
        kind: Kind::Number(0.0, 1.0),
        fields: ["top_p", "top_p", "top_p", "top_p", ".topP .top_p", ".top_p", ".top_p"],
    },
    Setting {
        name: "top_k",
        kind: Kind::Whole(1.0, 1_000_000.0),
        fields: ["", "", "", "top_k", ".topK .top_k", ".top_k", ".top_k"],
    },
    Setting {
        name: "max_tokens",
        kind: Kind::Whole(1.0, MOST_TOKENS),
        fields: [
            "max_tokens max_completion_tokens n_predict",
            "max_tokens n_predict",
            "max_output_tokens",
            "max_tokens",
            ".maxOutputTokens .max_output_tokens",
            ".num_predict",
            ".num_predict",
        ],
    },
    Setting {
        name: "seed",
        kind: Kind::Whole(-MOST, MOST),
        fields: ["seed", "seed", "", "", ".seed", ".seed", ".seed"],
    },
    Setting {
        name: "presence_penalty",
        kind: Kind::Number(-2.0, 2.0),
        fields: [
            "presence_penalty",
            "presence_penalty",
            "",
            "",
            ".presencePenalty .presence_penalty",
            ".presence_penalty",
            ".presence_penalty",
        ],
    },
    Setting {
        name: "frequency_penalty",
        kind: Kind::Number(-2.0, 2.0),
        fields: [
            "frequency_penalty",
            "frequency_penalty",
            "",
            "",
            ".frequencyPenalty .frequency_penalty",
            ".frequency_penalty",
            ".frequency_penalty",
        ],
    },
    // a chat's is a message
    Setting {
        name: "system",
        kind: Kind::Text,
        fields: ["", "", "instructions", "system", "systemInstruction system_instruction", "", "system"],
    },
    // Gemini's path decides
    Setting {
        name: "stream",
        kind: Kind::Flag,
        fields: ["stream", "stream", "stream", "stream", "", "stream", "stream"],
    },
];

impl Setting {
    /// The names of its object, and its names, in a kind of body; `None` if that has no such field.
    pub fn place(&self, kind: BodyKind) -> Option<(Vec<String>, Vec<String>)> {
        let written = self.fields.get(kind as usize).filter(|written| !written.is_empty())?;
        let parent = if written.starts_with('.') { parents(kind) } else { &[] };
        let names = written.split(' ').map(|name| name.trim_start_matches('.').to_owned()).collect();
        Some((owned(parent), names))
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The object in which a kind of body has its settings.
fn parents(kind: BodyKind) -> &'static [&'static str] {
    match kind {
        BodyKind::Gemini => &GEMINI,
        BodyKind::OllamaChat | BodyKind::OllamaGenerate => &OLLAMA,
        BodyKind::Chat | BodyKind::Completions | BodyKind::Responses | BodyKind::Messages => &[],
    }
}

/// The place of a field that the operator has named as the body does: with all names that mean the same. `parent` is
/// empty at the top.
pub fn places(kind: BodyKind, parent: &str, name: &str) -> (Vec<String>, Vec<String>) {
    let own = parents(kind).contains(&parent);
    for setting in &SETTINGS {
        let Some((known, mut names)) = setting.place(kind) else {
            continue;
        };
        if known.is_empty() != parent.is_empty() || !known.is_empty() && !own {
            continue;
        }
        if let Some(at) = names.iter().position(|other| other == name) {
            names.swap(0, at);
            return (known, names);
        }
    }
    let parent = match parent {
        "" => Vec::new(),
        _ if own => owned(parents(kind)),
        other => vec![other.to_owned()],
    };
    (parent, vec![name.to_owned()])
}

/// Whether a field at the top is what the request is about, and no setting.
pub fn is_conversation(name: &str) -> bool {
    ["model", "messages", "prompt", "input", "contents", "stream_options"].contains(&name)
}
