//! What the ledger tells Prometheus.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

/// Counts, from this process's start on.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Records that were new.
    pub new: AtomicU64,
    /// Records whose id was known.
    pub known: AtomicU64,
    /// Entries of an access log that are of no request to a model.
    pub without_usage: AtomicU64,
    /// Entries that could not be read.
    pub malformed: AtomicU64,
    /// What the store could not do.
    pub store_failures: AtomicU64,
    /// Questions about limits that passed.
    pub passed: AtomicU64,
    /// Questions about limits that were refused.
    pub refused: AtomicU64,
    /// Charges.
    pub charged: AtomicU64,
    /// What the store said last, if it has failed since it last worked.
    failing: Mutex<Option<String>>,
}

/// A metric's name and help, and its counts by their labels.
type Family<'a> = (&'a str, &'a str, &'a [(&'a str, &'a AtomicU64)]);

/// Adds to a count.
pub fn add(count: &AtomicU64, more: usize) {
    count.fetch_add(more as u64, Ordering::Relaxed);
}

impl Metrics {
    /// The store has failed, and said this. Whether it had worked before.
    pub fn fail(&self, said: &str) -> bool {
        add(&self.store_failures, 1);
        let mut failing = self.failing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        failing.replace(said.to_owned()).is_none()
    }

    /// The store has worked.
    pub fn recover(&self) {
        *self.failing.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    /// What the store said last, if it is failing.
    pub fn failing(&self) -> Option<String> {
        self.failing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// As Prometheus reads it; `counters` is how many limits are counted.
    pub fn text(&self, counters: usize) -> String {
        let families: [Family<'_>; 3] = [
            (
                "sluice_ledger_records_total",
                "Entries of access logs, by what became of them.",
                &[
                    ("{result=\"new\"}", &self.new),
                    ("{result=\"known\"}", &self.known),
                    ("{result=\"without_usage\"}", &self.without_usage),
                    ("{result=\"malformed\"}", &self.malformed),
                ],
            ),
            (
                "sluice_ledger_limits_total",
                "Calls about limits, by what became of them.",
                &[
                    ("{result=\"ok\"}", &self.passed),
                    ("{result=\"over_limit\"}", &self.refused),
                    ("{result=\"charged\"}", &self.charged),
                ],
            ),
            ("sluice_ledger_store_failures_total", "What the store could not do.", &[("", &self.store_failures)]),
        ];
        let mut out = String::new();
        for (name, help, counts) in families {
            // writing to a String cannot fail
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
            for (labels, count) in counts {
                let _ = writeln!(out, "{name}{labels} {}", count.load(Ordering::Relaxed));
            }
        }
        let name = "sluice_ledger_counters";
        let _ = writeln!(out, "# HELP {name} Limits that are counted.\n# TYPE {name} gauge\n{name} {counters}");
        out
    }
}
