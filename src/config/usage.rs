//! The configuration of `usage`.

use super::reader::{self, ConfigError};
use super::Node;
use crate::forwarding::is_name_byte;
use crate::wire_names::CREDENTIAL_HEADERS;

/// The most headers that are looked for: each costs a request one call of Envoy.
const MAX_HEADERS: usize = 4;

/// Where each request's record goes, besides Envoy's stats. Turned off, it costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// Envoy's access log: the record exists when the request is logged.
    pub access_log: bool,
    /// Envoy's tracer: the record exists while the answer passes, because spans are finished before the log.
    pub tracing: bool,
    /// The client headers that may name a conversation, in lower case. The first one that a request has counts.
    pub conversation_headers: Vec<String>,
}

/// Reads the configuration of `usage`.
///
/// # Errors
/// The first mistake.
pub fn usage(bytes: &[u8]) -> Result<Reports, ConfigError> {
    let value = reader::parse("usage", bytes)?;
    let fields = Node::root("usage", &value).object(&["access_log", "tracing", "conversation_headers"])?;
    let flag = |name: &str| fields.get(name).map_or(Ok(false), |node| node.flag());
    let conversation_headers = fields.get("conversation_headers").map_or(Ok(Vec::new()), |node| header_names(&node))?;
    Ok(Reports { access_log: flag("access_log")?, tracing: flag("tracing")?, conversation_headers })
}

fn header_names(node: &Node<'_>) -> Result<Vec<String>, ConfigError> {
    let list = node.list()?;
    if list.is_empty() || list.len() > MAX_HEADERS {
        return Err(node.error(format!("needs 1 to {MAX_HEADERS} names of headers")));
    }
    list.iter().map(header_name).collect()
}

fn header_name(node: &Node<'_>) -> Result<String, ConfigError> {
    let name = node.text()?.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return Err(node.error("is not a header's name"));
    }
    if CREDENTIAL_HEADERS.contains(&name.as_str()) || name == "cookie" {
        return Err(node.error("carries credentials, which must not appear in a log; name another header"));
    }
    Ok(name)
}
