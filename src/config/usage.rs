//! The configuration of `usage`.

use super::reader::{self, ConfigError};
use super::Node;

/// Where each request's record goes, besides Envoy's stats. Turned off, it costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// Envoy's access log: the record exists when the request is logged.
    pub access_log: bool,
    /// Envoy's tracer: the record exists while the answer passes, because spans are finished before the log.
    pub tracing: bool,
}

/// Reads the configuration of `usage`.
///
/// # Errors
/// The first mistake.
pub fn usage(bytes: &[u8]) -> Result<Reports, ConfigError> {
    let value = reader::parse("usage", bytes)?;
    let fields = Node::root("usage", &value).object(&["access_log", "tracing"])?;
    let flag = |name: &str| fields.get(name).map_or(Ok(false), |node| node.flag());
    Ok(Reports { access_log: flag("access_log")?, tracing: flag("tracing")? })
}
