//! Whether the caller may offer a request's tools.

use std::rc::Rc;

use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::keys::Identity;
use sluice::tools::{check, ToolLists};

use super::Incoming;

impl Incoming {
    /// Restricts the tools of all callers.
    pub fn with_tools(mut self, tools: &Option<Rc<ToolLists>>) -> Self {
        self.tools.clone_from(tools);
        self
    }
}

/// Reads a body for its tools, if there are lists of the caller's or of all callers.
///
/// # Errors
/// 403: it has one that is not permitted.
pub(super) fn tools(
    caller: Option<&Rc<Identity>>,
    all: Option<&ToolLists>,
    endpoint: Endpoint,
    body: &[u8],
) -> Result<(), ApiError> {
    let own = caller.and_then(|caller| caller.tools.as_deref());
    let lists: Vec<&ToolLists> = own.into_iter().chain(all).collect();
    if lists.is_empty() {
        return Ok(());
    }
    check(&lists, endpoint.dialect(), body)
        .map_err(|refusal| ApiError::tool_not_allowed(&refusal.path, refusal.name.as_deref()))
}
