//! The requests that ended last, for administrators: which cluster each went to, and why.
//!
//! Each worker keeps its own last requests. That costs it next to nothing: their records are those that the access log
//! has. Only while an administrator looks, the workers merge them into one list that they share. Neither contains
//! prompts, completions or secrets.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};
use crate::date::Timestamp;
use crate::exchange::Exchange;
use crate::json::write_string;
use crate::record::json_fields;
use crate::routing::Route;

/// The number of requests that are kept.
pub const MAX_REQUESTS: usize = 200;
/// The largest record that is kept, in bytes; of a larger one, the status and the times remain. Usual ones have 300.
const MAX_RECORD: usize = 2048;
/// How long the workers share their requests after an administrator has looked.
pub const WATCH: Duration = Duration::from_secs(120);

/// A request that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedRequest {
    /// When, since the epoch.
    pub at: Duration,
    /// From its arrival to its end, in milliseconds; `None` if it was refused before anything was known about it.
    pub took: Option<u64>,
    /// The client's status; 0: the client left first.
    pub status: u16,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Why its last target was picked; empty without one.
    pub picked_by: &'static str,
    /// Its record for the access log.
    pub record: Vec<u8>,
}

impl EndedRequest {
    /// A request that ends now.
    pub fn of(exchange: &Exchange, status: u16, now: Duration, record: Vec<u8>) -> Self {
        EndedRequest {
            at: now,
            took: Some(exchange.timing().so_far(now)),
            status,
            stream: exchange.streams(),
            picked_by: exchange.routed().map_or("", Route::picked_by),
            record,
        }
    }

    /// A request that was refused before anything was known about it.
    pub fn of_stranger(status: u16, now: Duration, record: Vec<u8>) -> Self {
        EndedRequest { at: now, took: None, status, stream: false, picked_by: "", record }
    }

    /// As a JSON object.
    fn json(&self) -> String {
        let mut out = format!(
            r#"{{"ended_at":{:.3},"ended_at_rfc3339":"{}","status":{},"stream":{},"duration_ms":"#,
            self.at.as_secs_f64(),
            Timestamp(self.at),
            self.status,
            self.stream
        );
        match self.took {
            Some(took) => out.push_str(&took.to_string()),
            None => out.push_str("null"),
        }
        if !self.picked_by.is_empty() {
            out.push_str(r#","picked_by":"#);
            write_string(&mut out, self.picked_by);
        }
        let fields = if self.record.len() <= MAX_RECORD { json_fields(&self.record) } else { "" };
        if !fields.is_empty() {
            out.push(',');
            out.push_str(fields);
        }
        out.push('}');
        out
    }
}

/// One worker's requests that are not in the list yet, oldest first.
#[derive(Debug, Default)]
pub struct Kept(VecDeque<EndedRequest>);

impl Kept {
    /// Adds the newest one; beyond [`MAX_REQUESTS`], the oldest is dropped.
    pub fn add(&mut self, ended: EndedRequest) {
        if self.0.len() >= MAX_REQUESTS {
            self.0.pop_front();
        }
        self.0.push_back(ended);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes them out, as a list.
    pub fn take(&mut self) -> RecentRequests {
        RecentRequests(self.0.drain(..).rev().map(|ended| (micros(ended.at), ended.json())).collect())
    }
}

/// The list that the workers share: each request's end in microseconds since the epoch, and its JSON; newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentRequests(Vec<(u64, String)>);

impl RecentRequests {
    /// Merges another list into it; the newest [`MAX_REQUESTS`] remain.
    pub fn merge(&mut self, other: &RecentRequests) {
        self.0.extend_from_slice(&other.0);
        self.0.sort_by_key(|(at, _)| Reverse(*at));
        self.0.truncate(MAX_REQUESTS);
    }

    /// The answer to [`Command::Recent`](crate::gateway::Command::Recent).
    pub fn list(&self) -> String {
        let requests: Vec<&str> = self.0.iter().map(|(_, json)| json.as_str()).collect();
        format!(r#"{{"object":"list","scope":"envoy","data":[{}]}}"#, requests.join(","))
    }
}

impl SharedRecord for RecentRequests {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        for (at, json) in &self.0 {
            out.u64(*at);
            out.text(json);
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let request = |input: &mut Reader<'_>| Some((input.u64()?, input.text()?.to_owned()));
        input.list_to_end(MAX_REQUESTS, request).map(RecentRequests)
    }
}

impl Forgettable for RecentRequests {}

/// The time until which an administrator looks, in seconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched(pub u64);

impl SharedRecord for Watched {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        out.u64(self.0);
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        input.u64().map(Watched)
    }
}

impl Forgettable for Watched {}

impl Watched {
    /// Whether an administrator looks.
    pub fn is_on(self, now: Duration) -> bool {
        now.as_secs() < self.0
    }

    /// An administrator looks now. `None`: the workers know that for long enough.
    pub fn extended(self, now: Duration) -> Option<Self> {
        let until = (now + WATCH).as_secs();
        (self.0 < until.saturating_sub(WATCH.as_secs() / 2)).then_some(Watched(until))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
