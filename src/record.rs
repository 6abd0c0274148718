//! The record of one request, for the access log and for traces.
//!
//! Envoy writes both, with formats in envoy.yaml, and reads the record from filter state, which takes one call for any
//! size. Its access log gets finished JSON text, because converting a message to JSON in Envoy would cost a tenth of a
//! request. Its tracer, and formats that pick single fields, get a `google.protobuf.Struct`. A record contains no
//! prompt and no secret.

use crate::endpoint::{Dialect, Endpoint};
use crate::exchange::{written_similarity, Exchange};
use crate::json::{write_number, write_string};
use crate::outcome::Outcome;
use crate::routing::Upstream;
use crate::usage::{ResponseDetails, UsageSource};

/// The longest text, in characters, because clients choose model names.
const MAX_TEXT: usize = 100;

/// The longest list of attempts, in characters: names of upstreams are the operator's.
const MAX_OUTCOMES: usize = 400;

/// The usual maximum size of a record, in bytes.
const USUAL: usize = 384;

/// A writer of records.
pub trait Fields {
    /// Adds a text.
    fn text(&mut self, name: &str, value: &str);
    /// Adds a number.
    fn number(&mut self, name: &str, value: u64);
}

/// The record of one request: as [`Json`], or as a [`Struct`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record<F>(F);

impl<F: Fields + Default> Record<F> {
    /// The values for a request whose client gets this status. While the answer still passes, they are correct if
    /// nothing more comes.
    pub fn of(exchange: &Exchange, status: u16) -> Self {
        let mut record = Record::<F>::default();
        let (key, model, cluster) = exchange.labels();
        record.text("key", key);
        record.text("model", model);
        record.text("cluster", cluster);
        if let Some(name) = exchange.target_model().filter(|name| *name != model) {
            record.text("upstream_model", name);
        }
        for (name, value) in exchange.identity().into_iter().flat_map(|identity| &identity.labels) {
            record.text(&format!("label_{name}"), value);
        }
        record.number("attempts", exchange.attempt_count() as u64);
        if exchange.attempt_count() > 0 {
            record.0.text("outcomes", cut(&exchange.attempts(), MAX_OUTCOMES));
        }
        if let Some(reason) = exchange.connect_failure() {
            record.text("connect_failure", reason);
        }
        if let Some(parsed) = exchange.parsed().filter(|parsed| parsed.model != model) {
            record.text("requested_model", &parsed.model);
        }
        if let Some((tokens, source)) = exchange.usage() {
            for (kind, count) in tokens.labelled() {
                if count > 0 || matches!(kind, "input" | "output") {
                    record.number(tokens_field(kind), count);
                }
            }
            record.text("source", source.label());
            record.number("cost_microusd", exchange.cost(&tokens));
        }
        if let Some(milliseconds) = exchange.timing().to_first_token() {
            record.number("time_to_first_token_ms", milliseconds);
        }
        if let Some(kind) = exchange.kind() {
            record.text("kind", &kind.kind);
            record.text("virtual_model", &kind.virtual_model);
        }
        if let Some(cached) = exchange.cached() {
            record.text("cache", cached.result.name());
            if exchange.is_hit() {
                record.number("cache_age_s", cached.age.as_secs());
                record.number("saved_input_tokens", cached.saved.0);
                record.number("saved_output_tokens", cached.saved.1);
                if let Some(similarity) = cached.similarity {
                    record.text("cache_similarity", &written_similarity(similarity));
                }
            }
        }
        if let Some(prompt) = exchange.prompt() {
            record.text("prompt", prompt);
        }
        if let Some(flags) = exchange.flags() {
            record.text("guard_flags", &flags);
        }
        if let Some(blocked) = exchange.blocked() {
            record.text("guard_blocked", &blocked.to_string());
        }
        let partial = exchange.usage().is_some_and(|(_, source)| source == UsageSource::Partial);
        match exchange.was_invalid() && status < 400 {
            true => record.text("error", Outcome::BadResponse.label()),
            false => record.error(status, exchange.is_interrupted() || partial && !exchange.ended_without_marker()),
        }
        record
    }

    /// Adds the conversation's id from the client's header.
    #[must_use]
    pub fn in_conversation(mut self, id: Option<&str>) -> Self {
        if let Some(id) = id {
            self.text("conversation", id);
        }
        self
    }

    /// With the fields that only traces need.
    #[must_use]
    pub fn for_traces(mut self, exchange: &Exchange, answer: Option<&ResponseDetails>) -> Self {
        if let Some(parsed) = exchange.parsed() {
            self.text("request_model", &parsed.model);
            let operation = match parsed.by_id && parsed.endpoint == Endpoint::Responses {
                true => "stored_response",
                false => operation(parsed.endpoint),
            };
            self.text("operation", operation);
            self.text("span_name", &format!("{operation} {}", parsed.model));
            self.text("provider", provider(parsed.endpoint.dialect()));
            self.text("stream", if parsed.stream { "true" } else { "false" });
            if let Some(most) = parsed.output_limit {
                self.number("max_tokens", most / parsed.choices.max(1));
            }
            if let Some(thousandths) = parsed.temperature {
                self.text("temperature", &decimal(thousandths.into()));
            }
        } else {
            self = self.for_unnamed_span();
        }
        if let (true, Some(milliseconds)) = (exchange.streams(), exchange.timing().to_first_token()) {
            self.text("time_to_first_chunk", &decimal(milliseconds));
        }
        if let Some((address, port)) = exchange.upstream().and_then(server) {
            self.text("server_address", address);
            if let Some(port) = port {
                self.text("server_port", port);
            }
        }
        if let Some(id) = answer.and_then(ResponseDetails::id) {
            self.text("response_id", id);
        }
        if let Some(reasons) = answer.map(ResponseDetails::finish_reasons).filter(|reasons| !reasons.is_empty()) {
            self.text("finish_reasons", &reasons);
        }
        if let Some(model) = exchange.target_model() {
            self.text("response_model", model);
        }
        self
    }

    /// With the name of the span of a request of which no model is known.
    #[must_use]
    pub fn for_unnamed_span(mut self) -> Self {
        self.text("span_name", "request");
        self
    }

    /// The record of a request that was refused before anything was known about it.
    pub fn of_stranger(none: &str, status: u16) -> Self {
        let mut record = Record::<F>::default();
        for name in ["key", "model", "cluster"] {
            record.text(name, none);
        }
        record.number("attempts", 0);
        record.error(status, false);
        record
    }

    /// Writes nothing for a success.
    fn error(&mut self, status: u16, interrupted: bool) {
        match (status, interrupted) {
            (0, _) => self.text("error", "client_disconnected"),
            (400.., _) => self.text("error", &status.to_string()),
            (_, true) => self.text("error", "interrupted"),
            (_, false) => {}
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        self.0.text(name, cut(value, MAX_TEXT));
    }

    fn number(&mut self, name: &str, value: u64) {
        self.0.number(name, value);
    }
}

/// The first `most` characters.
fn cut(text: &str, most: usize) -> &str {
    // nearly all are shorter, even in bytes
    if text.len() <= most {
        return text;
    }
    let end = text.char_indices().nth(most).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or_default()
}

impl Record<Json> {
    /// The end of a JSON object that already has fields: `,"sluice":{"key":"alice", ...}`. So a line of the access log
    /// is valid JSON even without a record, for example for invalid HTTP.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.0 .0.push('}');
        self.0 .0.into_bytes()
    }
}

impl Record<Struct> {
    /// The bytes of a `google.protobuf.Struct`.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0 .0
    }
}

/// The beginning of a record as JSON.
const JSON_START: &str = r#","sluice":{"#;

/// The fields of a finished JSON record, without the braces around them; empty for other bytes.
pub fn json_fields(record: &[u8]) -> &str {
    let text = std::str::from_utf8(record).unwrap_or_default();
    text.strip_prefix(JSON_START).and_then(|rest| rest.strip_suffix('}')).unwrap_or_default()
}

/// JSON text, without its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(String);

impl Default for Json {
    fn default() -> Self {
        let mut text = String::with_capacity(USUAL);
        text.push_str(JSON_START);
        Json(text)
    }
}

impl Json {
    fn name(&mut self, name: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name); // our own names and labels' names need no quoting
        self.0.push_str("\":");
    }
}

impl Fields for Json {
    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_string(&mut self.0, value);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        write_number(&mut self.0, value);
    }
}

/// The bytes of a `google.protobuf.Struct`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Struct(Vec<u8>);

impl Struct {
    /// `Struct { map<string, Value> fields = 1; }`, whose entries are `{ string key = 1; Value value = 2; }`.
    fn field(&mut self, name: &str, value: &[u8]) {
        let mut entry = Vec::with_capacity(name.len() + value.len() + 6);
        bytes_field(&mut entry, 1, name.as_bytes());
        bytes_field(&mut entry, 2, value);
        bytes_field(&mut self.0, 1, &entry);
    }
}

impl Fields for Struct {
    /// `Value { string string_value = 3; }`
    fn text(&mut self, name: &str, value: &str) {
        let mut encoded = Vec::with_capacity(value.len() + 3);
        bytes_field(&mut encoded, 3, value.as_bytes());
        self.field(name, &encoded);
    }

    /// `Value { double number_value = 2; }`
    fn number(&mut self, name: &str, value: u64) {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = (value as f64).to_le_bytes();
        self.field(name, &[2 << 3 | 1, b0, b1, b2, b3, b4, b5, b6, b7]);
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

/// Thousandths as a decimal number: `0.25`.
fn decimal(thousandths: u64) -> String {
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The host that an upstream is configured with, and its port if that has one.
fn server(upstream: &Upstream) -> Option<(&str, Option<&str>)> {
    let host = upstream.host.as_deref()?;
    match host.rsplit_once(':') {
        Some((address, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some((address, Some(port))),
        _ => Some((host, None)),
    }
}

/// `gen_ai.operation.name`, by OpenTelemetry's semantic conventions.
fn operation(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::ChatCompletions
        | Endpoint::Responses
        | Endpoint::Messages
        | Endpoint::OllamaChat
        | Endpoint::Converse
        | Endpoint::ConverseStream => "chat",
        Endpoint::Completions | Endpoint::OllamaGenerate => "text_completion",
        Endpoint::Embeddings | Endpoint::OllamaEmbed => "embeddings",
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => "generate_content",
        Endpoint::Further(further) => further.operation(),
    }
}

/// `gen_ai.provider.name`: the API's provider, which is all that the gateway knows.
fn provider(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Ollama => "ollama",
        Dialect::Gemini => "gcp.gemini",
        Dialect::Converse => "aws.bedrock",
    }
}

/// A count's field, by its label in the stats.
fn tokens_field(kind: &str) -> &'static str {
    match kind {
        "input" => "input_tokens",
        "output" => "output_tokens",
        "cached_input" => "cached_input_tokens",
        "cache_write_input" => "cache_write_input_tokens",
        "reasoning_output" => "reasoning_output_tokens",
        "audio_input" => "audio_input_tokens",
        "audio_output" => "audio_output_tokens",
        "image_input" => "image_input_tokens",
        _ => "image_output_tokens",
    }
}
