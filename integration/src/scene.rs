//! What an answer depends on besides the request: the server, the time and the plan.

use std::time::Duration;

use crate::plan::{Fault, Plan};
use crate::problem::Problem;
use crate::prompt::Prompt;
use crate::tokens;

/// The circumstances of one answer.
#[derive(Debug)]
pub struct Scene<'a> {
    pub name: &'a str,
    pub models: &'a [String],
    pub plan: &'a Plan,
    pub now: Duration,
    /// Unique for every request, so that ids are unique.
    pub serial: u64,
}

/// An answer's text and its tokens.
#[derive(Debug)]
pub struct Spoken {
    pub text: String,
    pub input: u64,
    pub output: u64,
    /// Whether the request's limit has cut the text.
    pub cut: bool,
}

impl Spoken {
    pub fn total(&self) -> u64 {
        self.input + self.output
    }
}

impl Scene<'_> {
    /// The answer to a prompt, at most `limit` tokens long.
    pub fn speak(&self, prompt: &Prompt, limit: Option<u64>) -> Spoken {
        let full = match &self.plan.text {
            Some(text) => text.clone(),
            None => format!("Hello from {}. You said: {}", self.name, prompt.last_user_text),
        };
        let (text, output) = tokens::cut(&full, limit);
        Spoken { text: text.to_owned(), input: prompt.tokens, output, cut: text.len() < full.len() }
    }

    /// Whether the answer is a stream.
    pub fn streams(&self, asked: bool) -> bool {
        asked && self.plan.fault != Some(Fault::Unstreamed)
    }

    /// An id in the providers' form: a prefix and something unique.
    pub fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:08x}{:08x}", self.now.as_secs(), self.serial)
    }

    pub fn serves(&self, model: &str) -> Result<(), Problem> {
        if self.models.is_empty() || self.models.iter().any(|served| served == model) {
            Ok(())
        } else {
            Err(Problem::unknown_model(model))
        }
    }

    /// The models to list; a server that accepts any name lists its own.
    pub fn listed_models(&self) -> Vec<&str> {
        match self.models {
            [] => vec![self.name],
            models => models.iter().map(String::as_str).collect(),
        }
    }
}
