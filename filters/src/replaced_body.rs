//! A request's body that the gateway has written in place of the client's.

use sluice::error::ApiError;

use crate::host::{self, Buffer, Headers};

/// The longest such body in bytes: the size that envoy.yaml allows Envoy to buffer. (If that is less, Envoy refuses the
/// body.)
pub const MAX_REPLACED: usize = 8 << 20;

/// Replaces the client's body, whose length is in its headers if it `has_length`. (Nothing may be borrowed while Envoy
/// takes it: if it is too much, Envoy ends the stream at once.)
///
/// # Errors
/// It is too large, or Envoy refuses it.
pub fn send(body: &[u8], has_length: bool) -> Result<(), ApiError> {
    if body.len() > MAX_REPLACED {
        return Err(ApiError::body_too_large());
    }
    let replaced = host::replace_bytes(Buffer::RequestBody, body)
        && (!has_length || host::set_header(Headers::Request, "content-length", &body.len().to_string()));
    match replaced {
        true => Ok(()),
        false => Err(ApiError::internal("The gateway could not rewrite the request.")),
    }
}
