//! The end of a chunk stream, from any provider.

use super::Chunks;
use crate::translate::failure::ProviderError;
use crate::translate::ids::made;
use crate::translate::raw::Raw;
use crate::translate::stream::{Machine, Said};
use crate::translate::writer::Writer;
use crate::translate::Reply;
use crate::usage::UsageReading;

/// A stream's chunks, and the values for its end.
#[derive(Debug)]
pub(in crate::translate) struct Ending {
    pub chunks: Chunks,
    pub reading: UsageReading,
    include_usage: bool,
    unknown_reason: bool,
}

impl Ending {
    pub fn new(reply: &Reply) -> Self {
        Ending {
            chunks: Chunks::new(made("chatcmpl-", reply.id, 0), reply.created),
            reading: UsageReading::default(),
            include_usage: reply.include_usage,
            unknown_reason: false,
        }
    }

    /// Writes the finish reason: the `known` one, or the `usual` one.
    pub fn finish(&mut self, out: &mut Writer, known: Option<&str>, usual: &str) {
        self.unknown_reason |= known.is_none();
        self.chunks.finish(out, 0, known.unwrap_or(usual));
    }
}

/// A stream for OpenAI's chat clients: its end and failures are the same for every provider.
pub(in crate::translate) trait ChatMachine: std::fmt::Debug {
    /// Translates one event's data.
    fn event(&mut self, event: Raw<'_>, out: &mut Writer) -> Said;
    /// The same for an event of a binary stream, whose type is only in its name.
    fn named(&mut self, _: &str, event: Raw<'_>, out: &mut Writer) -> Said {
        ChatMachine::event(self, event, out)
    }
    /// The client's chunks.
    fn ending(&self) -> &Ending;
    /// The same, for writing.
    fn ending_mut(&mut self) -> &mut Ending;
    /// Its heap memory in bytes.
    fn reserved(&self) -> usize;
}

impl<M: ChatMachine> Machine for M {
    fn event(&mut self, event: Raw<'_>, out: &mut Writer) -> Said {
        ChatMachine::event(self, event, out)
    }

    fn named(&mut self, name: &str, event: Raw<'_>, out: &mut Writer) -> Said {
        ChatMachine::named(self, name, event, out)
    }

    fn is_finished(&self) -> bool {
        self.ending().chunks.is_finished()
    }

    fn end(&mut self, out: &mut Writer) {
        let ending = self.ending_mut();
        if !ending.chunks.is_finished() {
            ending.chunks.finish(out, 0, "stop");
        }
        let usage = ending.include_usage.then(|| ending.reading.tokens());
        ending.chunks.done(out, usage.as_ref());
    }

    fn fail(&mut self, failure: &ProviderError<'_>, out: &mut Writer) {
        failure.write_chat_event(out);
    }

    fn unknown_reason(&self) -> bool {
        self.ending().unknown_reason
    }

    fn reserved(&self) -> usize {
        ChatMachine::reserved(self)
    }
}
