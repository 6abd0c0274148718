//! Requests to the text endpoints, and requests whose body the gateway has written.

use std::time::Duration;

use super::Exchange;
use crate::gateway::Command;
use crate::parsed_request::ParsedRequest;
use crate::texts::{Batch, Task, TextWork};

/// The path of the chat requests that others become.
pub const CHAT_PATH: &str = "/v1/chat/completions";

impl Exchange {
    /// Takes in a request, with a body that the gateway has written in place of the client's.
    pub fn read_written(&mut self, parsed: ParsedRequest, body: Vec<u8>) {
        self.original.length = self.original.length.map(|_| body.len());
        self.read(parsed, body);
    }

    /// The request uses this prompt of the library.
    pub fn uses_prompt(&mut self, name: &str) {
        self.prompt = Some(name.into());
    }

    /// The prompt of the library that the request uses.
    pub fn prompt(&self) -> Option<&str> {
        self.prompt.as_deref()
    }

    /// It was a request to a text endpoint, and goes on as a chat request.
    pub fn becomes_chat(&mut self, task: Task) {
        self.uses_prompt(task.kind().name());
        CHAT_PATH.clone_into(&mut self.original.path);
        self.texts = Some(Box::new(TextWork::Answer(task)));
    }

    /// It is a request with several texts, which the gateway sends to itself.
    pub fn becomes_batch(&mut self, batch: Box<Batch>) {
        self.uses_prompt(batch.kind().name());
        self.commanded(Command::Texts, Vec::new());
        self.texts = Some(Box::new(TextWork::Several(batch)));
    }

    /// The texts to be sent, once.
    pub fn take_batch(&mut self) -> Option<Box<Batch>> {
        match *self.texts.take()? {
            TextWork::Several(batch) => Some(batch),
            work @ TextWork::Answer(_) => {
                self.texts = Some(Box::new(work));
                None
            }
        }
    }

    /// Whether the answer will get another form.
    pub fn reshapes_answer(&self) -> bool {
        self.texts.as_deref().is_some_and(|work| matches!(work, TextWork::Answer(_)))
    }

    /// The answer passes as it is.
    pub fn leave_answer(&mut self) {
        self.texts = None;
    }

    /// The answer in the form that the client expects, once. `None`: it passes as it is, or cannot be read.
    pub fn reshape_answer(&mut self, answer: &[u8], now: Duration) -> Option<Vec<u8>> {
        let TextWork::Answer(task) = *self.texts.take()? else {
            return None;
        };
        task.answer(answer, Duration::from_millis(self.timing.so_far(now)))
    }
}
