//! The usage of the last 24 hours and of the current month, for Envoys that start.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sluice::fleet::write_windows;
use sluice::limits::{Amounts, PastUsage, Subject};

use crate::day::{month_of, DAY};
use crate::store::{Failed, Rollup, Span, Store};

const HOUR: i64 = 3600;
/// The hours of a day's window.
const HOURS: i64 = 24;
/// The model of requests for the gateway's own paths, which no limit counts.
const NO_MODEL: &str = "none";

/// A subject; the order says who comes first if there is no room for all.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Who {
    All,
    Model(String),
    Label(String, String),
    Key(String),
}

/// The usage of all subjects at `now`, in seconds since the epoch, in the form that Envoys read.
///
/// # Errors
/// The store cannot be read.
pub fn windows(store: &mut dyn Store, now: i64) -> Result<Vec<u8>, Failed> {
    let hour = now / HOUR;
    let month = month_of(now / DAY as i64);
    let time = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
    let mut usage: HashMap<Who, (u64, PastUsage)> = HashMap::new();
    for rollup in store.rollups(Span::Hour, hour - HOURS + 1, hour + 1)? {
        for who in subjects(&rollup) {
            let (_, past) = usage.entry(who).or_default();
            past.add_hour(time(now), time(rollup.first * HOUR), amounts(&rollup));
        }
    }
    for rollup in store.rollups(Span::Month, month, month + 1)? {
        for who in subjects(&rollup) {
            let (tokens, past) = usage.entry(who).or_default();
            *tokens = tokens.saturating_add(amounts(&rollup).tokens);
            past.add_month(time(now), amounts(&rollup));
        }
    }
    let mut usage: Vec<(Who, (u64, PastUsage))> = usage.into_iter().collect();
    // the keys that have used the most come first
    usage.sort_by(|(one, (of_one, _)), (other, (of_other, _))| {
        let is_key = |who: &Who| matches!(who, Who::Key(_));
        is_key(one).cmp(&is_key(other)).then_with(|| of_other.cmp(of_one)).then_with(|| one.cmp(other))
    });
    let subject = |(who, (_, past))| {
        let subject = match who {
            Who::All => Subject::All,
            Who::Model(name) => Subject::Model(name.into()),
            Who::Label(name, value) => Subject::Label(name.into(), value.into()),
            Who::Key(id) => Subject::Key(id.into()),
        };
        (subject, past)
    };
    let usage: Vec<(Subject, PastUsage)> = usage.into_iter().map(subject).collect();
    Ok(write_windows(time(now), &usage))
}

fn subjects(rollup: &Rollup) -> Vec<Who> {
    let subject = &rollup.subject;
    if subject.model == NO_MODEL {
        return Vec::new();
    }
    let labels: BTreeMap<String, String> = serde_json::from_str(&subject.labels).unwrap_or_default();
    let labels = labels.into_iter().map(|(name, value)| Who::Label(name, value));
    [Who::All, Who::Model(subject.model.clone()), Who::Key(subject.key.clone())].into_iter().chain(labels).collect()
}

fn amounts(rollup: &Rollup) -> Amounts {
    let sums = &rollup.sums;
    Amounts {
        requests: sums.requests.saturating_sub(sums.errors).unsigned_abs(),
        tokens: sums.input_tokens.saturating_add(sums.output_tokens).unsigned_abs(),
        microusd: sums.cost_microusd.unsigned_abs(),
    }
}
