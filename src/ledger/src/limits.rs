//! The limits that several Envoys share: usage in the current minute, day and month.
//!
//! All of it is in memory, so that questions are answered at once. Changes are written to the store several times a
//! second, so a restart forgets only the last moment.

use std::collections::{HashMap, HashSet};

use crate::day::{after_month, month_of, DAY};
use crate::proto::{
    Descriptor, DescriptorStatus, Limit, RateLimitRequest, RateLimitResponse, ResponseLimit, Timestamp, OK, OVER_LIMIT,
};
use crate::store::Counter;

/// The maximum number of counted limits.
const MAX_COUNTERS: usize = 1_000_000;
/// How often expired windows are removed, in seconds.
const SWEPT_EVERY: i64 = 10;

/// The usage of a limit.
#[derive(Debug, Default)]
pub struct Limits {
    counters: HashMap<String, Used>,
    changed: HashSet<String>,
    changes: u64,
    swept: i64,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    window: i64,
    ends: i64,
    used: i64,
}

/// The result of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request passes.
    Passes,
    /// A limit is reached.
    Refused,
    /// Not a question but a charge: the usage has already happened.
    Charged,
}

/// No further limit can be counted: the maximum is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Limits {
    /// The stored limits; windows that have ended at `now`, in seconds since the epoch, are dropped.
    pub fn new(kept: Vec<Counter>, now: i64) -> Self {
        let running = kept.into_iter().filter(|counter| counter.ends > now);
        let used = |Counter { name, window, ends, used }| (name, Used { window, ends, used });
        Limits { counters: running.map(used).collect(), ..Limits::default() }
    }

    /// The number of counted limits.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether no limit is counted.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// The number of changes so far.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Answers a question: all of its hits are counted, or none. Tokens and cost are different: they are reported after
    /// use, so they always count, together with their other hits.
    ///
    /// # Errors
    /// The maximum number of limits is reached.
    pub fn decide(&mut self, request: &RateLimitRequest, now: i64) -> Result<(RateLimitResponse, Decision), Full> {
        self.sweep(now);
        let otherwise = u64::from(request.hits_addend.max(1));
        let asked: Vec<Asked<'_>> = request
            .descriptors
            .iter()
            .map(|descriptor| Asked::of(&request.domain, descriptor, otherwise, now))
            .collect();
        let new = asked.iter().filter(|asked| asked.hits > 0 && !self.counters.contains_key(&asked.name)).count();
        if self.counters.len() + new > MAX_COUNTERS {
            return Err(Full);
        }
        let is_over = |used: i64, asked: &Asked<'_>| {
            asked.limit.is_some_and(|limit| used.saturating_add(asked.hits) > i64::from(limit.requests_per_unit))
        };
        let charged = asked.iter().any(|asked| asked.hits > 0 && asked.is_use());
        let over: Vec<bool> = asked.iter().map(|asked| is_over(self.used(asked), asked)).collect();
        let refused = over.contains(&true);
        if charged || !refused {
            for asked in asked.iter().filter(|asked| asked.hits > 0 && asked.limit.is_some()) {
                self.add(asked);
            }
        }
        let statuses =
            asked.iter().zip(&over).map(|(asked, over)| asked.status(*over, self.used(asked), now)).collect();
        let overall_code = if refused { OVER_LIMIT } else { OK };
        let decision = match (charged, refused) {
            (true, _) => Decision::Charged,
            (false, true) => Decision::Refused,
            (false, false) => Decision::Passes,
        };
        Ok((RateLimitResponse { overall_code, statuses }, decision))
    }

    fn used(&self, asked: &Asked<'_>) -> i64 {
        self.counters.get(&asked.name).filter(|known| known.window == asked.window).map_or(0, |known| known.used)
    }

    fn add(&mut self, asked: &Asked<'_>) {
        let used = self.used(asked).saturating_add(asked.hits);
        self.counters.insert(asked.name.clone(), Used { window: asked.window, ends: asked.ends, used });
        self.changed.insert(asked.name.clone());
        self.changes += 1;
    }

    fn sweep(&mut self, now: i64) {
        if now.abs_diff(self.swept) >= SWEPT_EVERY.unsigned_abs() {
            self.swept = now;
            self.counters.retain(|_, known| known.ends > now);
        }
    }

    /// The changes since the last call.
    pub fn take_changed(&mut self) -> Vec<Counter> {
        let changed = std::mem::take(&mut self.changed);
        let counter = |name: String| {
            let Used { window, ends, used } = *self.counters.get(&name)?;
            Some(Counter { name, window, ends, used })
        };
        changed.into_iter().filter_map(counter).collect()
    }

    /// Marks these as changed again, because they could not be written.
    pub fn give_back(&mut self, counters: Vec<Counter>) {
        self.changed.extend(counters.into_iter().map(|counter| counter.name));
    }
}

/// One limit in a question.
struct Asked<'a> {
    name: String,
    descriptor: &'a Descriptor,
    limit: Option<Limit>,
    window: i64,
    ends: i64,
    hits: i64,
}

impl<'a> Asked<'a> {
    fn of(domain: &str, descriptor: &'a Descriptor, otherwise: u64, now: i64) -> Self {
        let unit = descriptor.limit.map_or(0, |limit| limit.unit);
        let mut words = vec![domain];
        words.extend(descriptor.entries.iter().flat_map(|entry| [entry.key.as_str(), entry.value.as_str()]));
        let unit_name = unit.to_string();
        words.push(&unit_name);
        let window = window(unit, now);
        let hits = descriptor.hits_addend.map_or(otherwise, |hits| hits.value);
        Asked {
            // the texts as a JSON list, which is unique for each limit
            name: serde_json::to_string(&words).unwrap_or_default(),
            descriptor,
            limit: descriptor.limit.filter(|_| window.is_some()),
            window: window.map_or(0, |(begins, _)| begins),
            ends: window.map_or(0, |(_, ends)| ends),
            hits: i64::try_from(hits).unwrap_or(i64::MAX),
        }
    }

    /// Whether it limits values that are only known after a request.
    fn is_use(&self) -> bool {
        self.descriptor.entries.last().is_some_and(|entry| {
            entry.key == "limit" && (entry.value.starts_with("tokens_") || entry.value.starts_with("cost_"))
        })
    }

    fn status(&self, is_over: bool, used: i64, now: i64) -> DescriptorStatus {
        let left = |limit: Limit| i64::from(limit.requests_per_unit).saturating_sub(used).max(0);
        DescriptorStatus {
            code: if is_over { OVER_LIMIT } else { OK },
            current_limit: self
                .limit
                .map(|Limit { requests_per_unit, unit }| ResponseLimit { requests_per_unit, unit }),
            limit_remaining: self.limit.map_or(0, |limit| u32::try_from(left(limit)).unwrap_or(0)),
            duration_until_reset: self.limit.map(|_| Timestamp { seconds: self.ends - now, nanos: 0 }),
        }
    }
}

/// The begin and end of the current window of a `RateLimitUnit`, in seconds since the epoch; `None` for unknown units.
fn window(unit: i32, now: i64) -> Option<(i64, i64)> {
    let of = |seconds: i64| {
        let begins = now - now.rem_euclid(seconds);
        Some((begins, begins + seconds))
    };
    let day = DAY as i64;
    match unit {
        1 => of(1),
        2 => of(60),
        3 => of(3600),
        4 => of(day),
        5 => {
            let today = now.div_euclid(day);
            Some((month_of(today) * day, after_month(today) * day))
        }
        _ => None,
    }
}
