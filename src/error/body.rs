//! An error as each client's SDK understands it.

use super::{ApiError, Shape};
use crate::json::write_string;

impl ApiError {
    /// The answer's JSON body.
    ///
    /// ```
    /// use sluice::error::{ApiError, Shape};
    ///
    /// let error = ApiError::unauthorized("No API key provided.");
    /// assert_eq!(
    ///     error.body(Shape::OpenAi),
    ///     r#"{"error":{"message":"No API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#
    /// );
    /// assert_eq!(
    ///     error.body(Shape::Anthropic),
    ///     r#"{"type":"error","error":{"type":"authentication_error","message":"No API key provided."}}"#
    /// );
    /// ```
    pub fn body(&self, shape: Shape) -> String {
        let mut out = String::with_capacity(self.message.len() + 128);
        match shape {
            Shape::OpenAi => {
                out.push_str(r#"{"error":{"message":"#);
                write_string(&mut out, &self.message);
                out.push_str(r#","type":""#);
                out.push_str(self.kind.openai());
                out.push_str(r#"","param":"#);
                match self.param {
                    Some(param) => write_string(&mut out, param),
                    None => out.push_str("null"),
                }
                out.push_str(r#","code":"#);
                write_string(&mut out, self.code);
                out.push_str("}}");
            }
            Shape::Anthropic => {
                out.push_str(r#"{"type":"error","error":{"type":""#);
                out.push_str(self.kind.anthropic());
                out.push_str(r#"","message":"#);
                write_string(&mut out, &self.message);
                out.push_str("}}");
            }
            Shape::Gemini => self.write_google(&mut out),
            Shape::Ollama => {
                out.push_str(r#"{"error":"#);
                write_string(&mut out, &self.message);
                out.push('}');
            }
        }
        out
    }
}
