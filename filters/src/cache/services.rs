//! Calls to the services of the cache: Webdis, embeddings, vector databases. A request's question belongs to its stream, and
//! ends with it; what is written is sent on a tick, in a filter's own context, because its stream has ended by then.
//!
//! What goes wrong is a miss. For a while after that, nobody asks that service, so that a silent one delays few requests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::callout::Callout;
use sluice::guard::checks::Failures;
use sluice::wire_names::stats;

use super::flights::Flight;
use crate::chain;
use crate::host::{self, Buffer};

/// The maximum number of one worker's calls that wait to be sent without a client, or are under way.
const MAX_WRITES: usize = 100;
/// An answer that is this late will not arrive: the filter that asked has ended.
const GRACE: Duration = Duration::from_secs(1);
/// The maximum number of services that are known to have failed.
const MAX_RESTING: usize = 100;
/// How long nobody asks a service that has failed. Then one request asks, and the others do only once it has an answer.
const REST: Duration = Duration::from_secs(1);

thread_local! {
    static QUESTIONS: RefCell<HashMap<u32, Question>> = RefCell::default();
    static HEARD: RefCell<HashMap<u32, Heard>> = RefCell::default();
    static WRITES: RefCell<Writes> = RefCell::default();
    /// Services that have failed, by cluster, and since when nobody asks them.
    static RESTING: RefCell<HashMap<String, Duration>> = RefCell::default();
    static FAILURES: RefCell<Failures> = RefCell::default();
}

/// What a service is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has the answers.
    Store,
    /// It tells which requests are similar.
    Semantic,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Store => "the store",
            Kind::Semantic => "similar requests",
        }
    }

    /// Whether a status is an answer: a store that does not have what it was asked for says 404.
    fn answers(self, status: u16) -> bool {
        (200..300).contains(&status) || self == Kind::Store && status == 404
    }

    fn failures(self) -> &'static str {
        match self {
            Kind::Store => stats::CACHE_STORE_FAILURES,
            Kind::Semantic => stats::CACHE_SEMANTIC_FAILURES,
        }
    }
}

/// A service's answer to a request's question.
pub enum Heard {
    /// These bytes.
    Found(Vec<u8>),
    /// It has none.
    Nothing,
    /// It has not answered.
    Away,
}

/// A question under way.
struct Question {
    kind: Kind,
    context: u32,
    cluster: String,
    /// The longest answer that is read.
    most: usize,
}

/// Calls without a client that wait, and those under way, by call.
#[derive(Default)]
struct Writes {
    waiting: VecDeque<Write>,
    sent: HashMap<u32, Sent>,
}

struct Sent {
    kind: Kind,
    cluster: String,
    until: Duration,
    _flight: Option<Flight>,
}

/// A call that no client waits for. A flight ends with it.
pub struct Write {
    pub kind: Kind,
    pub callout: Callout,
    pub flight: Option<Flight>,
}

/// Asks a question; the stream `context` is woken with the answer, of which at most so many bytes are read. `false` if
/// Envoy cannot call, or if the service has just failed.
pub fn ask(kind: Kind, callout: &Callout, most: usize, context: u32) -> bool {
    let now = host::recent();
    if rests(&callout.cluster, now) {
        return false;
    }
    try_again(&callout.cluster, now);
    let Some(call) = send(kind, callout) else {
        return false;
    };
    let question = Question { kind, context, cluster: callout.cluster.clone(), most };
    QUESTIONS.with_borrow_mut(|questions| questions.insert(call, question));
    true
}

fn send(kind: Kind, callout: &Callout) -> Option<u32> {
    let headers: Vec<_> = callout.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let call = host::http_call(&callout.cluster, &headers, &callout.body, callout.timeout);
    if call.is_none() {
        let text = format!("Envoy cannot call the cluster {:?}; is it configured?", callout.cluster);
        failed(kind, &callout.cluster, "no_cluster", &text);
    }
    call
}

/// Whether a service is left alone after a failure.
fn rests(cluster: &str, now: Duration) -> bool {
    RESTING.with_borrow(|resting| resting.get(cluster).is_some_and(|since| now.abs_diff(*since) < REST))
}

/// Lets nobody else ask a service that has failed before, until it has an answer, or for the pause.
fn try_again(cluster: &str, now: Duration) {
    RESTING.with_borrow_mut(|resting| {
        if let Some(since) = resting.get_mut(cluster) {
            *since = now;
        }
    });
}

/// The answer for the stream that was just woken.
pub fn heard(context: u32) -> Option<Heard> {
    HEARD.with_borrow_mut(|heard| heard.remove(&context))
}

/// The stream of a question has ended, and its call with it.
pub fn forget(context: u32) {
    QUESTIONS.with_borrow_mut(|questions| questions.retain(|_, question| question.context != context));
    HEARD.with_borrow_mut(|heard| heard.remove(&context));
}

/// Sends a call on the next tick.
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
    for Write { kind, callout, flight } in waiting {
        if rests(&callout.cluster, now) {
            continue; // its flight ends
        }
        if let Some(call) = send(kind, &callout) {
            let until = now + callout.timeout + GRACE;
            let sent = Sent { kind, cluster: callout.cluster, until, _flight: flight };
            WRITES.with_borrow_mut(|writes| writes.sent.insert(call, sent));
        }
    }
    let overdue: Vec<_> = WRITES.with_borrow_mut(|writes| writes.sent.extract_if(|_, sent| sent.until < now).collect());
    drop(overdue); // outside: a flight's end changes shared data
}

/// A call has been answered, or has failed: then there are no headers.
pub fn answered(call: u32, headers: usize, size: usize) {
    if let Some(question) = QUESTIONS.with_borrow_mut(|questions| questions.remove(&call)) {
        let (context, heard) = (question.context, read(&question, headers, size));
        HEARD.with_borrow_mut(|known| known.insert(context, heard));
        chain::wake(context);
        HEARD.with_borrow_mut(|known| known.remove(&context));
        return;
    }
    if let Some(sent) = WRITES.with_borrow_mut(|writes| writes.sent.remove(&call)) {
        match status(headers) {
            Some(200..=299) => {}
            Some(status) => {
                failed(sent.kind, &sent.cluster, "write", &format!("nothing was written (status {status})"))
            }
            None => failed(sent.kind, &sent.cluster, "write", "nothing was written (no answer)"),
        }
        drop(sent);
    }
}

fn status(headers: usize) -> Option<u16> {
    match headers {
        0 => None,
        _ => host::call_status(),
    }
}

fn read(question: &Question, headers: usize, size: usize) -> Heard {
    let Question { kind, cluster, .. } = question;
    match status(headers) {
        Some(status) if kind.answers(status) && size <= question.most => {
            if RESTING.with_borrow(|resting| !resting.is_empty()) {
                RESTING.with_borrow_mut(|resting| resting.remove(cluster));
            }
            match status {
                404 => Heard::Nothing,
                _ => host::bytes(Buffer::CallResponseBody, size).map_or(Heard::Nothing, Heard::Found),
            }
        }
        Some(status) => {
            failed(*kind, cluster, "read", &format!("no answer could be read (status {status}, {size} bytes)"));
            Heard::Away
        }
        None => {
            failed(*kind, cluster, "read", "no answer");
            Heard::Away
        }
    }
}

/// Counts a failure, logs it once a minute, and lets the service rest.
#[cold]
pub fn failed(kind: Kind, cluster: &str, what: &'static str, text: &str) {
    RESTING.with_borrow_mut(|resting| {
        if resting.len() < MAX_RESTING || resting.contains_key(cluster) {
            resting.insert(cluster.to_owned(), host::recent());
        }
    });
    if let Some(counter) = host::define_counter(kind.failures()) {
        host::increment(counter, 1);
    }
    let untold = FAILURES.with_borrow_mut(|failures| failures.note(cluster, what, host::recent()));
    if let Some(untold) = untold {
        let name = kind.name();
        log::warn!("sluice: cache: {name}: {text}; and {untold} times since this was logged last");
    }
}
