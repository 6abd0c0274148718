//! Rewrites a request body for one target by splicing: unchanged bytes stay identical.
//!
//! The splices are known before the first body byte is forwarded (from [`ParsedRequest`]), so `content-length` can be written
//! with the headers, and the body can pass in any number of chunks.

use std::ops::Range;

use crate::json::write_string;
use crate::order::by_number;
use crate::parsed_request::{Layout, ParsedRequest, UsageOption};

/// One replacement: `text` replaces the bytes of `range`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Splice {
    range: Range<usize>,
    text: String,
}

impl Splice {
    /// Whether it changes something in this part of the body.
    fn touches(&self, start: usize, stop: usize) -> bool {
        self.range.start < stop && (self.range.end > start || self.range.start >= start)
    }
}

/// The body passed to [`BodyRewrite::chunk`] is not the one that was parsed: another filter has changed
/// it. A rewrite would corrupt it, so nothing more may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyChanged;

/// The changes of one body, and their progress. By default there are none.
#[derive(Clone, Debug, Default)]
pub struct BodyRewrite {
    splices: Vec<Splice>,
    length: usize,
    passed: usize,
}

impl BodyRewrite {
    /// Rewrites a body of this length by replacing ranges that do not overlap, in any order.
    pub(crate) fn of(changes: Vec<(Range<usize>, String)>, length: usize) -> Self {
        let mut splices: Vec<Splice> = changes.into_iter().map(|(range, text)| Splice { range, text }).collect();
        by_number(&mut splices, |splice| splice.range.start);
        BodyRewrite { splices, length, passed: 0 }
    }

    /// Plans the rewrite of a body for a target: `model` is the target's name for the model, and `include_usage` is set
    /// if a stream would otherwise report no tokens.
    ///
    /// ```
    /// use sluice::{endpoint::Endpoint, parsed_request, rewrite::BodyRewrite};
    ///
    /// let body = br#"{"model": "gpt-4o", "messages": []}"#;
    /// let parsed = parsed_request::read(Endpoint::ChatCompletions, None, body)?;
    /// let mut rewrite = BodyRewrite::plan(&parsed, "gpt-4o-2024-08-06", true);
    /// let rewritten = rewrite.chunk(body, true).unwrap().unwrap();
    /// assert_eq!(rewritten, br#"{"model": "gpt-4o-2024-08-06", "messages": []}"#);
    /// assert_eq!(rewrite.length(), rewritten.len());
    /// # Ok::<(), sluice::error::ApiError>(())
    /// ```
    pub fn plan(parsed: &ParsedRequest, target_model: &str, inject_usage: bool) -> Self {
        let layout = &parsed.layout;
        let mut splices = Vec::new();
        if let Some(form) = &parsed.form {
            let renamed = target_model != parsed.model;
            for field in &form.fields {
                let text = match field.name == "model" {
                    true => (renamed || field.changed).then_some(target_model),
                    false => field.changed.then_some(field.value.as_str()),
                };
                splices.extend(text.map(|text| Splice { range: field.range.clone(), text: text.to_owned() }));
            }
            return BodyRewrite { splices, length: layout.length, passed: 0 };
        }
        if let Some(range) = layout.model.clone().filter(|_| target_model != parsed.model) {
            let mut text = String::with_capacity(layout.model_prefix.len() + target_model.len() + 2);
            match layout.model_prefix {
                "" => write_string(&mut text, target_model),
                prefix => write_string(&mut text, &format!("{prefix}{target_model}")),
            }
            splices.push(Splice { range, text });
        }
        splices.extend(layout.repetitions.iter().map(|range| Splice { range: range.clone(), text: String::new() }));
        if inject_usage && injects_usage(parsed) {
            splices.push(usage_splice(layout));
        }
        by_number(&mut splices, |splice| splice.range.start);
        BodyRewrite { splices, length: layout.length, passed: 0 }
    }

    /// The length of the rewritten body.
    pub fn length(&self) -> usize {
        let added: usize = self.splices.iter().map(|splice| splice.text.len()).sum();
        let removed: usize = self.splices.iter().map(|splice| splice.range.len()).sum();
        (self.length + added).saturating_sub(removed)
    }

    /// Whether the body passes unchanged.
    pub fn is_identity(&self) -> bool {
        self.splices.is_empty()
    }

    /// How many of the next `size` bytes there are up to the end of the last change among them.
    ///
    /// ```
    /// use sluice::{endpoint::Endpoint, parsed_request, rewrite::BodyRewrite};
    ///
    /// let body = br#"{"model": "a", "messages": []}"#;
    /// let parsed = parsed_request::read(Endpoint::ChatCompletions, None, body)?;
    /// let rewrite = BodyRewrite::plan(&parsed, "b", false);
    /// assert_eq!((rewrite.touched(body.len()), rewrite.touched(5)), (13, 0));
    /// # Ok::<(), sluice::error::ApiError>(())
    /// ```
    pub fn touched(&self, size: usize) -> usize {
        let (start, stop) = (self.passed, self.passed.saturating_add(size));
        let touched = self.splices.iter().filter(|splice| splice.touches(start, stop));
        // an insertion is made where the bytes after it are
        let ends = touched.map(|splice| splice.range.end.max(splice.range.start + 1).min(stop));
        ends.max().map_or(0, |end| end.saturating_sub(start))
    }

    /// The next `size` bytes pass unchanged.
    ///
    /// # Errors
    /// [`BodyChanged`], as for [`BodyRewrite::chunk`].
    pub fn skip(&mut self, size: usize, end: bool) -> Result<(), BodyChanged> {
        self.passed = self.passed.saturating_add(size);
        match self.passed > self.length || (end && self.passed != self.length) {
            true => Err(BodyChanged),
            false => Ok(()),
        }
    }

    /// The next bytes of the body; `end` with the last ones. `None`: unchanged.
    ///
    /// # Errors
    /// [`BodyChanged`] if the body has another length than planned.
    pub fn chunk(&mut self, chunk: &[u8], end: bool) -> Result<Option<Vec<u8>>, BodyChanged> {
        let start = self.passed;
        self.skip(chunk.len(), end)?;
        let stop = self.passed;
        let touches = |splice: &&Splice| splice.touches(start, stop);
        if !self.splices.iter().any(|splice| touches(&splice)) {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(chunk.len() + 64);
        let mut copied = start;
        let copy_until = |out: &mut Vec<u8>, from: usize, until: usize| {
            out.extend_from_slice(chunk.get(from - start..until - start).unwrap_or_default());
        };
        for splice in self.splices.iter().filter(touches) {
            if splice.range.start >= start {
                copy_until(&mut out, copied, splice.range.start);
                out.extend_from_slice(splice.text.as_bytes());
            }
            copied = splice.range.end.clamp(copied, stop);
        }
        copy_until(&mut out, copied, stop);
        Ok(Some(out))
    }
}

/// Whether the gateway must request a stream's usage because the client did not. The chunk with the usage is then
/// removed from the client's stream.
pub fn injects_usage(parsed: &ParsedRequest) -> bool {
    parsed.stream && parsed.endpoint.has_stream_options() && parsed.layout.usage_option != UsageOption::Asked
}

fn usage_splice(layout: &Layout) -> Splice {
    let (range, text) = match &layout.usage_option {
        UsageOption::Absent | UsageOption::Asked => {
            (layout.first_field..layout.first_field, r#""stream_options":{"include_usage":true},"#)
        }
        UsageOption::NoObject(range) => (range.clone(), r#"{"include_usage":true}"#),
        UsageOption::Unset { first_field, empty: true } => (*first_field..*first_field, r#""include_usage":true"#),
        UsageOption::Unset { first_field, empty: false } => (*first_field..*first_field, r#""include_usage":true,"#),
        UsageOption::Declined(range) => (range.clone(), "true"),
    };
    Splice { range, text: text.to_owned() }
}
