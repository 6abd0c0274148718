//! How an upstream's answers are metered: its `usage`.

use super::reader::{ConfigError, Node};
use crate::usage::{Counter, Format, Metering, COUNT_TIMEOUT};

/// Reads a `usage` object. Defaults: the format by the answer's shape, and no counting.
///
/// # Errors
/// The first mistake, with its path.
pub(super) fn read(node: Option<Node<'_>>) -> Result<Metering, ConfigError> {
    let Some(node) = node else {
        return Ok(Metering::default());
    };
    let fields = node.object(&["format", "count"])?;
    let choices = Format::ALL.map(|format| (format.name(), format));
    let format = fields.get("format").map(|node| node.choice(&choices)).transpose()?;
    let count = fields.get("count").map(|node| counter(&node)).transpose()?;
    Ok(Metering { format: format.unwrap_or_default(), count })
}

fn counter(node: &Node<'_>) -> Result<Counter, ConfigError> {
    let fields = node.object(&["path", "timeout"])?;
    let path = fields.require("path")?;
    let text = path.text()?;
    if !text.starts_with('/') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(path.error("must be a path from the server's root, such as \"/tokenize\""));
    }
    let timeout = fields.get("timeout").map(|node| node.duration()).transpose()?;
    Ok(Counter { path: text.to_owned(), timeout: timeout.unwrap_or(COUNT_TIMEOUT) })
}
