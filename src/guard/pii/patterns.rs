//! All patterns of one check.

use std::sync::Arc;

use super::custom::{Custom, PatternError, MAX_PATTERNS};
use super::entity::{Entities, Entity};
use super::merge::merge;
use super::references::Decoded;
use super::{api_key, email, ip, numbers};
use crate::guard::Finding;

/// The patterns of a check.
///
/// ```
/// use sluice::guard::pii::{mask, Entity, Patterns};
///
/// let patterns = Patterns::new(Entity::ALL, &[("EMPLOYEE", r"\bE-[0-9]{5}\b")]).unwrap();
/// let text = "E-12345 (jo@example.com) paid with 4111 1111 1111 1111";
/// assert_eq!(mask(text, &patterns.find(text)), "<EMPLOYEE> (<EMAIL_ADDRESS>) paid with <CREDIT_CARD>");
/// ```
#[derive(Clone, Debug)]
pub struct Patterns {
    entities: Entities,
    /// Each name once, shared by all findings.
    names: Vec<(Entity, Arc<str>)>,
    custom: Vec<Custom>,
}

impl Patterns {
    /// Patterns for `entities`, and custom ones: name and regular expression.
    pub fn new(entities: &[Entity], custom: &[(&str, &str)]) -> Result<Self, PatternError> {
        if custom.len() > MAX_PATTERNS {
            return Err(PatternError::TooMany);
        }
        let custom = custom.iter().map(|(name, pattern)| Custom::new(name, pattern)).collect::<Result<_, _>>()?;
        let names = entities.iter().map(|entity| (*entity, entity.name().into())).collect();
        Ok(Patterns { entities: Entities::new(entities), names, custom })
    }

    /// The findings in the text, also those with HTML's character references or percent-encoding in them: sorted, without
    /// overlaps. The time is linear in the text. The memory is at worst one finding for every three bytes (`::1`), or more with custom patterns
    /// that match less.
    pub fn find(&self, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.scan(text, &mut findings);
        if let Some(decoded) = Decoded::of(text) {
            let mut spelled = Vec::new();
            self.scan(&decoded.text, &mut spelled);
            let written = |finding: Finding| Some(Finding { span: decoded.source(&finding.span)?, ..finding });
            findings.extend(spelled.into_iter().filter_map(written));
        }
        merge(findings, Vec::new())
    }

    fn scan(&self, text: &str, findings: &mut Vec<Finding>) {
        let mut push = |name: &Arc<str>, span, score| {
            findings.push(Finding { entity: Arc::clone(name), span, score, replacement: None });
        };
        let mut found = |entity: Entity, span, score| {
            if let Some((_, name)) = self.names.iter().find(|(named, _)| *named == entity) {
                push(name, span, score);
            }
        };
        if self.entities.has(Entity::EmailAddress) {
            email::scan(text, |span| found(Entity::EmailAddress, span, 1.0));
        }
        if self.entities.has_any(numbers::ENTITIES) {
            numbers::scan(text, self.entities, &mut found);
        }
        if self.entities.has(Entity::IpAddress) {
            ip::scan_v6(text, |span| found(Entity::IpAddress, span, 0.9));
        }
        if self.entities.has(Entity::ApiKey) {
            api_key::scan(text, |span| found(Entity::ApiKey, span, 0.95));
        }
        for custom in &self.custom {
            custom.scan(text, |span| push(&custom.name, span, 1.0));
        }
    }
}
