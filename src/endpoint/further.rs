//! Operations besides conversations, as a table: a row has everything that the gateway needs to know about a path.
//!
//! Sources: OpenAI's API reference (moderations, images, audio, responses/input-tokens), Cohere's, Jina's and vLLM's rerank,
//! Anthropic's "Count Message tokens", Ollama's `docs/api.md`.

use super::Dialect;

/// One of them. Except for passed paths, the body is JSON, or a form where the table says so, and names the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Further {
    /// `POST /v1/moderations`
    Moderations,
    /// `POST /v1/images/generations`
    Images,
    /// `POST /v1/images/edits`
    ImageEdits,
    /// `POST /v1/images/variations`
    ImageVariations,
    /// `POST /v1/audio/speech`; the answer is audio.
    Speech,
    /// `POST /v1/audio/transcriptions`; the answer may be JSON, plain text or subtitles.
    Transcriptions,
    /// `POST /v1/audio/translations`; likewise.
    Translations,
    /// `POST /v1/rerank` and `POST /v2/rerank`
    Rerank,
    /// `POST /v1/messages/count_tokens`
    CountTokens,
    /// `POST /v1/responses/input_tokens`
    InputTokens,
    /// `POST /tokenize`: vLLM's, llama.cpp's and TEI's.
    Tokenize,
    /// `POST /extras/tokenize/count`: the server of llama-cpp-python.
    TokenCount,
    /// `POST /api/show`
    OllamaShow,
    /// `POST /api/embeddings`, the older form of `/api/embed`.
    OllamaEmbeddings,
    /// `GET /v1/realtime`, as WebSocket: it has no body, and its answer is frames.
    Realtime,
    /// A path that the operator passes to an upstream of this dialect, with any method; its body is not read.
    Passed(Dialect),
}

/// The properties of one operation.
struct Row {
    paths: &'static [&'static str],
    further: Further,
    dialect: Dialect,
    /// The request's field with the prompt.
    text: Option<&'static str>,
    /// The members of its answer, of which at least one must be there; none, if the answer is not JSON.
    answer: &'static [&'static str],
    /// Its name in traces.
    operation: &'static str,
    /// Whether it uses tokens, reported or not.
    uses_tokens: bool,
    /// Whether its body is a form.
    form: bool,
    /// Whether a field `stream` makes its answer a stream.
    streams: bool,
}

/// The name of what only counts tokens.
const COUNTING: &str = "count_tokens";

const TABLE: [Row; 15] = [
    Row {
        paths: &["/v1/moderations"],
        further: Further::Moderations,
        dialect: Dialect::OpenAi,
        text: Some("input"),
        answer: &["results"],
        operation: "moderation",
        uses_tokens: false,
        form: false,
        streams: false,
    },
    Row {
        paths: &["/v1/images/generations"],
        further: Further::Images,
        dialect: Dialect::OpenAi,
        text: Some("prompt"),
        answer: &["data"],
        operation: "image_generation",
        uses_tokens: true,
        form: false,
        streams: true,
    },
    Row {
        paths: &["/v1/images/edits"],
        further: Further::ImageEdits,
        dialect: Dialect::OpenAi,
        text: Some("prompt"),
        answer: &["data"],
        operation: "image_edit",
        uses_tokens: true,
        form: true,
        streams: true,
    },
    Row {
        paths: &["/v1/images/variations"],
        further: Further::ImageVariations,
        dialect: Dialect::OpenAi,
        text: None,
        answer: &["data"],
        operation: "image_variation",
        uses_tokens: true,
        form: true,
        streams: false,
    },
    Row {
        paths: &["/v1/audio/speech"],
        further: Further::Speech,
        dialect: Dialect::OpenAi,
        text: Some("input"),
        answer: &[],
        operation: "text_to_speech",
        uses_tokens: true,
        form: false,
        streams: false,
    },
    Row {
        paths: &["/v1/audio/transcriptions"],
        further: Further::Transcriptions,
        dialect: Dialect::OpenAi,
        text: Some("prompt"),
        answer: &["text"],
        operation: "transcription",
        uses_tokens: true,
        form: true,
        streams: true,
    },
    Row {
        paths: &["/v1/audio/translations"],
        further: Further::Translations,
        dialect: Dialect::OpenAi,
        text: Some("prompt"),
        answer: &["text"],
        operation: "translation",
        uses_tokens: true,
        form: true,
        streams: false,
    },
    Row {
        paths: &["/v1/rerank", "/v2/rerank"],
        further: Further::Rerank,
        dialect: Dialect::OpenAi,
        text: None, // query and documents
        answer: &["results", "data"],
        operation: "rerank",
        uses_tokens: true,
        form: false,
        streams: false,
    },
    Row {
        paths: &["/v1/messages/count_tokens"],
        further: Further::CountTokens,
        dialect: Dialect::Anthropic,
        text: Some("messages"),
        answer: &["input_tokens"],
        operation: COUNTING,
        uses_tokens: false,
        form: false,
        streams: false,
    },
    Row {
        paths: &["/v1/responses/input_tokens"],
        further: Further::InputTokens,
        dialect: Dialect::OpenAi,
        text: Some("input"),
        answer: &["input_tokens"],
        operation: COUNTING,
        uses_tokens: false,
        form: false,
        streams: false,
    },
    Row {
        paths: &["/tokenize"],
        further: Further::Tokenize,
        dialect: Dialect::OpenAi,
        text: None,  // `prompt`, `messages`, `content` or `input`
        answer: &[], // an object, a list or a number
        operation: COUNTING,
        uses_tokens: false,
        form: false,
        streams: false,
    },
    Row {
        paths: &["/extras/tokenize/count"],
        further: Further::TokenCount,
        dialect: Dialect::OpenAi,
        text: None,  // `prompt`, `messages`, `content` or `input`
        answer: &[], // an object, a list or a number
        operation: COUNTING,
        uses_tokens: false,
        form: false,
        streams: false,
    },
    Row {
        paths: &["/api/show"],
        further: Further::OllamaShow,
        dialect: Dialect::Ollama,
        text: None,
        answer: &["details", "model_info", "modelfile", "capabilities"],
        operation: "show_model",
        uses_tokens: false,
        form: false,
        streams: false,
    },
    Row {
        paths: &["/api/embeddings"],
        further: Further::OllamaEmbeddings,
        dialect: Dialect::Ollama,
        text: Some("prompt"),
        answer: &["embedding"],
        operation: "embeddings",
        uses_tokens: true,
        form: false,
        streams: false,
    },
    Row {
        paths: &[], // not with POST
        further: Further::Realtime,
        dialect: Dialect::OpenAi,
        text: None,
        answer: &[],
        operation: "realtime",
        uses_tokens: true,
        form: false,
        streams: false,
    },
];

impl Further {
    /// The operation at a path without its query.
    ///
    /// ```
    /// use sluice::endpoint::Further;
    ///
    /// assert_eq!(Further::find("/v2/rerank"), Some(Further::Rerank));
    /// assert_eq!(Further::find("/v1/files"), None);
    /// ```
    pub fn find(path: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.paths.contains(&path)).map(|row| row.further)
    }

    /// Its dialect.
    pub fn dialect(self) -> Dialect {
        match self {
            Further::Passed(dialect) => dialect,
            _ => self.row().map_or(Dialect::OpenAi, |row| row.dialect),
        }
    }

    /// The request's field with the prompt; `None` if there are several, or none.
    pub fn text_param(self) -> Option<&'static str> {
        self.row()?.text
    }

    /// The members of its answer, of which at least one must be there; `None` if it is not JSON.
    pub fn answer_members(self) -> Option<&'static [&'static str]> {
        self.row().map(|row| row.answer).filter(|members| !members.is_empty())
    }

    /// `gen_ai.operation.name`
    pub fn operation(self) -> &'static str {
        self.row().map_or("passthrough", |row| row.operation)
    }

    /// Whether it uses tokens: if it does and none are reported, they are estimated.
    pub fn uses_tokens(self) -> bool {
        self.row().is_some_and(|row| row.uses_tokens)
    }

    /// Whether it only counts tokens.
    pub fn counts(self) -> bool {
        self.operation() == COUNTING
    }

    /// Whether its body is a form.
    pub fn takes_form(self) -> bool {
        self.row().is_some_and(|row| row.form)
    }

    /// Whether a field `stream` makes its answer a stream.
    pub fn streams(self) -> bool {
        self.row().is_some_and(|row| row.streams)
    }

    /// Whether its answer is the text of speech: JSON, plain text or subtitles, as the client asks.
    pub fn transcribes(self) -> bool {
        matches!(self, Further::Transcriptions | Further::Translations)
    }

    /// Whether its answer has images.
    pub fn makes_images(self) -> bool {
        matches!(self, Further::Images | Further::ImageEdits | Further::ImageVariations)
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.further == self)
    }
}
