//! The ledger's metrics for Prometheus.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

/// Counts since this process started.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Records that were new.
    pub new: AtomicU64,
    /// Records whose id was known.
    pub known: AtomicU64,
    /// Access log entries that are not requests to a model.
    pub without_usage: AtomicU64,
    /// Unreadable entries.
    pub malformed: AtomicU64,
    /// Failures of the store.
    pub store_failures: AtomicU64,
    /// Questions about limits that were admitted.
    pub passed: AtomicU64,
    /// Questions about limits that were refused.
    pub refused: AtomicU64,
    /// Charges.
    pub charged: AtomicU64,
    /// The store's last error, if it is failing now.
    failing: Mutex<Option<String>>,
}

/// A metric's name and help, and its counts by their labels.
type Family<'a> = (&'a str, &'a str, &'a [(&'a str, &'a AtomicU64)]);

/// Adds to a count.
pub fn add(count: &AtomicU64, more: usize) {
    count.fetch_add(more as u64, Ordering::Relaxed);
}

impl Metrics {
    /// Records a failure of the store. Returns whether it had worked before.
    pub fn fail(&self, said: &str) -> bool {
        add(&self.store_failures, 1);
        let mut failing = self.failing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        failing.replace(said.to_owned()).is_none()
    }

    /// Records that the store works.
    pub fn recover(&self) {
        *self.failing.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    /// The store's last error, if it is failing.
    pub fn failing(&self) -> Option<String> {
        self.failing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// In Prometheus' format; `counters` is the number of counted limits.
    pub fn text(&self, counters: usize) -> String {
        let families: [Family<'_>; 3] = [
            (
                "sluice_ledger_records_total",
                "Entries of access logs, by result.",
                &[
                    ("{result=\"new\"}", &self.new),
                    ("{result=\"known\"}", &self.known),
                    ("{result=\"without_usage\"}", &self.without_usage),
                    ("{result=\"malformed\"}", &self.malformed),
                ],
            ),
            (
                "sluice_ledger_limits_total",
                "Calls about limits, by result.",
                &[
                    ("{result=\"ok\"}", &self.passed),
                    ("{result=\"over_limit\"}", &self.refused),
                    ("{result=\"charged\"}", &self.charged),
                ],
            ),
            ("sluice_ledger_store_failures_total", "Failures of the store.", &[("", &self.store_failures)]),
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
        let _ = writeln!(out, "# HELP {name} Counted limits.\n# TYPE {name} gauge\n{name} {counters}");
        out
    }
}
