//! Requests to the services that check texts, and their answers.
//!
//! A service's answer is treated as hostile: it may have any size and shape. It must have a result for every text,
//! otherwise it is invalid, and the check counts as failed.

mod changes;
mod chat;
mod classification;
mod guardrail;
mod moderations;
mod presidio;

use crate::order::by_number;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

pub use changes::INTERVENED;
pub use classification::{ClassificationServer, Pieces, TextClassification};
pub use guardrail::BLOCKED;
pub use moderations::{Moderations, Thresholds};
pub use presidio::Presidio;

use super::Finding;
use crate::callout::{Callout, Service};
use crate::chat_model;
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
    /// A server of a model that gives each text scores for labels.
    TextClassification(TextClassification),
    /// LiteLLM's generic guardrail API, with the service's own parameters: a JSON object.
    GenericGuardrail(Option<String>),
}

impl Api {
    /// The default path.
    pub fn path(&self) -> &'static str {
        match self {
            Api::Moderations(_) => "/v1/moderations",
            Api::Presidio(_) => "/analyze",
            Api::ChatClassifier(_) => chat_model::PATH,
            Api::TextClassification(classification) => classification.path(),
            Api::GenericGuardrail(_) => "/beta/litellm_basic_guardrail_api",
        }
    }

    /// How many texts one call can have.
    pub fn batch_size(&self) -> usize {
        match self {
            Api::ChatClassifier(_) => 1,
            Api::TextClassification(classification) => classification.batch_size,
            Api::Moderations(_) | Api::Presidio(_) | Api::GenericGuardrail(_) => usize::MAX,
        }
    }

    /// How long texts are cut; `None`: they are not.
    pub fn pieces(&self) -> Option<Pieces> {
        match self {
            Api::TextClassification(classification) => Some(classification.pieces),
            Api::Moderations(_) | Api::Presidio(_) | Api::ChatClassifier(_) | Api::GenericGuardrail(_) => None,
        }
    }

    /// Whether the reading of a text depends on nothing but the text.
    pub fn reads_each(&self) -> bool {
        match self {
            Api::Moderations(_) | Api::Presidio(_) | Api::ChatClassifier(_) | Api::TextClassification(_) => true,
            Api::GenericGuardrail(_) => false,
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

    /// Its category, if that is of the whole text.
    pub fn placeless(&self) -> Option<&str> {
        match self {
            Reading::Flagged(category) => Some(category),
            Reading::Clean | Reading::Found(_) => None,
        }
    }

    /// The reading without findings that end before the byte `start`. A category is of the whole text, and stays.
    pub fn from(self, start: usize) -> Reading {
        match self {
            Reading::Found(found) if found.iter().any(|finding| finding.span.end <= start) => {
                Reading::of(found.iter().filter(|finding| finding.span.end > start).cloned().collect())
            }
            other => other,
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

/// The request that sends at most [`Api::batch_size`] texts of a `request` or a `response` to a service.
pub fn callout(api: &Api, service: &Service, phase: &str, texts: &[&str]) -> Callout {
    let body = match api {
        Api::Moderations(moderations) => moderations.body(texts),
        Api::Presidio(presidio) => presidio.body(texts),
        Api::ChatClassifier(model) => chat::body(model, texts),
        Api::TextClassification(classification) => classification.body(texts),
        Api::GenericGuardrail(params) => guardrail::body(phase, params.as_deref().unwrap_or("{}"), texts),
    };
    match api {
        Api::GenericGuardrail(_) => service.post_with_api_key(&service.path, body),
        _ => service.post(&service.path, body),
    }
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
        Api::TextClassification(classification) => classification.read(body),
        Api::GenericGuardrail(_) => guardrail::read(texts, body),
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
