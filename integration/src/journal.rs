//! The record of requests and reported usage, with which tests compare the gateway's counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use serde_json::{json, Map, Value};

use crate::{clock, form};

/// After this many entries, bodies are no longer kept.
const ENTRIES_WITH_BODY: usize = 200_000;
/// The same limit in bytes, since one body may have 64 MiB.
const BODY_BYTES: usize = 512 << 20;
/// After this many entries, nothing is recorded.
const ENTRIES: usize = 1_000_000;

/// Requests in order of arrival.
#[derive(Debug)]
pub struct Journal {
    recording: bool,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    entries: Vec<Entry>,
    body_bytes: usize,
    /// Grows with every clearing, so that a late report does not change a newer entry.
    edition: u64,
}

#[derive(Debug)]
struct Entry {
    /// When its headers arrived, since 1970.
    at: Duration,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<Bytes>,
    usage: Option<Value>,
    sni: Option<Arc<str>>,
    status: Option<u16>,
}

/// Allows its holder to complete one entry.
#[derive(Clone, Debug)]
pub struct Ticket {
    journal: Arc<Journal>,
    edition: u64,
    index: usize,
}

impl Journal {
    pub fn new(recording: bool) -> Self {
        Self { recording, pages: Mutex::default() }
    }

    /// Adds a request; `None` if it is not recorded.
    pub fn open(self: &Arc<Self>, head: &Parts, sni: Option<&Arc<str>>) -> Option<Ticket> {
        if !self.recording {
            return None;
        }
        let mut pages = self.lock();
        let (edition, index) = (pages.edition, pages.entries.len());
        if index >= ENTRIES {
            return None;
        }
        pages.entries.push(Entry {
            at: clock::now(),
            method: head.method.clone(),
            path: head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            headers: head.headers.clone(),
            body: None,
            usage: None,
            sni: sni.cloned(),
            status: None,
        });
        drop(pages);
        Some(Ticket { journal: Arc::clone(self), edition, index })
    }

    pub fn clear(&self) {
        let mut pages = self.lock();
        *pages = Pages { edition: pages.edition + 1, ..Pages::default() };
    }

    /// The entries starting at `first`, as a JSON array.
    pub fn to_json(&self, first: usize) -> String {
        let pages = self.lock();
        let entries: Vec<String> = pages.entries.iter().skip(first).map(|entry| entry.to_json().to_string()).collect();
        format!("[{}]", entries.join(","))
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The request's body, once read.
    pub fn body(&self, body: &Bytes) {
        let mut pages = self.journal.lock();
        let bytes = pages.body_bytes + body.len();
        let room = self.index < ENTRIES_WITH_BODY && bytes <= BODY_BYTES;
        if room && pages.edition == self.edition {
            if let Some(entry) = pages.entries.get_mut(self.index) {
                entry.body = Some(body.clone());
                pages.body_bytes = bytes;
            }
        }
    }

    /// The status of the answer.
    pub fn status(&self, status: u16) {
        self.update(|entry| entry.status = Some(status));
    }

    /// The usage reported; a later report replaces it.
    pub fn usage(&self, usage: Value) {
        self.update(|entry| entry.usage = Some(usage));
    }

    fn update(&self, change: impl FnOnce(&mut Entry)) {
        let mut pages = self.journal.lock();
        if pages.edition == self.edition {
            pages.entries.get_mut(self.index).map(change);
        }
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        json!({
            "at_ms": u64::try_from(self.at.as_millis()).unwrap_or(u64::MAX),
            "method": self.method.as_str(),
            "path": self.path,
            "headers": headers_to_json(&self.headers),
            "body": self.body.as_ref().map(|body| body_to_json(&self.headers, body)),
            "usage": self.usage,
            "sni": self.sni.as_deref(),
            "status": self.status,
        })
    }
}

fn body_to_json(headers: &HeaderMap, body: &Bytes) -> Value {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(parts) = form::parts(kind, body) {
        return form::to_json(&parts);
    }
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}

fn headers_to_json(headers: &HeaderMap) -> Value {
    let mut object = Map::new();
    for name in headers.keys() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        object.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(journal: &Arc<Journal>) -> Ticket {
        let request = hyper::Request::post("/v1/x?y=1").header("A", "1").header("a", "2").body(());
        let (head, ()) = request.expect("valid").into_parts();
        journal.open(&head, None).expect("recorded")
    }

    #[test]
    fn an_entry_is_completed() {
        let journal = Arc::new(Journal::new(true));
        let ticket = arrive(&journal);
        ticket.body(&Bytes::from_static(b"not json"));
        ticket.status(200);
        ticket.usage(json!({"n": 1}));
        let at_ms = journal.lock().entries[0].at.as_millis() as u64;
        assert!(at_ms > 0);
        let want = json!([{
            "at_ms": at_ms, "method": "POST", "path": "/v1/x?y=1", "headers": {"a": "1, 2"}, "body": "not json",
            "usage": {"n": 1}, "sni": null, "status": 200,
        }]);
        assert_eq!(journal.to_json(0), want.to_string());
        assert_eq!(journal.to_json(1), "[]");
    }

    #[test]
    fn a_report_from_before_a_clearing_is_dropped() {
        let journal = Arc::new(Journal::new(true));
        let old = arrive(&journal);
        journal.clear();
        arrive(&journal);
        old.usage(json!({}));
        assert!(journal.to_json(0).contains("\"usage\":null"));
    }
}
