//! The tools of a request that its answer's translation must know.

/// A tool that differs between client and server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::translate) struct ToolNote {
    /// The server's name for it.
    pub given: String,
    /// The client's name for it.
    pub name: String,
    pub namespace: Option<String>,
    /// Whether it takes a text, not an object.
    pub custom: bool,
}
