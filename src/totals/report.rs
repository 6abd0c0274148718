//! The answer of `GET /gateway/usage`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Caller, Destination, Sums, Totals, DAY, MAX_DAYS};
use crate::date::Timestamp;
use crate::error::ApiError;
use crate::json::write_string;
use crate::uri::percent_decode;
use crate::wire_names::{NONE, OTHER};

/// The maximum number of lines in a report; the rest is summed up as `other`.
pub const MAX_LINES: usize = 50_000;

/// The column to sum by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// By key.
    #[default]
    Key,
    /// By model.
    Model,
    /// By cluster.
    Cluster,
    /// By day, in UTC.
    Day,
    /// By a label of the keys, such as `team`.
    Label(String),
}

/// The report's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportFormat {
    /// JSON.
    #[default]
    Json,
    /// Comma-separated values (RFC 4180), with a header line.
    Csv,
}

/// The query: `by=key|model|cluster|day|label:NAME` and `format=json|csv`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The column to sum by.
    pub by: By,
    /// The format.
    pub form: ReportFormat,
}

impl By {
    /// Its name in the query and in the report.
    fn name(&self) -> String {
        match self {
            By::Key => "key".to_owned(),
            By::Model => "model".to_owned(),
            By::Cluster => "cluster".to_owned(),
            By::Day => "day".to_owned(),
            By::Label(name) => format!("label:{name}"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "key" => By::Key,
            "model" => By::Model,
            "cluster" => By::Cluster,
            "day" => By::Day,
            _ => By::Label(text.strip_prefix("label:").filter(|name| !name.is_empty())?.to_owned()),
        })
    }

    /// A row's line.
    fn of<'a>(&self, day: &'a str, caller: &'a Caller, place: &'a Destination) -> &'a str {
        match self {
            By::Key => &caller.key,
            By::Model => &place.model,
            By::Cluster => &place.cluster,
            By::Day => day,
            By::Label(name) => caller.label(name).unwrap_or(NONE),
        }
    }
}

impl Query {
    /// Reads the query of a request's path.
    ///
    /// ```
    /// use sluice::totals::{By, ReportFormat, Query};
    ///
    /// assert_eq!(Query::read("/gateway/usage?by=day&format=csv").ok(), Some(Query { by: By::Day, form: ReportFormat::Csv }));
    /// assert_eq!(Query::read("/gateway/usage?by=week").unwrap_err().param, Some("by"));
    /// ```
    ///
    /// # Errors
    /// 400 that names the parameter.
    pub fn read(path: &str) -> Result<Self, ApiError> {
        let mut query = Query::default();
        let pairs = path.split_once('?').map_or("", |(_, query)| query).split('&').filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (name, percent_decode(value).as_ref()) {
                ("by", by) => {
                    let wrong = "`by` must be key, model, cluster, day, or label: and a label's name.";
                    query.by = By::read(by).ok_or_else(|| invalid("by", wrong))?;
                }
                ("format", "json") => query.form = ReportFormat::Json,
                ("format", "csv") => query.form = ReportFormat::Csv,
                ("format", _) => return Err(invalid("format", "`format` must be json or csv.")),
                _ => {} // caches are kept off by parameters of any name
            }
        }
        Ok(query)
    }
}

/// A report that is built part by part.
#[derive(Debug)]
pub struct Report {
    query: Query,
    /// The only key in the report.
    only: Option<String>,
    today: u32,
    /// When counting began, and whether the limits began with the ledger's usage, if there is a ledger.
    began: Option<(Duration, Option<bool>)>,
    lines: BTreeMap<String, Sums>,
}

impl Report {
    /// A report about a day; only about one key, if `only` names it.
    pub fn new(query: Query, only: Option<&str>, today: u32) -> Self {
        Report { query, only: only.map(str::to_owned), today, began: None, lines: BTreeMap::new() }
    }

    /// With the time since when this Envoy has counted, and whether its limits began with the ledger's usage (`None`:
    /// there is no ledger).
    #[must_use]
    pub fn since(self, began: Duration, limits_seeded: Option<bool>) -> Self {
        Report { began: Some((began, limits_seeded)), ..self }
    }

    /// Adds a part, unless its day is too old: its slot has not been reused since.
    pub fn add(&mut self, totals: &Totals) {
        if totals.day().saturating_add(MAX_DAYS) <= self.today {
            return;
        }
        let time = Timestamp(Duration::from_secs(u64::from(totals.day()) * DAY)).to_string();
        let day = time.split('T').next().unwrap_or_default();
        let only = self.only.as_deref();
        for (caller, place, more) in totals.iter().filter(|(caller, ..)| only.is_none_or(|key| caller.key == key)) {
            let name = self.query.by.of(day, caller, place);
            if let Some(sums) = self.lines.get_mut(name) {
                sums.add(more);
                continue;
            }
            let name = if self.lines.len() < MAX_LINES { name } else { OTHER };
            self.lines.entry(name.to_owned()).or_default().add(more);
        }
    }

    /// The report's text.
    pub fn write(&self) -> String {
        match self.query.form {
            ReportFormat::Json => self.json(),
            ReportFormat::Csv => self.csv(),
        }
    }

    fn json(&self) -> String {
        let mut by = String::new();
        write_string(&mut by, &self.query.by.name());
        let mut out = format!(r#"{{"object":"list","scope":"envoy","by":{by},"#);
        if let Some((began, seeded)) = self.began {
            out.push_str(&format!(r#""since":{},"since_rfc3339":"{}","#, began.as_secs(), Timestamp(began)));
            out.push_str(match seeded {
                Some(true) => r#""limits_seeded_by":"ledger","#,
                Some(false) => r#""limits_seeded_by":null,"#,
                None => "",
            });
        }
        out.push_str(r#""data":["#);
        for (index, (name, sums)) in self.lines.iter().enumerate() {
            out.push_str(if index > 0 { ",{" } else { "{" });
            out.push_str(&by);
            out.push(':');
            write_string(&mut out, name);
            for (name, sum) in Sums::NAMES.iter().zip(sums.fields()) {
                out.push_str(&format!(",\"{name}\":{sum}"));
            }
            out.push('}');
        }
        out.push_str("]}");
        out
    }

    fn csv(&self) -> String {
        let mut out = String::new();
        match &self.query.by {
            By::Label(_) => write_cell(&mut out, &self.query.by.name()),
            by => out.push_str(&by.name()),
        }
        out.push_str(&format!(",{}\r\n", Sums::NAMES.join(",")));
        for (name, sums) in &self.lines {
            write_cell(&mut out, name);
            for sum in sums.fields() {
                out.push_str(&format!(",{sum}"));
            }
            out.push_str("\r\n");
        }
        out
    }
}

/// A cell in quotes. One that a spreadsheet would read as a formula gets an apostrophe (OWASP, "CSV Injection").
fn write_cell(out: &mut String, text: &str) {
    out.push('"');
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

fn invalid(param: &'static str, message: &str) -> ApiError {
    ApiError::bad_request("invalid_value", Some(param), message)
}
