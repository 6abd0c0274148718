//! Ollama's chat and generate: a stream's last line has everything but the text.

use super::merge::Merged;
use super::{ended, Unstorable};
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// Strings that are not appended, and those of the last line.
const SET: [&str; 5] = ["role", "model", "created_at", "done_reason", "error"];

/// The answer of a stream of lines, or of one.
pub fn collect(stream: &[u8]) -> Option<Writer> {
    let (mut whole, mut done) = (Merged::default(), false);
    for line in stream.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let line = Raw::parse(line)?;
        whole.add(line, &SET)?;
        done = line.field("done").is_some_and(Raw::is_true);
    }
    let mut out = Writer::default();
    out.object(|out| whole.write_members(out));
    done.then_some(out)
}

/// Whether an answer may be kept.
pub fn end(answer: Raw<'_>) -> Result<(), Unstorable> {
    let [done, reason, message, error] = answer.fields(["done", "done_reason", "message", "error"]);
    if error.is_some() || !done.is_some_and(Raw::is_true) {
        return Err(Unstorable::Cut);
    }
    if let Some(reason) = reason.and_then(Raw::string) {
        ended(Some(&reason), &["stop"], &["length"], &[])?; // older servers say no reason
    }
    match message.and_then(|message| message.field("tool_calls")) {
        Some(calls) if !calls.is_nothing() => Err(Unstorable::Tools),
        _ => Ok(()),
    }
}
