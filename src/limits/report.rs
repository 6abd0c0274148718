//! The answer of `GET /gateway/limits`.

use std::fmt::Write;
use std::time::Duration;

use super::excess::write_dollars;
use super::headers::{retry_after_seconds, Quota};
use super::{LimitRecord, Limited, Limits, Measure, Subject};
use crate::json::write_string;

/// One subject of the report.
#[derive(Clone, Copy, Debug)]
pub struct ReportLine<'a> {
    /// The subject.
    pub subject: &'a Subject,
    /// Its limits.
    pub limits: &'a Limits,
    /// Its usage.
    pub record: &'a LimitRecord,
}

/// Writes the subjects' limits and the rest of them, as JSON. `"scope":"envoy"` says that each Envoy counts separately.
///
/// ```
/// use std::time::Duration;
/// use sluice::limits::{write_report, Limits, ReportLine, LimitRecord, Subject};
///
/// let limits = Limits { requests_per_minute: Some(3), ..Limits::default() };
/// let mut out = String::new();
/// let line = ReportLine { subject: &Subject::All, limits: &limits, record: &LimitRecord::default() };
/// write_report(&mut out, [line], Duration::from_secs(1_700_000_000));
/// assert_eq!(
///     out,
///     r#"{"scope":"envoy","subjects":[{"subject":"gateway","limits":{"requests_per_minute":{"limit":3,"used":0,"remaining":3,"reset_seconds":0}}}]}"#
/// );
/// ```
pub fn write_report<'a>(out: &mut String, lines: impl IntoIterator<Item = ReportLine<'a>>, now: Duration) {
    out.push_str(r#"{"scope":"envoy","subjects":["#);
    for (index, line) in lines.into_iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        line.write(out, now);
    }
    out.push_str("]}");
}

impl ReportLine<'_> {
    fn write(&self, out: &mut String, now: Duration) {
        out.push_str(r#"{"subject":"#);
        write_string(out, &self.subject.kind());
        out.push(',');
        if let Some(name) = self.subject.id() {
            out.push_str(r#""id":"#);
            write_string(out, name);
            out.push(',');
        }
        out.push_str(r#""limits":{"#);
        let limited = Limited::ALL.into_iter();
        let quotas = limited.filter_map(|what| Some((what, Quota::of(what, self.limits, self.record, now)?)));
        for (index, (what, quota)) in quotas.enumerate() {
            out.push_str(if index > 0 { "," } else { "" });
            write_quota(out, what, quota, self.record.used(what, now));
        }
        out.push_str("}}");
    }
}

fn write_quota(out: &mut String, what: Limited, quota: Quota, used: u64) {
    out.extend(["\"", what.name(), r#"":{"#]);
    for (name, amount) in [("limit", quota.limit), ("used", used), ("remaining", quota.remaining)] {
        out.extend(["\"", name, "\":"]);
        write_amount(out, what, amount);
        out.push(',');
    }
    match (what, quota.reset) {
        (Limited::Concurrency, _) => out.push_str(r#""reset_seconds":null"#),
        (_, Duration::ZERO) => out.push_str(r#""reset_seconds":0"#),
        (_, reset) => {
            let _ = write!(out, r#""reset_seconds":{}"#, retry_after_seconds(reset));
        }
    }
    out.push('}');
}

fn write_amount(out: &mut String, what: Limited, amount: u64) {
    match what.measure() {
        Measure::Cost => write_dollars(out, amount),
        Measure::Requests | Measure::Tokens | Measure::Concurrency => {
            let _ = write!(out, "{amount}");
        }
    }
}
