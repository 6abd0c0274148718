//! The gateway's own endpoints for operators.

mod command;

use std::time::Duration;

use crate::config::{ConfigError, Node};
use crate::connect_failure::LastFailure;
use crate::date::Timestamp;
use crate::endpoint::{Endpoint, Further};
use crate::error::ApiError;
use crate::health::{ClusterHealth, Health, Standing};
use crate::json::write_string;
use crate::routing::Upstream;

pub use command::{Access, Command, NoCommand, DEFAULT_PREFIX};

/// The answer to [`Command::Models`], in a form that OpenAI's and Anthropic's SDKs both read (their API references,
/// "List models").
pub fn models<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let mut out = String::from(r#"{"object":"list","data":["#);
    for (index, name) in names.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        model(&mut out, name);
    }
    out.push_str(r#"],"has_more":false"#);
    for (field, name) in [("first_id", names.first()), ("last_id", names.last())] {
        out.extend([",\"", field, "\":"]);
        match name {
            Some(name) => write_string(&mut out, name),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    out
}

/// One of these models: the answer to [`Command::Model`].
pub fn model(out: &mut String, name: &str) {
    out.push_str(r#"{"id":"#);
    write_string(out, name);
    out.push_str(r#","object":"model","created":0,"owned_by":"sluice","type":"model","display_name":"#);
    write_string(out, name);
    out.push_str(r#","created_at":"1970-01-01T00:00:00Z"}"#);
}

/// The answer to [`Command::Tags`] (Ollama's `docs/api.md`, "List Local Models").
pub fn tags<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::from(r#"{"models":["#);
    for (index, name) in names.enumerate() {
        out.push_str(if index > 0 { r#",{"name":"# } else { r#"{"name":"# });
        write_string(&mut out, name);
        out.push_str(r#","model":"#);
        write_string(&mut out, name);
        out.push_str(r#","modified_at":"1970-01-01T00:00:00Z","size":0,"digest":"","details":{}}"#);
    }
    out.push_str("]}");
    out
}

/// The answer to [`Command::Version`]: the Ollama version whose `docs/api.md` the gateway follows.
pub const OLLAMA_VERSION: &str = r#"{"version":"0.12.6"}"#;

/// The answer to [`Command::Running`]: clients show the list, but do not need it.
pub const OLLAMA_RUNNING: &str = r#"{"models":[]}"#;

/// The answer to Anthropic's `count_tokens`, OpenAI's `input_tokens` and the like if no target can count: about four bytes are a
/// token.
///
/// ```
/// use sluice::endpoint::{Endpoint, Further};
/// use sluice::gateway::token_count;
///
/// assert_eq!(token_count(Endpoint::Further(Further::CountTokens), 9), r#"{"input_tokens":9}"#);
/// ```
pub fn token_count(endpoint: Endpoint, tokens: u64) -> String {
    match endpoint {
        Endpoint::Further(Further::InputTokens) => {
            format!(r#"{{"object":"response.input_tokens","input_tokens":{tokens}}}"#)
        }
        Endpoint::Further(Further::Tokenize | Further::TokenCount) => format!(r#"{{"count":{tokens}}}"#),
        _ => format!(r#"{{"input_tokens":{tokens}}}"#),
    }
}

/// The state of a cluster, in all workers except for `latency`.
#[derive(Clone, Debug)]
pub struct UpstreamStatus {
    /// Its record, and those of its models.
    pub health: ClusterHealth,
    /// Running attempts.
    pub in_flight: u64,
    /// Attempts so far.
    pub uses: u64,
    /// The average time to first byte in this worker, in seconds.
    pub latency: Option<f64>,
    /// The last failure to connect.
    pub connect_failure: Option<LastFailure>,
}

/// The answer to [`Command::Upstreams`]. `now` is the time since the epoch.
pub fn list<'a>(upstreams: impl Iterator<Item = (&'a Upstream, UpstreamStatus)>, now: Duration) -> String {
    let mut out = String::from(r#"{"object":"list","data":["#);
    for (index, (upstream, state)) in upstreams.enumerate() {
        if index > 0 {
            out.push(',');
        }
        entry(&mut out, upstream, &state, now);
    }
    out.push_str("]}");
    out
}

/// One upstream as JSON: the answer to [`Command::Eject`] and [`Command::Restore`].
pub fn entry(out: &mut String, upstream: &Upstream, state: &UpstreamStatus, now: Duration) {
    let (name, reason, until) = standing(&state.health.cluster, now);
    let texts = [
        ("cluster", Some(upstream.cluster.as_str())),
        ("upstream", Some(upstream.name.as_str())),
        ("state", Some(name)),
        ("reason", reason),
    ];
    out.push('{');
    for (key, text) in texts {
        out.push_str(&format!(r#""{key}":"#));
        match text {
            Some(text) => write_string(out, text),
            None => out.push_str("null"),
        }
        out.push(',');
    }
    let seconds = |seconds: Option<f64>, scale: f64| match seconds {
        Some(seconds) => format!("{:.3}", seconds * scale),
        None => "null".to_owned(),
    };
    out.push_str(&format!(
        r#""until":{},"in_flight":{},"uses":{},"consecutive_failures":{},"latency_ms":{},"until_rfc3339":"#,
        seconds(until.map(|until| until.as_secs_f64()), 1.0),
        state.in_flight,
        state.uses,
        state.health.cluster.consecutive_failures(),
        seconds(state.latency, 1e3)
    ));
    write_time(out, until);
    out.push_str(r#","last_connect_failure":"#);
    match &state.connect_failure {
        Some(LastFailure { cause, at, reason }) => {
            out.extend([r#"{"cause":""#, cause.label(), r#"","reason":"#]);
            write_string(out, reason);
            out.push_str(&format!(r#","at":{at},"at_rfc3339":"#));
            write_time(out, Some(Duration::from_secs(*at)));
            out.push('}');
        }
        None => out.push_str("null"),
    }
    out.push_str(r#","models":["#);
    for (index, (name, health)) in state.health.models().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        model_entry(out, name, health, now);
    }
    out.push_str("]}");
}

/// One of an upstream's models that has failed.
fn model_entry(out: &mut String, name: &str, health: &Health, now: Duration) {
    let (state, reason, until) = standing(health, now);
    out.push_str(r#"{"model":"#);
    write_string(out, name);
    out.push_str(&format!(r#","state":"{state}","reason":"#));
    match reason {
        Some(reason) => write_string(out, reason),
        None => out.push_str("null"),
    }
    match until {
        Some(until) => out.push_str(&format!(r#","until":{:.3}"#, until.as_secs_f64())),
        None => out.push_str(r#","until":null"#),
    }
    out.push_str(r#","until_rfc3339":"#);
    write_time(out, until);
    out.push_str(&format!(r#","consecutive_failures":{}}}"#, health.consecutive_failures()));
}

/// A record's state, its reason, and when it ends.
fn standing(health: &Health, now: Duration) -> (&'static str, Option<&'static str>, Option<Duration>) {
    match health.standing(now) {
        Standing::Healthy => ("healthy", None, None),
        Standing::Ejected { until, reason } => ("ejected", Some(reason.label()), until),
        Standing::HalfOpen { reason, .. } => ("half_open", Some(reason.label()), None),
    }
}

/// As an RFC 3339 timestamp.
fn write_time(out: &mut String, time: Option<Duration>) {
    match time {
        Some(time) => out.push_str(&format!("\"{}\"", Timestamp(time))),
        None => out.push_str("null"),
    }
}

/// The duration of [`Command::Eject`]: `{"time": "10m"}`, or an empty body for until restored.
///
/// # Errors
/// 400 that names the field.
pub fn ejection_time(body: &[u8]) -> Result<Option<Duration>, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let invalid = |message: String| ApiError::bad_request("invalid_value", Some("time"), message);
    let value = serde_json::from_slice(body).map_err(|error| {
        ApiError::bad_request("invalid_json", None, format!("The body is not valid JSON: {error}."))
    })?;
    let read = || -> Result<Option<Duration>, ConfigError> {
        let fields = Node::root("body", &value).object(&["time"])?;
        fields.get("time").map(|node| node.duration()).transpose()
    };
    read().map_err(|error| invalid(error.to_string()))
}
