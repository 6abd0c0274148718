//! What an answer must know of the tools in its request.

/// A tool that the client knows otherwise than the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::translate) struct ToolNote {
    /// Its name for the server.
    pub given: String,
    /// Its name for the client.
    pub name: String,
    pub namespace: Option<String>,
    /// It takes a text, not an object.
    pub custom: bool,
}
