//! A host for native tests: it offers what Envoy offers to filters, and calls them as Envoy does.
//!
//! Shared data has versions, a buffer has what is held, a context acts for its stream. So orders of callbacks that Envoy
//! seldom shows can be tried, in milliseconds each. That Envoy behaves like this is for the end-to-end tests to show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod abi;
mod envoy;
mod orders;
mod requests;
mod tables;
mod unhappy;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

thread_local! {
    /// Each test has a thread, and so a host and a VM, of its own.
    static HOST: RefCell<Host> = RefCell::default();
}

type HeaderList = Vec<(String, String)>;

/// All that the host knows.
#[derive(Default)]
struct Host {
    now: Duration,
    root_id: String,
    configuration: Vec<u8>,
    /// The context that host calls act for.
    effective: u32,
    contexts: BTreeMap<u32, Context>,
    /// How many contexts of streams there have been.
    opened: u32,
    streams: Vec<Stream>,
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    metrics: Vec<(String, i64)>,
    log: Vec<String>,
    /// Which host calls fail.
    refuses: Refuses,
}

/// Host calls that fail, as if Envoy were out of memory or at odds with the filters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Refuses {
    properties: bool,
    headers: bool,
    bodies: bool,
    shared: bool,
}

/// What all filters of one request share.
#[derive(Default)]
struct Stream {
    request: HeaderList,
    filter_state: BTreeMap<String, Vec<u8>>,
}

/// A filter's side of a stream.
#[derive(Default)]
struct Context {
    stream: usize,
    /// Of an attempt: the cluster that it is at.
    cluster: Option<String>,
    /// Of an attempt: why Envoy could not connect.
    failure: Option<String>,
    response: HeaderList,
    request_body: Vec<u8>,
    response_body: Vec<u8>,
    reply: Option<Answer>,
    request_goes_on: bool,
    response_goes_on: bool,
}

/// What a client, or a filter further out, is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: HeaderList,
    body: Vec<u8>,
    whole: bool,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// What it says, and what the log says, for a test that fails.
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

/// Runs a test, or a part of one, in a VM of its own: on a thread of its own.
fn in_new_vm(part: impl FnOnce() + Send) {
    let run = || {
        let result = catch_unwind(AssertUnwindSafe(part));
        envoy::end_all(); // or the thread's end would find streams open
        result
    };
    if let Ok(Err(panic)) | Err(panic) = thread::scope(|scope| scope.spawn(run).join()) {
        resume_unwind(panic);
    }
}

/// The host of this test. It is borrowed only for as long as no filter runs.
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
