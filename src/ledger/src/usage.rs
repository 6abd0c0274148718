//! Usage by any columns: `/usage`, and `sluice ledger report`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{json, Map, Value};

use crate::day::{month_of, read_day, read_month, write_day, write_month};
use crate::record::Sums;
use crate::store::{Failed, Rollup, Span, Store};

/// The maximum number of columns to sum by.
const MAX_COLUMNS: usize = 8;

/// A column to sum by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The client key's id.
    Key,
    /// The model's name.
    Model,
    /// The cluster that answered.
    Cluster,
    /// The model's name at that cluster.
    UpstreamModel,
    /// One of the key's labels.
    Label(String),
    /// The day.
    Day,
    /// The month.
    Month,
}

impl Column {
    fn read(text: &str) -> Result<Self, String> {
        Ok(match text {
            "key" => Column::Key,
            "model" => Column::Model,
            "cluster" => Column::Cluster,
            "upstream_model" => Column::UpstreamModel,
            "day" => Column::Day,
            "month" => Column::Month,
            _ => match text.strip_prefix("label:") {
                Some(name) if !name.is_empty() => Column::Label(name.to_owned()),
                _ => {
                    return Err(format!(
                        "by: {text:?} is none of key, model, cluster, upstream_model, label:NAME, day and month"
                    ))
                }
            },
        })
    }

    /// Its name in answers.
    fn name(&self) -> String {
        match self {
            Column::Key => "key".to_owned(),
            Column::Model => "model".to_owned(),
            Column::Cluster => "cluster".to_owned(),
            Column::UpstreamModel => "upstream_model".to_owned(),
            Column::Label(name) => format!("label:{name}"),
            Column::Day => "day".to_owned(),
            Column::Month => "month".to_owned(),
        }
    }

    fn value(&self, rollup: &Rollup) -> String {
        match self {
            Column::Key => rollup.subject.key.clone(),
            Column::Model => rollup.subject.model.clone(),
            Column::Cluster => rollup.subject.cluster.clone(),
            Column::UpstreamModel => rollup.subject.upstream_model.clone(),
            Column::Label(name) => {
                let labels: BTreeMap<String, String> = serde_json::from_str(&rollup.subject.labels).unwrap_or_default();
                labels.get(name).cloned().unwrap_or_default()
            }
            Column::Day => write_day(rollup.first),
            Column::Month => write_month(rollup.first),
        }
    }
}

/// The answer's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// An object with `rows`.
    Json,
    /// Comma-separated values with a line of names.
    Csv,
}

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    by: Vec<Column>,
    only: Vec<(Column, String)>,
    /// The first day, since the epoch, and the first day after the range.
    days: (i64, i64),
    /// The answer's format.
    pub form: ReportFormat,
}

impl Query {
    /// Reads the parameters of `/usage`: `by` (columns, separated by commas), `month`, `day`, or `from` and `to` (days,
    /// inclusive), `format` (`json` or `csv`), and a value for any column, as a filter. `today` is a day, since the
    /// epoch, whose month is the default.
    ///
    /// # Errors
    /// The invalid parameter, and its allowed values.
    pub fn read<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>, today: i64) -> Result<Self, String> {
        let first = month_of(today);
        let mut query = Query { by: Vec::new(), only: Vec::new(), days: (first, i64::MAX), form: ReportFormat::Json };
        let mut chosen = None;
        for (name, value) in parameters {
            let day = |text: &str| read_day(text).ok_or(format!("{name}: {text:?} is no day such as 2026-11-27"));
            match name {
                "by" => {
                    query.by = value.split(',').map(Column::read).collect::<Result<_, _>>()?;
                    if query.by.len() > MAX_COLUMNS {
                        return Err(format!("by: at most {MAX_COLUMNS} columns"));
                    }
                }
                "format" => {
                    query.form = match value {
                        "json" => ReportFormat::Json,
                        "csv" => ReportFormat::Csv,
                        _ => return Err(format!("format: {value:?} is neither json nor csv")),
                    }
                }
                "month" | "day" | "from" | "to" => {
                    let both = match (&chosen, name) {
                        (None, _) => false,
                        (Some("from"), "to") | (Some("to"), "from") => false,
                        (Some(_), _) => true,
                    };
                    if both {
                        return Err(format!("{name}: give a month, a day, or from and to"));
                    }
                    match name {
                        "month" => {
                            query.days =
                                read_month(value).ok_or(format!("month: {value:?} is no month such as 2026-11"))?;
                        }
                        "day" => query.days = (day(value)?, day(value)? + 1),
                        "from" => query.days.0 = day(value)?,
                        _ => {
                            query.days.1 = day(value)? + 1;
                            if chosen.is_none() {
                                query.days.0 = 0;
                            }
                        }
                    }
                    chosen = Some(name);
                }
                name => {
                    let problem = || {
                        format!(
                            "{name}: is no parameter; there is by, month, day, from, to, format and a column's name"
                        )
                    };
                    query.only.push((Column::read(name).map_err(|_| problem())?, value.to_owned()));
                }
            }
        }
        if query.days.0 >= query.days.1 {
            return Err("to: is before from".to_owned());
        }
        Ok(query)
    }

    /// Runs the query.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn answer(&self, store: &mut dyn Store) -> Result<Table, Failed> {
        let (from, to) = self.days;
        // complete months are read from their own roll-ups
        let whole = month_of(from) == from && (to == i64::MAX || month_of(to) == to);
        let of_days = |(column, _): &(Column, String)| *column == Column::Day;
        let by_day = self.by.contains(&Column::Day) || self.only.iter().any(of_days);
        let span = if whole && !by_day { Span::Month } else { Span::Day };
        let rollups = store.rollups(span, from, to)?;
        let mut sums: BTreeMap<Vec<String>, Sums> = BTreeMap::new();
        let mut total = Sums::default();
        for rollup in &rollups {
            if self.only.iter().all(|(column, value)| column.value(rollup) == *value) {
                let row = self.by.iter().map(|column| column.value(rollup)).collect();
                sums.entry(row).or_default().add(&rollup.sums);
                total.add(&rollup.sums);
            }
        }
        let columns = self.by.iter().map(Column::name).collect();
        Ok(Table { columns, rows: sums.into_iter().collect(), total, rows_read: rollups.len() })
    }
}

/// Sums by the query's columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<(Vec<String>, Sums)>,
    total: Sums,
    rows_read: usize,
}

impl Table {
    /// As JSON: `rows`, their `total`, and the number of roll-ups that were read.
    pub fn json(&self) -> String {
        let numbers = |sums: &Sums| Sums::NAMES.into_iter().zip(sums.numbers());
        let row = |(values, sums): &(Vec<String>, Sums)| {
            let named = self.columns.iter().cloned().zip(values.iter().map(|value| json!(value)));
            let numbers = numbers(sums).map(|(name, number)| (name.to_owned(), json!(number)));
            Value::Object(named.chain(numbers).collect())
        };
        let total: Map<String, Value> =
            numbers(&self.total).map(|(name, number)| (name.to_owned(), json!(number))).collect();
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        json!({"rows": rows, "total": total, "rows_read": self.rows_read}).to_string()
    }

    /// As comma-separated values (RFC 4180), with a line of names.
    pub fn csv(&self) -> String {
        let mut out = String::new();
        let line = |out: &mut String, cells: &mut dyn Iterator<Item = String>| {
            for (place, cell) in cells.enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                write_cell(out, &cell);
            }
            out.push_str("\r\n");
        };
        let names = Sums::NAMES.into_iter().map(str::to_owned);
        line(&mut out, &mut self.columns.iter().cloned().chain(names));
        for (values, sums) in &self.rows {
            let numbers = sums.numbers().into_iter().map(|number| number.to_string());
            line(&mut out, &mut values.iter().cloned().chain(numbers));
        }
        out
    }

    /// As a table for people: requests, errors, tokens and dollars.
    pub fn text(&self) -> String {
        let mut lines = vec![self.columns.clone()];
        lines[0].extend(["requests", "errors", "input tokens", "output tokens", "cost"].map(str::to_owned));
        let total = (!self.columns.is_empty()).then(|| {
            let mut names = vec![String::new(); self.columns.len()];
            names[0] = "total".to_owned();
            (names, self.total)
        });
        for (values, sums) in self.rows.iter().chain(&total) {
            let cost = format!("${}.{:06}", sums.cost_microusd / 1_000_000, sums.cost_microusd % 1_000_000);
            let numbers = [sums.requests, sums.errors, sums.input_tokens, sums.output_tokens];
            let mut cells = values.clone();
            cells.extend(numbers.map(|number| number.to_string()));
            cells.push(cost);
            lines.push(cells);
        }
        let width = |place: usize| lines.iter().map(|cells| cells[place].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
        let mut out = String::new();
        for cells in &lines {
            let mut line = String::new();
            for (place, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let is_name = place < self.columns.len();
                // writing to a String cannot fail
                let _ = match is_name {
                    true => write!(line, "{cell:<width$}  "),
                    false => write!(line, "{cell:>width$}  "),
                };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A cell; one that a spreadsheet would read as a formula is escaped.
fn write_cell(out: &mut String, cell: &str) {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<i64>().is_err();
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    match cell.contains(['"', ',', '\n', '\r']) {
        true => out.extend(["\"", &cell.replace('"', "\"\""), "\""]),
        false => out.push_str(&cell),
    }
}
