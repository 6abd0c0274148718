//! Ids: those that must be rewritten, and those that the gateway creates.

use std::borrow::Cow;

use crate::hash::stable;

/// A tool call's id that Anthropic accepts: letters, digits, `_` and `-`, at most 64. Other ids are replaced by one
/// derived from them, so that call and result still match.
pub(crate) fn tool_id(id: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(plain) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("call_{:016x}", stable(id.as_bytes())))
}

/// The longest function name that OpenAI accepts; MCP servers have longer ones.
const MAX_NAME: usize = 64;

/// A tool name that OpenAI accepts: a longer one is replaced by its beginning and its hash.
pub(crate) fn short_name(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_NAME {
        return Cow::Borrowed(name);
    }
    let start: String = name.chars().take_while(char::is_ascii).take(MAX_NAME - 17).collect();
    Cow::Owned(format!("{start}_{:016x}", stable(name.as_bytes())))
}

/// An id that the gateway creates: `prefix`, a part that is unique for the answer, and a part that is unique in it.
pub(crate) fn made(prefix: &str, answer: u64, part: usize) -> String {
    match part {
        0 => format!("{prefix}{answer:016x}"),
        part => format!("{prefix}{answer:016x}{part}"),
    }
}
