//! What `GET /gateway/usage` answers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Row, Sums, Totals, DAY};
use crate::date::Timestamp;
use crate::endpoint::percent_decode;
use crate::error::ApiError;
use crate::json::write_string;

/// What the sums are told by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}

/// How they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    #[default]
    Json,
    /// Comma-separated values (RFC 4180), with a header line.
    Csv,
}

/// What is asked for: `by=key|model|cluster|day` and `format=json|csv`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// What the sums are told by.
    pub by: By,
    /// How they are written.
    pub form: Form,
}

/// The sums' names, in the order of their fields.
const NAMES: [&str; 7] = [
    "requests",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "reasoning_output_tokens",
    "cost_microusd",
    "incomplete_requests",
];

impl By {
    fn name(self) -> &'static str {
        match self {
            By::Key => "key",
            By::Model => "model",
            By::Cluster => "cluster",
            By::Day => "day",
        }
    }

    fn of(self, row: &Row) -> String {
        match self {
            By::Key => row.key.clone(),
            By::Model => row.model.clone(),
            By::Cluster => row.cluster.clone(),
            By::Day => {
                let time = Timestamp(Duration::from_secs(u64::from(row.day) * DAY)).to_string();
                time.split('T').next().unwrap_or_default().to_owned()
            }
        }
    }
}

impl Query {
    /// Reads the query of a request's path.
    ///
    /// ```
    /// use sluice::totals::{By, Form, Query};
    ///
    /// assert_eq!(Query::read("/gateway/usage?by=day&format=csv").ok(), Some(Query { by: By::Day, form: Form::Csv }));
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
                ("by", "key") => query.by = By::Key,
                ("by", "model") => query.by = By::Model,
                ("by", "cluster") => query.by = By::Cluster,
                ("by", "day") => query.by = By::Day,
                ("format", "json") => query.form = Form::Json,
                ("format", "csv") => query.form = Form::Csv,
                ("by", _) => return Err(invalid("by", "`by` must be key, model, cluster or day.")),
                ("format", _) => return Err(invalid("format", "`format` must be json or csv.")),
                _ => {} // caches are kept off by parameters of any name
            }
        }
        Ok(query)
    }

    /// Writes the sums; of one key alone, if `only` names it.
    pub fn write(&self, totals: &Totals, only: Option<&str>) -> String {
        let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
        for (row, more) in totals.iter().filter(|(row, _)| only.is_none_or(|key| row.key == key)) {
            sums.entry(self.by.of(row)).or_default().add(more);
        }
        match self.form {
            Form::Json => self.json(&sums),
            Form::Csv => self.csv(&sums),
        }
    }

    fn json(&self, sums: &BTreeMap<String, Sums>) -> String {
        let by = self.by.name();
        let mut out = format!(r#"{{"object":"list","scope":"envoy","by":"{by}","data":["#);
        for (index, (name, sums)) in sums.iter().enumerate() {
            out.push_str(if index > 0 { ",{\"" } else { "{\"" });
            out.push_str(by);
            out.push_str("\":");
            write_string(&mut out, name);
            for (name, sum) in NAMES.iter().zip(sums.fields()) {
                out.push_str(&format!(",\"{name}\":{sum}"));
            }
            out.push('}');
        }
        out.push_str("]}");
        out
    }

    fn csv(&self, sums: &BTreeMap<String, Sums>) -> String {
        let mut out = format!("{},{}\r\n", self.by.name(), NAMES.join(","));
        for (name, sums) in sums {
            write_cell(&mut out, name);
            for sum in sums.fields() {
                out.push_str(&format!(",{sum}"));
            }
            out.push_str("\r\n");
        }
        out
    }
}

/// A cell in quotes. One that a spreadsheet would take for a formula gets an apostrophe (OWASP, "CSV Injection").
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
