//! WebSocket: which paths are served over it, and where their model stands.
//!
//! Sources: OpenAI's guides "Realtime API with WebSocket" and "WebSocket mode" (of the Responses API).

use crate::uri::{query_value, without_query};

/// The path of OpenAI's Realtime API.
pub const REALTIME: &str = "/v1/realtime";

/// The header with which browsers send their key: they can set no other.
pub const PROTOCOL_HEADER: &str = "sec-websocket-protocol";

/// What such a subprotocol begins with; the rest is the key.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// A client's wish to go on with WebSocket (RFC 6455).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// `GET /v1/realtime?model=`: the query names the model for the whole connection.
    Realtime,
    /// `GET /v1/responses`, passed to an upstream: each `response.create` names its model.
    Responses,
    /// Another path that is passed to an upstream: the frames are unknown.
    Passed,
}

impl Socket {
    /// What a path, with its query, is on a WebSocket.
    pub fn of_path(path: &str) -> Self {
        match without_query(path) {
            REALTIME if realtime_model(path).is_some() => Socket::Realtime,
            "/v1/responses" => Socket::Responses,
            _ => Socket::Passed,
        }
    }
}

/// The model in the query of a realtime path, decoded.
pub fn realtime_model(path: &str) -> Option<String> {
    query_value(path, "model").map(|model| model.into_owned()).filter(|model| !model.is_empty())
}

/// The keys in a list of subprotocols, and the list without them.
///
/// ```
/// use sluice::endpoint::keys_in_protocols;
///
/// let (keys, rest) = keys_in_protocols("realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1");
/// assert_eq!((keys, rest.as_str()), (vec!["sk-1"], "realtime, openai-beta.realtime-v1"));
/// assert_eq!(keys_in_protocols("OpenAI-Insecure-API-Key.sk-1"), (vec!["sk-1"], String::new()));
/// ```
pub fn keys_in_protocols(list: &str) -> (Vec<&str>, String) {
    let protocols = || list.split(',').map(str::trim).filter(|protocol| !protocol.is_empty());
    let key = |protocol| strip_prefix_ignoring_case(protocol, KEY_PROTOCOL);
    let keys = protocols().filter_map(key).collect();
    let rest: Vec<&str> = protocols().filter(|protocol| key(protocol).is_none()).collect();
    (keys, rest.join(", "))
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}
