//! Errors about the tools that a caller may offer.

use super::ApiError;

impl ApiError {
    /// 403: the key may not offer this tool.
    pub fn tool_not_allowed(path: &str, name: Option<&str>) -> Self {
        let message = match name {
            Some(name) => format!("This key may not offer the tool `{name}` ({path})."),
            None => format!("This key may only offer certain tools, and {path} has no name by which to tell."),
        };
        ApiError { param: Some("tools"), code: "tool_not_allowed", ..ApiError::model_not_allowed(message) }
    }

    /// 403: the key may only offer certain tools, and the gateway cannot read them here.
    pub fn unread_tools() -> Self {
        let message = "This key may only offer certain tools, and the gateway does not read them on this path.";
        ApiError { param: None, code: "tools_unchecked", ..ApiError::model_not_allowed(message) }
    }
}
