//! Lists of tools.

use super::reader::{ConfigError, Node};
use crate::tools::ToolLists;

/// Reads `{allow: [...], deny: [...]}`.
///
/// # Errors
/// The first mistake, with its path.
pub(crate) fn read(node: Option<Node<'_>>) -> Result<Option<ToolLists>, ConfigError> {
    let Some(node) = node else {
        return Ok(None);
    };
    let fields = node.object(&["allow", "deny"])?;
    let list = |name: &str| fields.get(name).map(|node| node.texts()).transpose();
    let lists = ToolLists { allow: list("allow")?, deny: list("deny")?.unwrap_or_default() };
    match lists.check() {
        Ok(()) => Ok(Some(lists)),
        Err((field, problem)) => Err(fields.get(field).map_or_else(|| node.error(&*problem), |at| at.error(&*problem))),
    }
}
