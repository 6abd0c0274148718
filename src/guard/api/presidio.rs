//! Presidio's analyzer: <https://microsoft.github.io/presidio/api-docs/api-docs.html>.

use serde::Deserialize;

use super::moderations::write_texts;
use super::{name, parse, Failure, Reading};
use crate::guard::pii::byte_spans;
use crate::guard::Finding;
use crate::json::write_string;

/// An analyzer service.
#[derive(Clone, Debug, PartialEq)]
pub struct Presidio {
    /// The texts' language, such as `en`.
    pub language: String,
    /// The entities to find; empty: all.
    pub entities: Vec<String>,
    /// The minimum score.
    pub score_threshold: Option<f64>,
}

impl Default for Presidio {
    fn default() -> Self {
        Presidio { language: "en".to_owned(), entities: Vec::new(), score_threshold: None }
    }
}

/// `start` and `end` count Unicode code points.
#[derive(Deserialize)]
struct Recognized {
    entity_type: String,
    start: usize,
    end: usize,
    score: f64,
}

impl Presidio {
    pub(super) fn body(&self, texts: &[&str]) -> String {
        let mut out = String::from(r#"{"text":"#);
        write_texts(&mut out, texts);
        out.push_str(r#","language":"#);
        write_string(&mut out, &self.language);
        if !self.entities.is_empty() {
            let entities: Vec<&str> = self.entities.iter().map(String::as_str).collect();
            out.push_str(r#","entities":"#);
            write_texts(&mut out, &entities);
        }
        if let Some(threshold) = self.score_threshold {
            out.push_str(&format!(r#","score_threshold":{threshold}"#));
        }
        out.push('}');
        out
    }

    pub(super) fn read(&self, texts: &[&str], body: &[u8]) -> Result<Vec<Reading>, Failure> {
        let lists: Vec<Vec<Recognized>> = parse(body)?;
        if lists.len() != texts.len() {
            return Err(Failure::Shape);
        }
        lists.into_iter().zip(texts).map(|(found, text)| self.reading(found, text)).collect()
    }

    fn reading(&self, found: Vec<Recognized>, text: &str) -> Result<Reading, Failure> {
        if found.iter().any(|each| each.start >= each.end || !each.score.is_finite()) {
            return Err(Failure::Shape);
        }
        let spans: Vec<_> = found.iter().map(|each| each.start..each.end).collect();
        let mut findings = Vec::new();
        for (each, span) in found.into_iter().zip(byte_spans(text, &spans)) {
            let span = span.ok_or(Failure::Shape)?;
            if self.wants(&each) {
                let (entity, score) = (name(&each.entity_type).into(), each.score as f32);
                findings.push(Finding { entity, span, score, replacement: None });
            }
        }
        Ok(Reading::of(findings))
    }

    /// The requested entities only, because a service may ignore that part of the request.
    fn wants(&self, found: &Recognized) -> bool {
        let sure = self.score_threshold.is_none_or(|threshold| found.score >= threshold);
        sure && (self.entities.is_empty() || self.entities.contains(&found.entity_type))
    }
}
