//! The gateway's own endpoints: what operators see of its clusters and do to them.

use std::time::Duration;

use crate::config::{ConfigError, Node};
use crate::connect_failure::LastFailure;
use crate::date::Timestamp;
use crate::endpoint::{percent_decode, Call};
use crate::error::ApiError;
use crate::health::{Health, Standing};
use crate::json::write_string;
use crate::routing::Upstream;

/// What is asked of the gateway itself. The paths that begin with `/gateway` begin with its configured prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `GET /ping`: whether anybody is there.
    Ping,
    /// `GET /healthz`: the same for load balancers and orchestrators.
    Health,
    /// `GET /v1/models`: the models that the caller may use.
    Models,
    /// `GET /v1/models/{model}`: one of them.
    Model(String),
    /// `GET /api/tags` and `GET /tags`: the same in Ollama's form.
    Tags,
    /// `GET /api/version`: the version of Ollama whose API is spoken.
    Version,
    /// `GET /api/ps`: the models that Ollama has in memory, of which the gateway knows nothing.
    Running,
    /// `GET /gateway/whoami`: who the caller is.
    WhoAmI,
    /// `GET /gateway/limits`: what is left of the caller's limits.
    Limits,
    /// `GET /gateway/usage`: what has been used; of the caller's own key, unless it is an administrator's.
    Usage,
    /// `GET /gateway/keys`: everyone who may call.
    Keys,
    /// `POST /gateway/keys`: a new virtual key.
    IssueKey,
    /// `DELETE /gateway/keys/{id}`: revokes a key.
    RevokeKey(String),
    /// `POST /gateway/keys/{id}/restore`: takes a revocation back.
    RestoreKey(String),
    /// `GET /gateway/upstreams`: the state of every upstream.
    Upstreams,
    /// `POST /gateway/upstreams/{cluster}/eject`: takes a cluster out of the pool.
    Eject(String),
    /// `POST /gateway/upstreams/{cluster}/restore`: takes it in again.
    Restore(String),
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone, without a key.
    Anyone,
    /// Whoever has a key.
    Caller,
    /// Whoever has an administrator's key.
    Admin,
}

/// What the gateway's own paths begin with, where nothing else is configured.
pub const DEFAULT_PREFIX: &str = "/gateway";

impl Command {
    /// Tells what a request asks of the gateway, if it does. `path` has no query.
    ///
    /// ```
    /// use sluice::endpoint::Call;
    /// use sluice::gateway::Command;
    ///
    /// assert_eq!(Command::find("GET", "/gateway/keys", "/gateway"), Call::Gateway(Command::Keys));
    /// assert_eq!(Command::find("POST", "/gateway/keys", "/gateway"), Call::Gateway(Command::IssueKey));
    /// assert_eq!(Command::find("PUT", "/gateway/keys", "/gateway"), Call::WrongMethod("GET, POST"));
    /// assert_eq!(Command::find("GET", "/gateway/keys", "/admin"), Call::Unknown);
    /// ```
    pub fn find(method: &str, path: &str, prefix: &str) -> Call {
        let Some(command) = Command::at(path, prefix, method) else {
            return Call::Unknown;
        };
        let allowed = command.method();
        if method == allowed || (method == "HEAD" && command.access() == Access::Anyone) {
            return Call::Gateway(command);
        }
        Call::WrongMethod(match command {
            Command::Keys => "GET, POST",
            _ => allowed,
        })
    }

    /// The command at a path. Where there are two, the method tells which.
    fn at(path: &str, prefix: &str, method: &str) -> Option<Command> {
        match path {
            "/ping" => return Some(Command::Ping),
            "/healthz" => return Some(Command::Health),
            "/v1/models" => return Some(Command::Models),
            "/tags" | "/api/tags" => return Some(Command::Tags),
            "/api/version" => return Some(Command::Version),
            "/api/ps" => return Some(Command::Running),
            _ => {}
        }
        if let Some(model) = path.strip_prefix("/v1/models/") {
            return Some(Command::Model(percent_decode(model).into_owned()));
        }
        let own = path.strip_prefix(prefix)?;
        match (own, method) {
            ("/whoami", _) => return Some(Command::WhoAmI),
            ("/limits", _) => return Some(Command::Limits),
            ("/usage", _) => return Some(Command::Usage),
            ("/keys", "POST") => return Some(Command::IssueKey),
            ("/keys", _) => return Some(Command::Keys),
            ("/upstreams", _) => return Some(Command::Upstreams),
            _ => {}
        }
        if let Some(id) = own.strip_prefix("/keys/") {
            let decoded = |id| percent_decode(id).into_owned();
            // an id may have a slash in it
            return Some(match id.strip_suffix("/restore").filter(|_| method != "DELETE") {
                Some(id) => Command::RestoreKey(decoded(id)),
                None => Command::RevokeKey(decoded(id)),
            });
        }
        let (cluster, verb) = own.strip_prefix("/upstreams/")?.rsplit_once('/')?;
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
            Command::Ping | Command::Health | Command::Models | Command::Model(_) | Command::Tags => "GET",
            Command::Version | Command::Running => "GET",
            Command::WhoAmI | Command::Limits | Command::Usage | Command::Keys | Command::Upstreams => "GET",
            Command::IssueKey | Command::RestoreKey(_) | Command::Eject(_) | Command::Restore(_) => "POST",
            Command::RevokeKey(_) => "DELETE",
        }
    }

    /// Whether it reads a body; others are answered without waiting for it.
    pub fn takes_body(&self) -> bool {
        match self {
            Command::IssueKey | Command::Eject(_) => true,
            Command::Ping | Command::Health | Command::Models | Command::Model(_) | Command::Tags => false,
            Command::Version | Command::Running => false,
            Command::WhoAmI | Command::Limits | Command::Usage | Command::Keys | Command::Upstreams => false,
            Command::RevokeKey(_) | Command::RestoreKey(_) | Command::Restore(_) => false,
        }
    }

    /// Who may ask for it.
    pub fn access(&self) -> Access {
        match self {
            Command::Ping | Command::Health => Access::Anyone,
            Command::Models | Command::Model(_) | Command::Tags => Access::Caller,
            Command::Version | Command::Running => Access::Caller,
            Command::WhoAmI | Command::Limits | Command::Usage => Access::Caller,
            Command::Keys | Command::IssueKey | Command::RevokeKey(_) | Command::RestoreKey(_) => Access::Admin,
            Command::Upstreams | Command::Eject(_) | Command::Restore(_) => Access::Admin,
        }
    }
}

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

/// One model of it: the answer to [`Command::Model`].
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

/// The answer to [`Command::Version`]: of the Ollama whose `docs/api.md` the gateway follows.
pub const OLLAMA_VERSION: &str = r#"{"version":"0.12.6"}"#;

/// The answer to [`Command::Running`]: clients show the list, and do without.
pub const OLLAMA_RUNNING: &str = r#"{"models":[]}"#;

/// The answer to Anthropic's `count_tokens` where no target can count: about four bytes are a token.
pub fn token_count(tokens: u64) -> String {
    format!(r#"{{"input_tokens":{tokens}}}"#)
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
    /// The last failure to connect.
    pub connect_failure: Option<LastFailure>,
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
        r#""until":{},"in_flight":{},"uses":{},"consecutive_failures":{},"latency_ms":{},"until_rfc3339":"#,
        seconds(until.map(|until| until.as_secs_f64()), 1.0),
        state.in_flight,
        state.uses,
        state.health.consecutive_failures(),
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
    out.push('}');
}

/// As an RFC 3339 timestamp.
fn write_time(out: &mut String, time: Option<Duration>) {
    match time {
        Some(time) => out.push_str(&format!("\"{}\"", Timestamp(time))),
        None => out.push_str("null"),
    }
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
