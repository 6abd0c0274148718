//! Single fields of a passing answer: the model's name, which the client's name may replace, and a response's id.
//!
//! Each dialect has them near the top of its documents (see the providers' API references). OpenAI, Ollama and
//! embeddings have `model` in each document. Responses has it there, or in an event's `response`. Anthropic has it in
//! the message, which a stream has in `message_start`. Gemini calls it `modelVersion`. So brackets and strings are
//! counted byte by byte, nothing is held back, and the cuts between chunks do not matter.

use crate::endpoint::Endpoint;
use crate::json::write_string;
use crate::usage::Framing;

/// The longest key that is compared, in bytes.
const MAX_KEY: usize = 16;
/// The longest id that is read, in bytes.
const MAX_ID: usize = 256;

/// Reads one answer, and replaces the target's name of the model with the client's.
#[derive(Debug)]
pub struct ModelNameRewriter {
    /// The kind of bytes; the first ones decide.
    lines: Option<Lines>,
    endpoint: Endpoint,
    stream: bool,
    fields: Fields,
    /// The name as a JSON string with quotes.
    model: Option<Vec<u8>>,
    wants_id: bool,
    id: Option<String>,
    out: Vec<u8>,
}

impl ModelNameRewriter {
    /// Starts to read an answer of `endpoint`, which may be a stream. `model`: the new name, if it is to be replaced.
    /// `wants_id`: whether to look for the id of a response.
    ///
    /// ```
    /// use sluice::endpoint::Endpoint;
    /// use sluice::splice::ModelNameRewriter;
    ///
    /// let mut splice = ModelNameRewriter::new(Endpoint::ChatCompletions, false, Some("mine"), false);
    /// assert_eq!(splice.chunk(br#"{"model":"gpt-4o-2024","choices":[]}"#), Some(&br#"{"model":"mine","choices":[]}"#[..]));
    /// assert_eq!(splice.chunk(b"\n"), None);
    /// ```
    pub fn new(endpoint: Endpoint, stream: bool, model: Option<&str>, wants_id: bool) -> Self {
        let model = model.map(|model| {
            let mut text = String::new();
            write_string(&mut text, model);
            text.into_bytes()
        });
        let fields = Fields::new(endpoint);
        ModelNameRewriter { lines: None, endpoint, stream, fields, model, wants_id, id: None, out: Vec::new() }
    }

    /// Reads the next bytes. Returns their replacement; `None`: unchanged.
    pub fn chunk(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        self.out.clear();
        let lines = self.lines.get_or_insert_with(|| Lines::of(self.endpoint, self.stream, bytes));
        let mut copied = 0; // up to here it is in `out`, or left out
        let mut changed = self.fields.leaves_out();
        for (at, byte) in bytes.iter().enumerate() {
            if !lines.is_data(*byte, &mut self.fields) {
                continue;
            }
            match self.fields.step(*byte, self.model.is_some(), self.wants_id) {
                Step::Other => {}
                Step::ModelBegins => {
                    self.out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
                    self.out.extend_from_slice(self.model.as_deref().unwrap_or_default());
                    (copied, changed) = (bytes.len(), true);
                }
                Step::ModelEnds => copied = at + 1,
                Step::Id => {
                    self.id = self.fields.take_id();
                    self.wants_id = self.id.is_none();
                }
            }
        }
        if !changed {
            return None;
        }
        let rest = if self.fields.leaves_out() { bytes.len() } else { copied };
        self.out.extend_from_slice(bytes.get(rest..).unwrap_or_default());
        Some(&self.out)
    }

    /// The id, once it has arrived.
    pub fn take_id(&mut self) -> Option<String> {
        self.id.take()
    }

    /// Whether there is nothing left to look for.
    pub fn is_done(&self) -> bool {
        self.model.is_none() && !self.wants_id
    }
}

/// Which bytes of a stream are data.
#[derive(Clone, Copy, Debug)]
enum Lines {
    /// All of them are.
    None,
    /// The start of a line: this many bytes of [`DATA`] have arrived.
    Start { matched: usize, after_cr: bool },
    /// A line of data.
    Data,
    /// Another line.
    Other,
}

const DATA: &[u8] = b"data:";

impl Lines {
    fn of(endpoint: Endpoint, stream: bool, beginning: &[u8]) -> Self {
        match Framing::of_answer(endpoint.dialect(), stream, beginning) {
            Framing::Sse => Lines::Start { matched: 0, after_cr: false },
            Framing::Json | Framing::Ndjson | Framing::EventStream => Lines::None,
        }
    }

    /// Whether a byte belongs to the data. A blank line ends an event, and resets the document.
    fn is_data(&mut self, byte: u8, fields: &mut Fields) -> bool {
        *self = match (*self, byte) {
            (Lines::None, _) => return true,
            (Lines::Start { matched: 0, after_cr: true }, b'\n') => Lines::Start { matched: 0, after_cr: false },
            (Lines::Start { matched, .. }, b'\n' | b'\r') => {
                if matched == 0 {
                    fields.reset();
                }
                Lines::Start { matched: 0, after_cr: byte == b'\r' }
            }
            // a byte order mark before the first line
            (Lines::Start { matched: 0, .. }, 0xef | 0xbb | 0xbf) => Lines::Start { matched: 0, after_cr: false },
            (Lines::Start { matched, .. }, byte) if DATA.get(matched) == Some(&byte) => match matched + 1 {
                all if all == DATA.len() => Lines::Data,
                some => Lines::Start { matched: some, after_cr: false },
            },
            (Lines::Start { .. }, _) => Lines::Other,
            (Lines::Data | Lines::Other, b'\n' | b'\r') => Lines::Start { matched: 0, after_cr: byte == b'\r' },
            (Lines::Data, _) => return true,
            (Lines::Other, _) => Lines::Other,
        };
        false
    }
}

/// The meaning of a byte.
enum Step {
    Other,
    /// The opening quote of the model's name.
    ModelBegins,
    /// Its closing quote.
    ModelEnds,
    /// The closing quote of the id.
    Id,
}

/// The position in a document.
#[derive(Debug)]
struct Fields {
    /// The model's key.
    model_key: &'static [u8],
    /// The key of the nested object that may have it as well.
    within: &'static [u8],
    /// How many of the relevant objects are open: the document, and the nested one.
    level: u8,
    /// How many other brackets are open.
    skipped: usize,
    /// After a colon and before a comma.
    is_value: bool,
    text: Text,
    key: Vec<u8>,
    id: Vec<u8>,
}

/// The text that the bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    None,
    In { kind: StringKind, escaped: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StringKind {
    Key,
    Model,
    Id,
    Other,
}

impl Fields {
    fn new(endpoint: Endpoint) -> Self {
        let (model_key, within): (&[u8], &[u8]) = match endpoint {
            Endpoint::GenerateContent | Endpoint::StreamGenerateContent => (b"modelVersion", b""),
            Endpoint::Responses => (b"model", b"response"),
            Endpoint::Messages => (b"model", b"message"),
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::Embeddings
            | Endpoint::OllamaChat
            | Endpoint::OllamaGenerate
            | Endpoint::OllamaEmbed
            | Endpoint::Converse
            | Endpoint::ConverseStream
            | Endpoint::Further(_) => (b"model", b""),
        };
        Fields {
            model_key,
            within,
            level: 0,
            skipped: 0,
            is_value: false,
            text: Text::None,
            key: Vec::new(),
            id: Vec::new(),
        }
    }

    /// Whether the bytes belong to a name that is being replaced.
    fn leaves_out(&self) -> bool {
        matches!(self.text, Text::In { kind: StringKind::Model, .. })
    }

    fn take_id(&mut self) -> Option<String> {
        let id = std::mem::take(&mut self.id);
        String::from_utf8(id).ok().filter(|id| !id.is_empty() && id.len() < MAX_ID)
    }

    /// Starts another document. A replacement in progress continues.
    fn reset(&mut self) {
        if !self.leaves_out() {
            (self.level, self.skipped, self.is_value, self.text) = (0, 0, false, Text::None);
        }
    }

    fn step(&mut self, byte: u8, wants_model: bool, wants_id: bool) -> Step {
        if let Text::In { kind, escaped } = self.text {
            return self.step_in_text(byte, kind, escaped);
        }
        let counts = self.skipped == 0;
        match byte {
            b'"' => {
                let kind = self.kind(wants_model, wants_id);
                self.text = Text::In { kind, escaped: false };
                match kind {
                    StringKind::Key => self.key.clear(),
                    StringKind::Id => self.id.clear(),
                    StringKind::Model => return Step::ModelBegins,
                    StringKind::Other => {}
                }
            }
            b'{' if counts && self.level == 0 => (self.level, self.is_value) = (1, false),
            b'{' if counts
                && self.level == 1
                && self.is_value
                && !self.within.is_empty()
                && self.key == self.within =>
            {
                (self.level, self.is_value) = (2, false);
            }
            // Gemini's array of documents
            b'[' | b']' if counts && self.level == 0 => {}
            b'{' | b'[' => self.skipped += 1,
            b'}' if counts => {
                self.level = self.level.saturating_sub(1);
                self.is_value = self.level > 0;
                self.key.clear();
            }
            b'}' | b']' => self.skipped = self.skipped.saturating_sub(1),
            b',' if counts => self.is_value = false,
            b':' if counts => self.is_value = true,
            _ => {}
        }
        Step::Other
    }

    fn kind(&self, wants_model: bool, wants_id: bool) -> StringKind {
        match (self.skipped, self.level, self.is_value) {
            (0, 1 | 2, false) => StringKind::Key,
            (0, 1 | 2, true) if wants_model && self.key == self.model_key => StringKind::Model,
            (0, 1 | 2, true) if wants_id && self.key == b"id" => StringKind::Id,
            _ => StringKind::Other,
        }
    }

    fn step_in_text(&mut self, byte: u8, kind: StringKind, escaped: bool) -> Step {
        let ends = byte == b'"' && !escaped;
        self.text = match ends {
            true => Text::None,
            false => Text::In { kind, escaped: byte == b'\\' && !escaped },
        };
        match (kind, ends) {
            (StringKind::Model, true) => return Step::ModelEnds,
            (StringKind::Id, true) => return Step::Id,
            (StringKind::Key, false) if self.key.len() < MAX_KEY => self.key.push(byte),
            (StringKind::Id, false) if self.id.len() < MAX_ID => self.id.push(byte),
            (StringKind::Key | StringKind::Model | StringKind::Id | StringKind::Other, _) => {}
        }
        Step::Other
    }
}
