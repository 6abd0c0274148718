//! What is on record of one request: for the access log and for traces.
//!
//! Envoy writes both, by formats that stand in envoy.yaml, and reads the record from filter state. It is one
//! `google.protobuf.Struct`, so that it takes one call whatever is in it, and texts cannot break out of Envoy's JSON.
//! There is no prompt in it and no secret.

use crate::endpoint::{Dialect, Endpoint};
use crate::exchange::Exchange;
use crate::usage::Source;

/// The longest text, in characters: clients name models as they like.
const MAX_TEXT: usize = 100;

/// The record of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    bytes: Vec<u8>,
}

impl Record {
    /// What is known of a request whose client gets this status. Called while the answer still passes, it says what is
    /// true if nothing more comes.
    pub fn of(exchange: &Exchange, status: u16) -> Self {
        let mut record = Record::default();
        let (key, model, cluster) = exchange.labels();
        record.text("key", key);
        record.text("model", model);
        record.text("cluster", cluster);
        record.number("attempts", exchange.attempt_count() as u64);
        if exchange.attempt_count() > 0 {
            record.text("outcomes", &exchange.attempts());
        }
        if let Some(facts) = exchange.facts.as_ref().filter(|facts| facts.model != model) {
            record.text("requested_model", &facts.model);
        }
        if let Some((tokens, source)) = exchange.usage {
            for (kind, count) in tokens.labelled() {
                if count > 0 || matches!(kind, "input" | "output") {
                    record.number(&[kind, "_tokens"].concat(), count);
                }
            }
            record.text("source", source.label());
            record.number("cost_microusd", exchange.cost(&tokens));
        }
        if let Some(milliseconds) = exchange.timing.to_first_token() {
            record.number("time_to_first_token_ms", milliseconds);
        }
        if let Some(flags) = exchange.flags() {
            record.text("guard_flags", &flags);
        }
        if let Some(blocked) = &exchange.blocked {
            record.text("guard_blocked", &blocked.to_string());
        }
        let partial = exchange.usage.is_some_and(|(_, source)| source == Source::Partial);
        record.error(status, exchange.interrupted || partial);
        record
    }

    /// With what only traces want to know: Envoy reads all of a record for each line of its access log.
    #[must_use]
    pub fn for_traces(mut self, exchange: &Exchange) -> Self {
        if let Some(facts) = &exchange.facts {
            self.text("request_model", &facts.model);
            self.text("operation", operation(facts.endpoint));
            self.text("provider", provider(facts.endpoint.dialect()));
        }
        if let Some(model) = exchange.target_model() {
            self.text("response_model", model);
        }
        self
    }

    /// The record of a request that was refused before anything was known of it.
    pub fn of_stranger(none: &str, status: u16) -> Self {
        let mut record = Record::default();
        for name in ["key", "model", "cluster"] {
            record.text(name, none);
        }
        record.number("attempts", 0);
        record.error(status, false);
        record
    }

    /// The bytes of a `google.protobuf.Struct`.
    pub fn as_struct(&self) -> &[u8] {
        &self.bytes
    }

    /// Nothing, if nothing went wrong.
    fn error(&mut self, status: u16, interrupted: bool) {
        match (status, interrupted) {
            (0, _) => self.text("error", "client_disconnected"),
            (400.., _) => self.text("error", &status.to_string()),
            (_, true) => self.text("error", "interrupted"),
            (_, false) => {}
        }
    }

    /// `Value { string string_value = 3; }`
    fn text(&mut self, name: &str, value: &str) {
        let end = value.char_indices().nth(MAX_TEXT).map_or(value.len(), |(end, _)| end);
        let text = value.get(..end).unwrap_or_default().as_bytes();
        let mut encoded = Vec::with_capacity(text.len() + 3);
        bytes_field(&mut encoded, 3, text);
        self.field(name, &encoded);
    }

    /// `Value { double number_value = 2; }`
    fn number(&mut self, name: &str, value: u64) {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = (value as f64).to_le_bytes();
        self.field(name, &[2 << 3 | 1, b0, b1, b2, b3, b4, b5, b6, b7]);
    }

    /// `Struct { map<string, Value> fields = 1; }`, whose entries are `{ string key = 1; Value value = 2; }`.
    fn field(&mut self, name: &str, value: &[u8]) {
        let mut entry = Vec::with_capacity(name.len() + value.len() + 6);
        bytes_field(&mut entry, 1, name.as_bytes());
        bytes_field(&mut entry, 2, value);
        bytes_field(&mut self.bytes, 1, &entry);
    }
}

/// A field of the wire type for bytes: its tag, the length as a varint, the bytes.
fn bytes_field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

/// `gen_ai.operation.name`, by OpenTelemetry's semantic conventions.
fn operation(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Messages | Endpoint::OllamaChat => "chat",
        Endpoint::Completions | Endpoint::OllamaGenerate => "text_completion",
        Endpoint::Embeddings | Endpoint::OllamaEmbed => "embeddings",
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => "generate_content",
    }
}

/// `gen_ai.provider.name`: whose API is spoken, which is all the gateway can know.
fn provider(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Ollama => "ollama",
        Dialect::Gemini => "gcp.gemini",
    }
}
