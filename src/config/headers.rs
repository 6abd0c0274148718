//! The headers of an upstream: those that the operator sets, and those forwarded from clients.

use super::reader::{ConfigError, Node};
use crate::forwarding::{is_name_byte, Forwarded};
use crate::wire_names::{is_reserved_header, CREDENTIAL_HEADERS};

/// Headers to set, with names in lower case.
pub(super) fn own(node: &Node<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut headers = Vec::new();
    for (name, node) in node.entries()? {
        let lower = name.to_ascii_lowercase();
        if lower.is_empty() || !lower.bytes().all(is_name_byte) {
            return Err(node.error("is not a header's name"));
        }
        if is_reserved_header(lower.as_bytes()) || CREDENTIAL_HEADERS.contains(&lower.as_str()) {
            return Err(node.error("is set by the gateway itself; put a key into `credential`"));
        }
        headers.push((lower, header_value(&node)?));
    }
    Ok(headers)
}

/// Further client headers for this upstream.
pub(super) fn forwarded(node: Option<Node<'_>>) -> Result<Forwarded, ConfigError> {
    let Some(node) = node else {
        return Ok(Forwarded::default());
    };
    let list = node.list()?;
    let names = list.iter().map(|node| node.text().map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
    Forwarded::new(names).map_err(|(index, problem)| list.get(index).unwrap_or(&node).error(problem))
}

/// A value that is valid in a header.
pub(super) fn header_value(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    if is_header_value(text) {
        Ok(text.to_owned())
    } else {
        Err(node.error("contains characters that cannot stand in a header"))
    }
}

/// Whether a text is valid in a header.
pub(super) fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}
