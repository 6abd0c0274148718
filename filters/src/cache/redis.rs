//! Calls to Webdis: a request's question belongs to its stream, and ends with it; entries are written on a tick, in a
//! filter's own context, because their streams have ended by then. What goes wrong is a miss. For a while after that,
//! nobody asks the store, so that a silent one delays few requests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::cache::{webdis, CacheKey, Entry, MAX_ENTRY};
use sluice::guard::checks::Failures;
use sluice::wire_names::stats;

use super::flights::Flight;
use crate::chain;
use crate::host::{self, Buffer, Headers};

/// The maximum number of one worker's entries that wait to be written, or are being written.
const MAX_WRITES: usize = 100;
/// An answer that is this late will not arrive: the filter that asked has ended.
const GRACE: Duration = Duration::from_secs(1);
/// The timeout for writing, since no client waits for that.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum number of stores that are known to have failed.
const MAX_STORES: usize = 100;
/// How long nobody asks a store that has failed. Then one request asks, and the others do only once it has an answer.
const REST: Duration = Duration::from_secs(1);
/// The largest value that is read: an entry, and what is written before it.
const MAX_VALUE: usize = MAX_ENTRY + 256;

thread_local! {
    static READS: RefCell<HashMap<u32, Read>> = RefCell::default();
    /// Stores that have failed, by cluster, and since when nobody asks them.
    static RESTING: RefCell<HashMap<String, Duration>> = RefCell::default();
    static HEARD: RefCell<HashMap<u32, Heard>> = RefCell::default();
    static WRITES: RefCell<Writes> = RefCell::default();
    static FAILURES: RefCell<Failures> = RefCell::default();
}

/// A store's answer to a request's question.
pub enum Heard {
    /// These bytes.
    Found(Vec<u8>),
    /// It has none.
    Nothing,
    /// It has not answered.
    Away,
}

/// A question under way.
struct Read {
    context: u32,
    cluster: String,
}

/// Writes that wait, and those under way, by call.
#[derive(Default)]
struct Writes {
    waiting: VecDeque<Write>,
    sent: HashMap<u32, Sent>,
}

/// A write under way.
struct Sent {
    cluster: String,
    until: Duration,
    _flight: Option<Flight>,
}

/// An entry to write. Its flight ends when it is there.
pub struct Write {
    pub cluster: String,
    pub time: Duration,
    pub entry: Entry,
    pub flight: Option<Flight>,
}

/// Asks for an entry; the stream `context` is woken with the answer. `false` if Envoy cannot call, or if the store has
/// just failed.
pub fn ask(cluster: &str, key: &CacheKey, timeout: Duration, context: u32) -> bool {
    let now = host::recent();
    if rests(cluster, now) {
        return false;
    }
    let path = webdis::get(key);
    let headers = [(":method", "GET"), (":path", path.as_str()), (":authority", cluster)];
    let Some(call) = host::http_call(cluster, &headers, &[], timeout) else {
        fail(cluster, "no_cluster", &no_cluster(cluster));
        return false;
    };
    READS.with_borrow_mut(|reads| reads.insert(call, Read { context, cluster: cluster.to_owned() }));
    true
}

/// Whether nobody asks a store, because it has failed. Once that is over, the first that wants to know may ask it.
fn rests(cluster: &str, now: Duration) -> bool {
    RESTING.with_borrow_mut(|resting| match resting.get_mut(cluster) {
        Some(since) if now.abs_diff(*since) < REST => true,
        Some(since) => {
            *since = now;
            false
        }
        None => false,
    })
}

fn no_cluster(cluster: &str) -> String {
    format!("Envoy cannot call the cluster {cluster:?}; is it configured?")
}

/// The answer for the stream that was just woken.
pub fn heard(context: u32) -> Option<Heard> {
    HEARD.with_borrow_mut(|heard| heard.remove(&context))
}

/// The stream of a question has ended, and its call with it.
pub fn forget(context: u32) {
    READS.with_borrow_mut(|reads| reads.retain(|_, read| read.context != context));
    HEARD.with_borrow_mut(|heard| heard.remove(&context));
}

/// Writes an entry on the next tick.
pub fn write(write: Write) {
    WRITES.with_borrow_mut(|writes| {
        if writes.waiting.len() + writes.sent.len() < MAX_WRITES {
            writes.waiting.push_back(write);
        }
    });
}

/// Sends what is to be written, and gives up what is overdue. Called on each tick.
pub fn work() {
    if WRITES.with_borrow(|writes| writes.waiting.is_empty() && writes.sent.is_empty()) {
        return;
    }
    let now = host::recent();
    let waiting = WRITES.with_borrow_mut(|writes| std::mem::take(&mut writes.waiting));
    for Write { cluster, time, entry, flight } in waiting {
        if RESTING.with_borrow(|resting| resting.get(&cluster).is_some_and(|since| now.abs_diff(*since) < REST)) {
            continue; // its flight ends
        }
        let path = webdis::set(&entry.key, time);
        let headers = [(":method", "PUT"), (":path", path.as_str()), (":authority", cluster.as_str())];
        match host::http_call(&cluster, &headers, &entry.encode(), WRITE_TIMEOUT) {
            Some(call) => WRITES.with_borrow_mut(|writes| {
                writes.sent.insert(call, Sent { cluster, until: now + WRITE_TIMEOUT + GRACE, _flight: flight });
            }),
            None => fail(&cluster, "no_cluster", &no_cluster(&cluster)),
        }
    }
    let overdue: Vec<_> = WRITES.with_borrow_mut(|writes| writes.sent.extract_if(|_, sent| sent.until < now).collect());
    drop(overdue); // outside: a flight's end changes shared data
}

/// A call has been answered, or has failed: then there are no headers.
pub fn answered(call: u32, headers: usize, size: usize) {
    if let Some(Read { context, cluster }) = READS.with_borrow_mut(|reads| reads.remove(&call)) {
        let heard = read(&cluster, headers, size);
        HEARD.with_borrow_mut(|known| known.insert(context, heard));
        chain::wake(context);
        HEARD.with_borrow_mut(|known| known.remove(&context));
        return;
    }
    if let Some(sent) = WRITES.with_borrow_mut(|writes| writes.sent.remove(&call)) {
        match status(headers) {
            Some(200) => {}
            Some(status) => fail(&sent.cluster, "write", &format!("an entry could not be written (status {status})")),
            None => fail(&sent.cluster, "write", "an entry could not be written (no answer)"),
        }
        drop(sent);
    }
}

fn status(headers: usize) -> Option<u16> {
    match headers {
        0 => None,
        _ => host::header(Headers::CallResponse, ":status")?.parse().ok(),
    }
}

fn read(cluster: &str, headers: usize, size: usize) -> Heard {
    let heard = match status(headers) {
        Some(200) if size <= MAX_VALUE => {
            host::bytes(Buffer::CallResponseBody, size).map_or(Heard::Nothing, Heard::Found)
        }
        Some(404) => Heard::Nothing,
        Some(status) => {
            fail(cluster, "read", &format!("no entry could be read (status {status}, {size} bytes)"));
            return Heard::Away;
        }
        None => {
            fail(cluster, "read", "no answer");
            return Heard::Away;
        }
    };
    if RESTING.with_borrow(|resting| !resting.is_empty()) {
        RESTING.with_borrow_mut(|resting| resting.remove(cluster));
    }
    heard
}

/// Counts a failure, logs it once a minute, and lets the store rest.
#[cold]
fn fail(cluster: &str, kind: &'static str, text: &str) {
    RESTING.with_borrow_mut(|resting| {
        if resting.len() < MAX_STORES || resting.contains_key(cluster) {
            resting.insert(cluster.to_owned(), host::recent());
        }
    });
    if let Some(counter) = host::define_counter(stats::CACHE_STORE_FAILURES) {
        host::increment(counter, 1);
    }
    let untold = FAILURES.with_borrow_mut(|failures| failures.note("", kind, host::recent()));
    if let Some(untold) = untold {
        log::warn!("sluice: cache: the store: {text}; and {untold} times since this was logged last");
    }
}
