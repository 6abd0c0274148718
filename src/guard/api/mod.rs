//! Requests to the services that check texts, and their answers.
//!
//! A service's answer is treated as hostile: it may have any size and shape. It must have a result for every text,
//! otherwise it is invalid, and the check counts as failed.

mod chat;
mod moderations;
mod presidio;

use crate::order::by_number;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

pub use moderations::{Moderations, Thresholds};
pub use presidio::Presidio;

use super::Finding;
use crate::callout::{Callout, Service};
use crate::label::Label;

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 1 << 20;

/// The longest name of a category or an entity, in characters.
const MAX_NAME: usize = 64;

/// The API of a service.
#[derive(Clone, Debug, PartialEq)]
pub enum Api {
    /// OpenAI's `/v1/moderations`.
    Moderations(Moderations),
    /// Presidio's `/analyze`.
    Presidio(Presidio),
    /// A chat model that answers like Llama Guard, with its name.
    ChatClassifier(String),
}

impl Api {
    /// The default path.
    pub fn path(&self) -> &'static str {
        match self {
            Api::Moderations(_) => "/v1/moderations",
            Api::Presidio(_) => "/analyze",
            Api::ChatClassifier(_) => "/v1/chat/completions",
        }
    }
}

/// Why a check failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No answer in time.
    Timeout,
    /// The connection failed or broke.
    Refused,
    /// A status other than 200.
    Status(u16),
    /// An answer with the wrong content.
    Shape,
    /// More text than is allowed.
    TooLarge,
    /// Too many running callouts.
    Busy,
    /// An unreadable event of a stream.
    Event,
}

impl Failure {
    /// The `verdict` label of `llm_guard_total`.
    pub fn label(self) -> &'static str {
        match self {
            Failure::Timeout => "error_timeout",
            Failure::Refused => "error_refused",
            Failure::Status(_) => "error_status",
            Failure::Shape => "error_shape",
            Failure::TooLarge => "error_too_large",
            Failure::Busy => "error_busy",
            Failure::Event => "error_event",
        }
    }
}

/// The message for operators.
///
/// ```
/// use sluice::guard::api::Failure;
///
/// assert_eq!(Failure::Status(401).to_string(), "its service answered with status 401");
/// ```
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Timeout => f.write_str("its service did not answer in time"),
            Failure::Refused => f.write_str("its service could not be reached"),
            Failure::Status(status) => write!(f, "its service answered with status {status}"),
            Failure::Shape => f.write_str("its service answered something else than what was asked"),
            Failure::TooLarge => f.write_str("there was more text than it takes"),
            Failure::Busy => f.write_str("too many callouts were in flight"),
            Failure::Event => f.write_str("an event of a stream could not be read"),
        }
    }
}

/// The result for one text.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// No finding.
    Clean,
    /// The text has this category.
    Flagged(String),
    /// It has this in it; never nothing. By where it begins. Shared: there may be very much of it.
    Found(Arc<Vec<Finding>>),
}

impl Reading {
    /// The reading of a text with these findings.
    pub fn of(mut findings: Vec<Finding>) -> Reading {
        by_number(&mut findings, |finding| finding.span.end);
        by_number(&mut findings, |finding| finding.span.start);
        if findings.is_empty() {
            Reading::Clean
        } else {
            Reading::Found(Arc::new(findings))
        }
    }

    /// Its category: of several findings, the one with the highest score.
    pub fn category(&self) -> Option<&str> {
        match self {
            Reading::Clean => None,
            Reading::Flagged(category) => Some(category),
            Reading::Found(findings) => {
                let surer = |best: &&Finding, next: &&Finding| next.score > best.score;
                let mut findings = findings.iter();
                let first = findings.next()?;
                let best = findings.fold(first, |best, next| if surer(&best, &next) { next } else { best });
                Some(&best.entity)
            }
        }
    }

    /// The findings in it.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Reading::Clean | Reading::Flagged(_) => &[],
            Reading::Found(findings) => findings,
        }
    }
}

/// The readings of a question's texts, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Readings(Vec<Reading>);

impl Readings {
    /// From the findings in each text.
    pub fn of_findings(texts: impl IntoIterator<Item = Vec<Finding>>) -> Readings {
        Readings(texts.into_iter().map(Reading::of).collect())
    }

    /// From a reading of each text.
    pub fn new(readings: Vec<Reading>) -> Readings {
        Readings(readings)
    }

    /// The readings.
    pub fn readings(&self) -> &[Reading] {
        &self.0
    }

    /// The readings.
    pub fn into_readings(self) -> Vec<Reading> {
        self.0
    }
}

/// The request that sends `texts` to a service. A [`Api::ChatClassifier`] reads one text at a time.
pub fn callout(api: &Api, service: &Service, texts: &[&str]) -> Callout {
    let body = match api {
        Api::Moderations(moderations) => moderations.body(texts),
        Api::Presidio(presidio) => presidio.body(texts),
        Api::ChatClassifier(model) => chat::body(model, texts),
    };
    service.post(&service.path, body)
}

/// Reads a service's answer to [`callout`] with the same texts.
///
/// # Errors
/// Why the answer is invalid.
pub fn read(api: &Api, texts: &[&str], status: u16, body: &[u8]) -> Result<Readings, Failure> {
    if status != 200 {
        return Err(Failure::Status(status));
    }
    if body.len() > MAX_ANSWER {
        return Err(Failure::Shape);
    }
    let readings = match api {
        Api::Moderations(moderations) => moderations.read(body),
        Api::Presidio(presidio) => presidio.read(texts, body),
        Api::ChatClassifier(_) => chat::read(body).map(|reading| vec![reading]),
    }?;
    if readings.len() != texts.len() {
        return Err(Failure::Shape);
    }
    Ok(Readings(readings))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| Failure::Shape)
}

/// A category or an entity, in a form that is valid in a header, a label and an error.
fn name(text: &str) -> String {
    let end = text.char_indices().nth(MAX_NAME).map_or(text.len(), |(end, _)| end);
    Label(text.get(..end).unwrap_or_default()).to_string()
}
