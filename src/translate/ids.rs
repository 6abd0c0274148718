//! Ids: those that must be rewritten, and those that nobody has given.

use std::borrow::Cow;

use crate::hash::stable;

/// A tool call's id as Anthropic takes it: letters, digits, `_` and `-`, at most 64. Others give way to one made
/// from them, which is the same in the call and in its result.
pub(crate) fn tool_id(id: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(plain) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("call_{:016x}", stable(id.as_bytes())))
}

/// The longest name of a function that OpenAI takes; MCP servers have longer ones.
const MAX_NAME: usize = 64;

/// A tool's name as OpenAI takes it: one that is too long gives way to its beginning and a hash of it.
pub(crate) fn short_name(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_NAME {
        return Cow::Borrowed(name);
    }
    let start: String = name.chars().take_while(char::is_ascii).take(MAX_NAME - 17).collect();
    Cow::Owned(format!("{start}_{:016x}", stable(name.as_bytes())))
}

/// An id of the gateway's own: `prefix` and what tells this answer from others, and in it this part from others.
pub(crate) fn made(prefix: &str, answer: u64, part: usize) -> String {
    match part {
        0 => format!("{prefix}{answer:016x}"),
        part => format!("{prefix}{answer:016x}{part}"),
    }
}
