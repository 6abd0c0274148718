//! The gateway's own endpoints: what operators see of its clusters and do to them.

use std::time::Duration;

use crate::config::{ConfigError, Node};
use crate::endpoint::{percent_decode, without_query};
use crate::error::ApiError;
use crate::health::{Health, Standing};
use crate::json::write_string;
use crate::routing::Upstream;

/// What an operator asks of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `GET /gateway/upstreams`: the state of every upstream.
    Upstreams,
    /// `POST /gateway/upstreams/{cluster}/eject`: takes a cluster out of the pool.
    Eject(String),
    /// `POST /gateway/upstreams/{cluster}/restore`: takes it in again.
    Restore(String),
}

impl Command {
    /// Told by the path.
    ///
    /// ```
    /// use sluice::gateway::Command;
    ///
    /// assert_eq!(Command::of_path("/gateway/upstreams"), Some(Command::Upstreams));
    /// assert_eq!(Command::of_path("/gateway/upstreams/a/eject"), Some(Command::Eject("a".into())));
    /// assert_eq!(Command::of_path("/gateway/upstreams/a"), None);
    /// ```
    pub fn of_path(path: &str) -> Option<Command> {
        let rest = without_query(path).strip_prefix("/gateway/upstreams")?;
        if rest.is_empty() {
            return Some(Command::Upstreams);
        }
        let (cluster, verb) = rest.strip_prefix('/')?.rsplit_once('/')?;
        let cluster = percent_decode(cluster).into_owned();
        match verb {
            "eject" => Some(Command::Eject(cluster)),
            "restore" => Some(Command::Restore(cluster)),
            _ => None,
        }
    }

    /// The method it takes.
    pub fn method(&self) -> &'static str {
        match self {
            Command::Upstreams => "GET",
            Command::Eject(_) | Command::Restore(_) => "POST",
        }
    }
}

/// What is known of a cluster, in all workers but for `latency`.
#[derive(Clone, Debug)]
pub struct State {
    /// Its record.
    pub health: Health,
    /// Attempts under way.
    pub in_flight: u64,
    /// Attempts so far.
    pub uses: u64,
    /// The average time to first byte in this worker, in seconds.
    pub latency: Option<f64>,
}

/// The answer to [`Command::Upstreams`]. `now` is the time since the epoch.
pub fn list<'a>(upstreams: impl Iterator<Item = (&'a Upstream, State)>, now: Duration) -> String {
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
pub fn entry(out: &mut String, upstream: &Upstream, state: &State, now: Duration) {
    let (name, reason, until) = match state.health.standing(now) {
        Standing::Healthy => ("healthy", None, None),
        Standing::Ejected { until, reason } => ("ejected", Some(reason.label()), until),
        Standing::HalfOpen { reason, .. } => ("half_open", Some(reason.label()), None),
    };
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
        r#""until":{},"in_flight":{},"uses":{},"consecutive_failures":{},"latency_ms":{}}}"#,
        seconds(until.map(|until| until.as_secs_f64()), 1.0),
        state.in_flight,
        state.uses,
        state.health.consecutive_failures(),
        seconds(state.latency, 1e3)
    ));
}

/// How long [`Command::Eject`] is to last: `{"time": "10m"}`, or nothing for until it is restored.
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
