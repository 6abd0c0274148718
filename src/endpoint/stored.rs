//! Paths of OpenAI's Responses that name a response by its id (OpenAI's API reference: get, delete, cancel, list input items).

use super::RequestTarget;

/// The longest accepted id, in bytes; OpenAI's have 53.
const MAX_ID: usize = 256;

/// The meaning of a path with a stored response's id; `None` if it has no id.
pub(super) fn find(method: &str, path: &str) -> Option<RequestTarget> {
    let rest = path.strip_prefix("/v1/responses/")?;
    let (id, allowed) = match rest.split_once('/') {
        None => (rest, "GET, DELETE"),
        Some((id, "cancel")) => (id, "POST"),
        Some((id, "input_items")) => (id, "GET"),
        Some(_) => return None,
    };
    // such an id needs no escapes, and cannot leave its path segment
    let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if id.is_empty() || id.len() > MAX_ID || !is_id {
        return None;
    }
    Some(match allowed.split(", ").any(|allowed| allowed == method) {
        true => RequestTarget::Stored(id.to_owned()),
        false => RequestTarget::WrongMethod(allowed),
    })
}
