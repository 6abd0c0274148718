//! Google's shape of an error: `google.rpc.Status` as JSON (Google's AIP-193, "Errors").

use super::{ApiError, ErrorKind};
use crate::json::write_string;

impl ApiError {
    /// Writes the error for Gemini's SDKs, which show `code`, `status` and `message`. As at Google, the gateway's own
    /// code is the `reason` of an `ErrorInfo`, its metadata has the wrong field, and a `RetryInfo` has the retry delay.
    pub(super) fn write_google(&self, out: &mut String) {
        out.push_str(&format!(r#"{{"error":{{"code":{},"message":"#, self.status));
        write_string(out, &self.message);
        out.extend([r#","status":""#, self.google_status(), r#"","details":["#]);
        out.push_str(r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"#);
        write_string(out, &self.code.to_ascii_uppercase());
        out.push_str(r#","domain":"sluice""#);
        if let Some(param) = self.param {
            out.push_str(r#","metadata":{"param":"#);
            write_string(out, param);
            out.push('}');
        }
        out.push('}');
        if let Some(wait) = self.retry_after {
            let seconds = crate::limits::retry_after_seconds(wait);
            out.push_str(&format!(
                r#",{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{seconds}s"}}"#
            ));
        }
        out.push_str("]}}");
    }

    /// The status name, from `google.rpc.Code` and its HTTP status.
    fn google_status(&self) -> &'static str {
        match (self.status, self.kind) {
            (401, _) => "UNAUTHENTICATED",
            (403, _) => "PERMISSION_DENIED",
            (404, _) => "NOT_FOUND",
            (409, _) => "ABORTED",
            (429, _) => "RESOURCE_EXHAUSTED",
            (500, _) => "INTERNAL",
            (504, _) | (_, ErrorKind::Timeout) => "DEADLINE_EXCEEDED",
            (502 | 503 | 529, _) => "UNAVAILABLE",
            (400..=499, _) => "INVALID_ARGUMENT",
            _ => "UNKNOWN",
        }
    }
}
