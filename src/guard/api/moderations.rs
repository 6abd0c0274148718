//! OpenAI's moderations: <https://platform.openai.com/docs/api-reference/moderations>.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{name, parse, Failure, Reading};
use crate::json::write_string;

/// The score from which a text is flagged.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Thresholds {
    /// By the service's own `flagged`.
    #[default]
    Service,
    /// One threshold for every category.
    All(f64),
    /// A threshold for each category; others do not count.
    Each(Vec<(String, f64)>),
}

/// A moderations service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moderations {
    /// The model, if the service needs one.
    pub model: Option<String>,
    /// The thresholds.
    pub thresholds: Thresholds,
}

#[derive(Deserialize)]
struct Moderated {
    results: Vec<Moderation>,
}

#[derive(Deserialize)]
struct Moderation {
    flagged: bool,
    categories: BTreeMap<String, bool>,
    category_scores: BTreeMap<String, f64>,
}

impl Moderations {
    pub(super) fn body(&self, texts: &[&str]) -> String {
        let mut out = String::from(r#"{"input":"#);
        write_texts(&mut out, texts);
        if let Some(model) = &self.model {
            out.push_str(r#","model":"#);
            write_string(&mut out, model);
        }
        out.push('}');
        out
    }

    pub(super) fn read(&self, body: &[u8]) -> Result<Vec<Reading>, Failure> {
        parse::<Moderated>(body)?.results.iter().map(|result| self.reading(result)).collect()
    }

    fn reading(&self, result: &Moderation) -> Result<Reading, Failure> {
        let scores = &result.category_scores;
        if scores.values().any(|score| !score.is_finite()) {
            return Err(Failure::Shape);
        }
        let score = |category: &str| scores.get(category).copied();
        let highest = match &self.thresholds {
            Thresholds::Service if !result.flagged => None,
            Thresholds::Service => {
                let flagged = result.categories.iter().filter(|(_, flagged)| **flagged);
                let scored = flagged.map(|(category, _)| (category.as_str(), score(category).unwrap_or(0.0)));
                Some(highest(scored).unwrap_or("flagged"))
            }
            // without a score the threshold cannot be applied
            Thresholds::All(_) if scores.is_empty() => return Err(Failure::Shape),
            Thresholds::All(threshold) => highest(
                scores.iter().map(|(category, score)| (category.as_str(), *score)).filter(|(_, s)| s >= threshold),
            ),
            Thresholds::Each(thresholds) => {
                let mut over = Vec::new();
                for (category, threshold) in thresholds {
                    let score = score(category).ok_or(Failure::Shape)?;
                    if score >= *threshold {
                        over.push((category.as_str(), score));
                    }
                }
                highest(over.into_iter())
            }
        };
        Ok(highest.map_or(Reading::Clean, |category| Reading::Flagged(name(category))))
    }
}

/// The category with the highest score; of equal ones the first.
pub(super) fn highest<'a>(scores: impl Iterator<Item = (&'a str, f64)>) -> Option<&'a str> {
    let best = scores.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(category, _)| category)
}

/// A list of texts as JSON.
pub(super) fn write_texts(out: &mut String, texts: &[&str]) {
    out.push('[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, text);
    }
    out.push(']');
}
