//! A host for native tests: it has Envoy's functions for filters, and calls the filters as Envoy does.
//!
//! Shared data has versions, buffers keep held bytes, and a context acts for its stream. So tests can try orders of
//! callbacks that Envoy seldom produces, in milliseconds each. The end-to-end tests check that Envoy behaves like this
//! host.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod abi;
mod envoy;
mod failures;
mod guard_services;
mod kinds;
mod ledger;
mod limits;
mod orders;
mod recent;
mod requests;
mod settings;
mod slices;
mod tables;
mod texts;
mod unhappy;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

thread_local! {
    /// Each test has its own thread, and so its own host and VM.
    static HOST: RefCell<Host> = RefCell::default();
}

type HeaderList = Vec<(String, String)>;

/// The host's state.
#[derive(Default)]
struct Host {
    now: Duration,
    /// How much later it is after each look at the clock.
    pace: Duration,
    root_id: String,
    configuration: Vec<u8>,
    /// The context of host calls.
    effective: u32,
    contexts: BTreeMap<u32, Context>,
    /// The number of stream contexts so far.
    opened: u32,
    streams: Vec<Stream>,
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    metrics: Vec<(String, i64)>,
    log: Vec<String>,
    /// The host calls that fail.
    refuses: Refuses,
    /// The cluster that filters can call; `None`: there is none.
    service: Option<String>,
    /// The number of calls so far.
    called: u32,
    /// The calls without an answer.
    callouts: Vec<Callout>,
    /// The answer that a filter is being told.
    callout_answer: Answer,
}

/// A call of a filter to a service.
#[derive(Clone, Debug)]
struct Callout {
    token: u32,
    context: u32,
    headers: HeaderList,
    body: String,
}

impl Callout {
    /// Its method and path.
    fn line(&self) -> String {
        let part = |name| value(&self.headers, name).unwrap_or_default();
        format!("{} {}", part(":method"), part(":path"))
    }
}

/// Host calls that fail, as if Envoy were out of memory or disagreed with the filters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Refuses {
    properties: bool,
    headers: bool,
    bodies: bool,
    shared: bool,
}

/// The state that all filters of one request share.
#[derive(Default)]
struct Stream {
    request: HeaderList,
    filter_state: BTreeMap<String, Vec<u8>>,
}

/// A filter's side of a stream.
#[derive(Default)]
struct Context {
    stream: usize,
    /// For an attempt: its cluster.
    cluster: Option<String>,
    /// For an attempt: why Envoy could not connect.
    failure: Option<String>,
    response: HeaderList,
    request_body: Vec<u8>,
    response_body: Vec<u8>,
    reply: Option<Answer>,
    request_goes_on: bool,
    response_goes_on: bool,
}

/// The answer for a client, or for an outer filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: HeaderList,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Its text, and the log, for a failed test.
    fn told(&self) -> String {
        format!("{} {}\n{}", self.status, String::from_utf8_lossy(&self.body), host(|host| host.log.join("\n")))
    }

    fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }
}

fn value<'a>(headers: &'a HeaderList, name: &str) -> Option<&'a str> {
    headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// Runs a test, or a part of one, in a separate VM on a separate thread.
fn in_new_vm(part: impl FnOnce() + Send) {
    let run = || {
        let result = catch_unwind(AssertUnwindSafe(part));
        envoy::end_all(); // otherwise streams would still be open when the thread ends
        result
    };
    if let Ok(Err(panic)) | Err(panic) = thread::scope(|scope| scope.spawn(run).join()) {
        resume_unwind(panic);
    }
}

/// The host of this test. It is only borrowed while no filter runs.
fn host<T>(use_it: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(use_it)
}

impl Host {
    fn context(&mut self) -> Option<&mut Context> {
        self.contexts.get_mut(&self.effective)
    }

    fn stream(&mut self) -> Option<&mut Stream> {
        let stream = self.context()?.stream;
        self.streams.get_mut(stream)
    }
}
