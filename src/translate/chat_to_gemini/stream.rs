//! The stream: Gemini's partial answers as OpenAI's chunks. Calls are complete, usage is a running total, and only the
//! end of the bytes marks the end.

use super::{finish_reason, is_blocked};
use crate::translate::chat::{Call, ChatMachine, Ending};
use crate::translate::ids::made;
use crate::translate::raw::Raw;
use crate::translate::stream::Said;
use crate::translate::writer::Writer;
use crate::translate::Reply;
use crate::usage::EventKind;

/// The state of the stream.
#[derive(Debug)]
pub struct Events {
    ending: Ending,
    id: u64,
    calls: usize,
}

impl Events {
    pub fn new(reply: &Reply) -> Self {
        Events { ending: Ending::new(reply), id: reply.id, calls: 0 }
    }

    fn part(&mut self, part: Raw<'_>, out: &mut Writer) {
        let [text, thought, call, signature] = part.fields(["text", "thought", "functionCall", "thoughtSignature"]);
        if let Some(call) = call {
            let [id, name, args] = call.fields(["id", "name", "args"]);
            let number = self.calls;
            self.calls += 1;
            let id = id.and_then(Raw::string).unwrap_or_else(|| made("call_", self.id, self.calls).into());
            let name = name.and_then(Raw::string).unwrap_or_default();
            let arguments = args.filter(|args| args.is_object()).map_or("{}", Raw::json);
            let signature = signature.and_then(Raw::string);
            let call = Call { id: &id, name: &name, arguments, signature: signature.as_deref() };
            self.ending.chunks.call(out, 0, number, call);
        } else if let Some(text) = text.and_then(Raw::string) {
            let field = if thought.is_some_and(Raw::is_true) { "reasoning_content" } else { "content" };
            self.ending.chunks.string(out, 0, field, &text);
        }
    }
}

impl ChatMachine for Events {
    fn event(&mut self, event: Raw<'_>, out: &mut Writer) -> Said {
        if matches!(self.ending.reading.read(event.json().as_bytes()), EventKind::Error) {
            return Said::Error;
        }
        let [id, model, candidates] = event.fields(["responseId", "modelVersion", "candidates"]);
        self.ending.chunks.set_id(&id.and_then(Raw::string).unwrap_or_default());
        self.ending.chunks.set_model(&model.and_then(Raw::string).unwrap_or_default());
        let Some(candidate) = candidates.and_then(Raw::first) else {
            if is_blocked(event) && !self.ending.chunks.is_finished() {
                self.ending.chunks.finish(out, 0, "content_filter");
                return Said::Content;
            }
            return Said::Nothing;
        };
        if self.ending.chunks.is_finished() {
            return Said::Content;
        }
        let [content, reason] = candidate.fields(["content", "finishReason"]);
        if let Some(parts) = content.and_then(|content| content.field("parts")) {
            parts.items(|part| self.part(part, out));
        }
        if let Some(reason) = reason.and_then(Raw::string) {
            let known = finish_reason(&reason, self.calls > 0);
            let usual = if self.calls > 0 { "tool_calls" } else { "stop" };
            self.ending.finish(out, known, usual);
        }
        Said::Content
    }

    fn ending(&self) -> &Ending {
        &self.ending
    }

    fn ending_mut(&mut self) -> &mut Ending {
        &mut self.ending
    }

    fn reserved(&self) -> usize {
        0
    }
}
