//! Replaces findings with their entities' names.

use std::borrow::Cow;
use std::convert::Infallible;

use super::name::{is_name, MAX_NAME};
use crate::guard::Finding;
use crate::order::by_number;

/// The name if the entity has none.
const NAMELESS: &str = "PII";

/// The text with each finding replaced by its entity's name.
///
/// ```
/// use sluice::guard::pii::{mask, Entity, Patterns};
///
/// let text = "Write to jo@example.com.";
/// let findings = Patterns::new(Entity::ALL, &[]).unwrap().find(text);
/// assert_eq!(mask(text, &findings), "Write to <EMAIL_ADDRESS>.");
/// ```
pub fn mask(text: &str, findings: &[Finding]) -> String {
    let masked = replace(text, findings, |out, name, _| {
        write_name(out, name);
        Ok::<(), Infallible>(())
    });
    match masked {
        Ok(masked) => masked,
        Err(never) => match never {},
    }
}

/// Writes the replacement of a value of an entity.
pub(in crate::guard) fn mask_value(out: &mut String, entity: &str) {
    write_name(out, &name(entity));
}

fn write_name(out: &mut String, name: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
}

/// The text with each finding replaced by the output of `write` for its name and value. Findings are sorted first. If
/// two overlap, the rest of the second counts, and a finding that cuts through a character covers all of it: no part of
/// a finding is ever left.
pub(super) fn replace<E>(
    text: &str,
    findings: &[Finding],
    mut write: impl FnMut(&mut String, &str, &str) -> Result<(), E>,
) -> Result<String, E> {
    let mut ordered: Vec<&Finding> = findings.iter().collect();
    by_number(&mut ordered, |finding| finding.span.start);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for finding in ordered {
        let start = floor(text, finding.span.start).max(done);
        let end = ceiling(text, finding.span.end);
        let (Some(before), Some(value)) = (text.get(done..start), text.get(start..end)) else {
            continue;
        };
        if value.is_empty() {
            continue;
        }
        out.push_str(before);
        write(&mut out, &name(&finding.entity), value)?;
        done = end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Ok(out)
}

/// An entity's name in a placeholder's form, because a server may use any name.
pub(super) fn name(entity: &str) -> Cow<'_, str> {
    if is_name(entity) {
        return Cow::Borrowed(entity);
    }
    let allowed = |character: char| match character.to_ascii_uppercase() {
        upper if upper.is_ascii_uppercase() || upper.is_ascii_digit() => upper,
        _ => '_',
    };
    let name: String = entity.chars().take(MAX_NAME).map(allowed).collect();
    if is_name(&name) {
        Cow::Owned(name)
    } else {
        Cow::Borrowed(NAMELESS)
    }
}

fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn ceiling(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
