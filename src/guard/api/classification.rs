//! Servers of models that classify texts: Text Embeddings Inference's `/predict`
//! (<https://huggingface.github.io/text-embeddings-inference/>) and vLLM's `/classify`
//! (<https://docs.vllm.ai/en/latest/models/pooling_models/classify/>).

use std::ops::Range;

use serde::Deserialize;

use super::moderations::{highest, write_texts};
use super::{name, parse, Failure, Reading};
use crate::json::write_string;
use crate::order::by_number;

/// A model that gives each text a score for each of its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct TextClassification {
    /// The server.
    pub server: ClassificationServer,
    /// The labels that count, each with the score from which a text is flagged.
    pub thresholds: Vec<(String, f64)>,
    /// The maximum number of texts in a call.
    pub batch_size: usize,
    /// How long texts are cut.
    pub pieces: Pieces,
}

/// A server, and what its API needs.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassificationServer {
    /// Text Embeddings Inference: it has one model, and names every label.
    Tei,
    /// vLLM: its answer only names the first label.
    Vllm {
        /// The model, if the server needs its name.
        model: Option<String>,
        /// All labels of the model, in its order.
        labels: Vec<String>,
    },
}

/// How long texts are cut, because a model reads a limited number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// The characters of a piece.
    pub characters: usize,
    /// So many of them are the end of the piece before. Fewer than `characters`.
    pub overlap: usize,
}

impl Default for Pieces {
    /// For models with 512 tokens.
    fn default() -> Self {
        Pieces { characters: 500, overlap: 100 }
    }
}

/// A label with its score, from Text Embeddings Inference.
#[derive(Deserialize)]
struct Scored {
    label: String,
    score: f64,
}

#[derive(Deserialize)]
struct Classified {
    data: Vec<Classification>,
}

#[derive(Deserialize)]
struct Classification {
    index: usize,
    label: Option<String>,
    probs: Vec<f64>,
    num_classes: usize,
}

impl TextClassification {
    pub(super) fn path(&self) -> &'static str {
        match self.server {
            ClassificationServer::Tei => "/predict",
            ClassificationServer::Vllm { .. } => "/classify",
        }
    }

    pub(super) fn body(&self, texts: &[&str]) -> String {
        match &self.server {
            // each text is a list of its own: a list of two texts would be a pair to be compared
            ClassificationServer::Tei => {
                let mut out = String::from(r#"{"inputs":["#);
                for (index, text) in texts.iter().enumerate() {
                    out.push_str(if index > 0 { ",[" } else { "[" });
                    write_string(&mut out, text);
                    out.push(']');
                }
                out.push_str("]}");
                out
            }
            ClassificationServer::Vllm { model, .. } => {
                let mut out = String::from(r#"{"input":"#);
                write_texts(&mut out, texts);
                if let Some(model) = model {
                    out.push_str(r#","model":"#);
                    write_string(&mut out, model);
                }
                out.push('}');
                out
            }
        }
    }

    pub(super) fn read(&self, body: &[u8]) -> Result<Vec<Reading>, Failure> {
        match &self.server {
            ClassificationServer::Tei => {
                // servers like it may answer one text without the outer list
                let lists: Vec<Vec<Scored>> = parse(body).or_else(|_| parse(body).map(|list| vec![list]))?;
                lists.iter().map(|scored| self.predicted(scored)).collect()
            }
            ClassificationServer::Vllm { labels, .. } => {
                let Classified { mut data } = parse(body)?;
                by_number(&mut data, |one| one.index);
                let each = data.iter().enumerate();
                each.map(|(at, one)| if one.index == at { self.classified(one, labels) } else { Err(Failure::Shape) })
                    .collect()
            }
        }
    }

    fn predicted(&self, scored: &[Scored]) -> Result<Reading, Failure> {
        // of a label with two scores, the higher one counts
        let score = |label: &str| {
            let scores = scored.iter().filter(|one| one.label == label).map(|one| one.score);
            scores.reduce(f64::max)
        };
        self.reading(score)
    }

    fn classified(&self, one: &Classification, labels: &[String]) -> Result<Reading, Failure> {
        let Classification { label, probs, num_classes, .. } = one;
        if probs.len() != *num_classes || probs.len() != labels.len() {
            return Err(Failure::Shape);
        }
        let scored = || labels.iter().zip(probs).map(|(label, score)| (label.as_str(), *score));
        // a label in another place means that the configuration has another order, or another model
        let is_first = |label: &str| {
            let own = scored().find(|(name, _)| *name == label);
            own.is_some_and(|(_, own)| probs.iter().all(|score| *score <= own))
        };
        if label.as_deref().is_some_and(|label| !is_first(label)) {
            return Err(Failure::Shape);
        }
        self.reading(|label| scored().find(|(name, _)| *name == label).map(|(_, score)| score))
    }

    /// The label with the highest score, of those that count and reach their threshold. Each must have a score.
    fn reading(&self, score: impl Fn(&str) -> Option<f64>) -> Result<Reading, Failure> {
        let mut over = Vec::new();
        for (label, threshold) in &self.thresholds {
            let score = score(label).filter(|score| score.is_finite()).ok_or(Failure::Shape)?;
            if score >= *threshold {
                over.push((label.as_str(), score));
            }
        }
        Ok(highest(over.into_iter()).map_or(Reading::Clean, |label| Reading::Flagged(name(label))))
    }
}

impl Pieces {
    /// Where the pieces of a text are, in bytes.
    ///
    /// ```
    /// use sluice::guard::api::Pieces;
    ///
    /// let pieces = Pieces { characters: 4, overlap: 1 };
    /// assert_eq!(pieces.of("für dich"), [0..5, 4..8, 7..9]);
    /// ```
    pub fn of(&self, text: &str) -> Vec<Range<usize>> {
        let step = self.characters.saturating_sub(self.overlap).max(1);
        let mut pieces = Vec::new();
        let mut start = 0;
        loop {
            let rest = text.get(start..).unwrap_or_default();
            let end = rest.char_indices().nth(self.characters).map(|(at, _)| start + at);
            pieces.push(start..end.unwrap_or(text.len()));
            match (end, rest.char_indices().nth(step)) {
                (Some(_), Some((at, _))) => start += at,
                _ => return pieces,
            }
        }
    }
}
