//! The usage of one request, from Envoy's access log.

use std::collections::BTreeMap;

use prost::Message;
use serde::Deserialize;
use serde_json::Value;
use sluice::date::rfc3339;

use crate::proto::{BytesValue, HttpLog};

/// The filter state with the record (`usage: {access_log: true}`).
const FILTER_STATE: &str = "wasm.sluice.record";

/// The longest line of an access log, and the longest record, in bytes.
pub const MAX_LINE: usize = 64 * 1024;

/// One request's usage.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The request's id; each id counts once.
    pub id: String,
    /// When it began, in milliseconds since the epoch.
    pub at: i64,
    /// The subject that it counts for.
    pub subject: UsageKey,
    /// The amounts.
    pub sums: Sums,
    /// The status that the client got; 0 if it left before.
    pub status: u16,
}

/// The subject that requests count for: all grouping columns except time.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey {
    /// The client key's id.
    pub key: String,
    /// The model's name.
    pub model: String,
    /// The cluster that answered.
    pub cluster: String,
    /// The model's name at that cluster.
    pub upstream_model: String,
    /// The key's labels, as a JSON object in alphabetical order.
    pub labels: String,
}

/// The sums of several requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The number of requests.
    pub requests: i64,
    /// The number of failed requests.
    pub errors: i64,
    /// Tokens of prompts.
    pub input_tokens: i64,
    /// Tokens of answers.
    pub output_tokens: i64,
    /// Prompt tokens that were read from a cache.
    pub cached_input_tokens: i64,
    /// Prompt tokens that were written to a cache.
    pub cache_write_input_tokens: i64,
    /// Answer tokens for reasoning.
    pub reasoning_output_tokens: i64,
    /// The cost, in millionths of a dollar.
    pub cost_microusd: i64,
    /// The number of requests that the gateway's cache has answered.
    pub cache_hits: i64,
    /// The tokens of their prompts.
    pub saved_input_tokens: i64,
    /// The tokens of their answers.
    pub saved_output_tokens: i64,
}

/// How many numbers [`Sums`] has.
pub const NUMBERS: usize = 11;

impl Sums {
    /// The names of the numbers, in the order of [`Sums::numbers`].
    pub const NAMES: [&'static str; NUMBERS] = [
        "requests",
        "errors",
        "input_tokens",
        "output_tokens",
        "cached_input_tokens",
        "cache_write_input_tokens",
        "reasoning_output_tokens",
        "cost_microusd",
        "cache_hits",
        "saved_input_tokens",
        "saved_output_tokens",
    ];

    /// The numbers.
    pub fn numbers(&self) -> [i64; NUMBERS] {
        let Sums { requests, errors, input_tokens, output_tokens, .. } = *self;
        let Sums { cached_input_tokens, cache_write_input_tokens, reasoning_output_tokens, cost_microusd, .. } = *self;
        let Sums { cache_hits, saved_input_tokens, saved_output_tokens, .. } = *self;
        [
            requests,
            errors,
            input_tokens,
            output_tokens,
            cached_input_tokens,
            cache_write_input_tokens,
            reasoning_output_tokens,
            cost_microusd,
            cache_hits,
            saved_input_tokens,
            saved_output_tokens,
        ]
    }

    /// The sums with these numbers.
    pub fn of_numbers(numbers: [i64; NUMBERS]) -> Self {
        let [requests, errors, input_tokens, output_tokens, cached, cache_write, reasoning, cost_microusd, saved @ ..] =
            numbers;
        let [cache_hits, saved_input_tokens, saved_output_tokens] = saved;
        Sums {
            requests,
            errors,
            input_tokens,
            output_tokens,
            cached_input_tokens: cached,
            cache_write_input_tokens: cache_write,
            reasoning_output_tokens: reasoning,
            cost_microusd,
            cache_hits,
            saved_input_tokens,
            saved_output_tokens,
        }
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Sums) {
        let (own, other) = (self.numbers(), other.numbers());
        *self = Sums::of_numbers(std::array::from_fn(|place| own[place].saturating_add(other[place])));
    }
}

/// A line of the access log, in the format of envoy.yaml.
#[derive(Deserialize)]
struct Line {
    start_time: String,
    request_id: String,
    #[serde(default)]
    status: u16,
    sluice: Option<Fields>,
}

/// The record in the line.
#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    key: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    upstream_model: Option<String>,
    #[serde(default)]
    input_tokens: i64,
    #[serde(default)]
    output_tokens: i64,
    #[serde(default)]
    cached_input_tokens: i64,
    #[serde(default)]
    cache_write_input_tokens: i64,
    #[serde(default)]
    reasoning_output_tokens: i64,
    #[serde(default)]
    cost_microusd: i64,
    #[serde(default)]
    cache: Option<String>,
    #[serde(default)]
    saved_input_tokens: i64,
    #[serde(default)]
    saved_output_tokens: i64,
    #[serde(default)]
    error: Option<String>,
    #[serde(flatten)]
    further: BTreeMap<String, Value>,
}

/// Why a line is not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRecord {
    /// It is not a request to a model, such as one that Envoy has answered itself.
    NoUsage,
    /// It is unreadable.
    Malformed,
}

impl Record {
    /// Reads a line of the access log.
    ///
    /// # Errors
    /// It is not a record.
    pub fn of_line(line: &str) -> Result<Record, NoRecord> {
        let line: Line = match serde_json::from_str(line) {
            Ok(line) => line,
            Err(_) if is_without_record(line) => return Err(NoRecord::NoUsage),
            Err(_) => return Err(NoRecord::Malformed),
        };
        let at = rfc3339(&line.start_time).ok_or(NoRecord::Malformed)?;
        let fields = line.sluice.ok_or(NoRecord::NoUsage)?;
        let at = i64::try_from(at.as_millis()).map_err(|_| NoRecord::Malformed)?;
        Record::new(line.request_id, at, line.status, fields)
    }

    /// Reads an entry of Envoy's access log service.
    ///
    /// # Errors
    /// It is not a record.
    pub fn of_entry(entry: HttpLog) -> Result<Record, NoRecord> {
        let common = entry.common.ok_or(NoRecord::NoUsage)?;
        let state = common.filter_state.get(FILTER_STATE).ok_or(NoRecord::NoUsage)?;
        let text = BytesValue::decode(state.value.as_slice()).map_err(|_| NoRecord::Malformed)?.value;
        // `,"sluice":{...}` at the end of a JSON object
        let text = std::str::from_utf8(&text).map_err(|_| NoRecord::Malformed)?;
        let text = text.trim_start_matches(',').strip_prefix("\"sluice\":").ok_or(NoRecord::Malformed)?;
        if text.len() > MAX_LINE {
            return Err(NoRecord::Malformed);
        }
        let fields = serde_json::from_str(text).map_err(|_| NoRecord::Malformed)?;
        let start = common.start_time.ok_or(NoRecord::Malformed)?;
        let at = start.seconds.saturating_mul(1000).saturating_add(i64::from(start.nanos / 1_000_000));
        let status = entry.response.and_then(|response| response.code).map_or(0, |code| code.value);
        let id = entry.request.map(|request| request.request_id).unwrap_or_default();
        Record::new(id, at, u16::try_from(status).unwrap_or(0), fields)
    }

    fn new(id: String, at: i64, status: u16, fields: Fields) -> Result<Record, NoRecord> {
        if id.is_empty() || id.len() > 256 || at < 0 {
            return Err(NoRecord::Malformed);
        }
        let labels: BTreeMap<&str, &str> = fields
            .further
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("label_")?, value.as_str()?)))
            .collect();
        let failed = fields.error.is_some() || status >= 400 || status == 0;
        Ok(Record {
            id,
            at,
            status,
            sums: Sums {
                requests: 1,
                errors: i64::from(failed),
                input_tokens: fields.input_tokens.max(0),
                output_tokens: fields.output_tokens.max(0),
                cached_input_tokens: fields.cached_input_tokens.max(0),
                cache_write_input_tokens: fields.cache_write_input_tokens.max(0),
                reasoning_output_tokens: fields.reasoning_output_tokens.max(0),
                cost_microusd: fields.cost_microusd.max(0),
                cache_hits: i64::from(fields.cache.as_deref() == Some("hit")),
                saved_input_tokens: fields.saved_input_tokens.max(0),
                saved_output_tokens: fields.saved_output_tokens.max(0),
            },
            subject: UsageKey {
                upstream_model: fields.upstream_model.unwrap_or_else(|| fields.model.clone()),
                key: fields.key,
                model: fields.model,
                cluster: fields.cluster,
                labels: serde_json::to_string(&labels).map_err(|_| NoRecord::Malformed)?,
            },
        })
    }

    /// The day of its start, in days since the epoch.
    pub fn day(&self) -> i64 {
        self.at / 86_400_000
    }

    /// The hour of its start, in hours since the epoch.
    pub fn hour(&self) -> i64 {
        self.at / 3_600_000
    }
}

/// Whether a text is a line of the access log, with a record or without one.
pub fn is_line(text: &str) -> bool {
    serde_json::from_str::<Line>(text).is_ok()
}

/// Whether a line is JSON of another form, such as another program's access log.
fn is_without_record(line: &str) -> bool {
    line.trim().is_empty() || serde_json::from_str::<Value>(line).is_ok_and(|value| value.get("sluice").is_none())
}
