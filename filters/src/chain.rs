//! Filters that stand next to each other, as one: `root_id: auth+router+usage`.
//!
//! Each filter Envoy calls into costs a context and nine calls per request. Here they are run in order for requests,
//! in reverse for answers, as Envoy would run them. A single filter is a chain of one.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use hashbrown::HashMap;
use sluice::config::{ConfigError, Joined};

use crate::abi::{self, Action, HttpContext};
use crate::host;
use crate::registry::{self, Shared};
use crate::root::Filter;

thread_local! {
    /// The member that has just been called waits for something else than its stream.
    static WAITS: Cell<bool> = const { Cell::new(false) };
    static WAITING: RefCell<HashMap<u32, Weak<RefCell<Stream>>>> = RefCell::new(HashMap::new());
}

/// The order in which filters can be joined: who is calling is known before where the request goes.
pub const ORDER: [&str; 4] = ["auth", "guard", "router", "usage"];

/// The filters whose names `root_id` joins by `+`; `None` if one of them cannot be in a chain, or not in this order.
pub fn filter(root_id: &str, member: fn(&str) -> Option<Box<dyn Filter>>) -> Option<Box<dyn Filter>> {
    let named = |name: &str| Some((name.to_owned(), member(name)?));
    let members = root_id.split('+').map(named).collect::<Option<Vec<_>>>()?;
    let place = |(name, _): &(String, _)| ORDER.iter().position(|known| known == name);
    if !members.iter().map(place).is_sorted_by(|one, next| one < next) {
        return None;
    }
    Some(Box::new(Chain { root_id: root_id.to_owned(), members }))
}

/// Says, in a callback for the request that pauses, that [`wake`] will call.
pub fn wait_for_wake() {
    WAITS.set(true);
}

/// Has a request that waits go on, if its member lets it: it is called as if the request's last part had come.
pub fn wake(context: u32) {
    let stream = WAITING.with_borrow(|waiting| waiting.get(&context).and_then(Weak::upgrade));
    let Some(stream) = stream.filter(|_| host::act_on(context)) else {
        return;
    };
    // bound, so that nothing is borrowed while Envoy goes on
    let action = stream.try_borrow_mut().map(|mut stream| stream.on_http_request_trailers(0));
    note_wait(context, &stream);
    if let (Ok(Action::Continue), false) = (action, abi::is_ending(context)) {
        registry::expect_no_more(context); // Envoy goes on with it after this callback, and may do something else before
        host::continue_request();
    }
}

/// Remembers a stream for [`wake`], if a member has asked for it.
fn note_wait(context: u32, stream: &Rc<RefCell<Stream>>) {
    if WAITS.take() {
        WAITING.with_borrow_mut(|waiting| waiting.insert(context, Rc::downgrade(stream)));
    }
}

struct Chain {
    root_id: String,
    members: Vec<(String, Box<dyn Filter>)>,
}

impl Chain {
    /// Whether no other filter follows that has to know of a request what these know.
    fn is_complete(&self) -> bool {
        let has = |wanted| self.members.iter().any(|(name, _)| name == wanted);
        has("router") && has("usage")
    }
}

impl Filter for Chain {
    fn configure(&mut self, bytes: &[u8]) -> Result<(), ConfigError> {
        if !self.is_complete() {
            registry::stand_apart();
        }
        if let [(_, only)] = self.members.as_mut_slice() {
            return only.configure(bytes);
        }
        let names: Vec<&str> = self.members.iter().map(|(name, _)| name.as_str()).collect();
        let settings = Joined::parse(&self.root_id, bytes)?;
        let parts = settings.split(&names)?;
        self.members.iter_mut().zip(parts).try_for_each(|((_, member), part)| member.configure(&part))?;
        settings.agree()
    }

    fn open(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        let members = self.members.iter().filter_map(|(_, member)| member.open(context)).collect();
        let stream = Stream { context, members, passed: 0, exchange: None };
        Some(Box::new(Handle { context, stream: Rc::new(RefCell::new(stream)) }))
    }
}

/// Envoy's side of a stream.
struct Handle {
    context: u32,
    stream: Rc<RefCell<Stream>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|waiting| waiting.remove(&self.context));
    }
}

impl Handle {
    fn call<T>(&mut self, otherwise: T, callback: impl FnOnce(&mut Stream) -> T) -> T {
        let result = self.stream.try_borrow_mut().map_or(otherwise, |mut stream| callback(&mut stream));
        note_wait(self.context, &self.stream);
        result
    }
}

impl HttpContext for Handle {
    fn on_http_request_headers(&mut self, count: usize, end: bool) -> Action {
        self.call(Action::Pause, |stream| stream.on_http_request_headers(count, end))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.call(Action::Pause, |stream| stream.on_http_request_body(size, end))
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.call(Action::Pause, |stream| stream.on_http_request_trailers(count))
    }

    fn on_http_response_headers(&mut self, count: usize, end: bool) -> Action {
        self.call(Action::Continue, |stream| stream.on_http_response_headers(count, end))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.call(Action::Continue, |stream| stream.on_http_response_body(size, end))
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        self.call(Action::Continue, |stream| stream.on_http_response_trailers(count))
    }

    fn on_log(&mut self) {
        self.call((), |stream| stream.on_log());
    }

    fn on_done(&mut self) {
        self.call((), |stream| stream.on_done());
    }
}

/// One stream through the members.
struct Stream {
    context: u32,
    members: Vec<Box<dyn HttpContext>>,
    /// How many members have let the request's headers pass; the next one holds them.
    passed: usize,
    exchange: Option<Shared>,
}

impl Stream {
    /// Runs a callback with the exchange at hand, so that no member has to ask Envoy for it.
    fn run<T>(&mut self, callback: impl FnOnce(&mut Self) -> T) -> T {
        let exchange = self.exchange.take();
        let (result, exchange) = registry::within(exchange, || callback(self));
        self.exchange = exchange;
        result
    }

    /// Has the members that have not seen the headers yet see them, until one of them holds the request.
    fn forward(&mut self, mut headers: impl FnMut(&mut dyn HttpContext) -> Action) -> Action {
        while let Some(member) = self.members.get_mut(self.passed) {
            if headers(member.as_mut()) != Action::Continue {
                return Action::Pause;
            }
            self.passed += 1;
        }
        registry::let_go(self.context);
        Action::Continue
    }

    /// Hands a later part of the request to the member that holds it, if one does; once that one lets go,
    /// the members after it see the headers, and those that hold on to them this part.
    fn resume(&mut self, mut part: impl FnMut(&mut dyn HttpContext) -> Action) -> Action {
        let Some(holder) = self.members.get_mut(self.passed) else {
            return Action::Continue;
        };
        if part(holder.as_mut()) != Action::Continue {
            return Action::Pause;
        }
        self.passed += 1;
        self.forward(|member| match member.on_http_request_headers(0, false) {
            Action::Continue => Action::Continue,
            _ => part(member),
        })
    }

    /// Passes a part of the answer through the members, inner to outer. One that holds the answer has taken from Envoy
    /// what it holds, so that no other member sees that twice.
    fn answer(&mut self, mut part: impl FnMut(&mut dyn HttpContext) -> Action) -> Action {
        let mut action = Action::Continue;
        for member in self.members.iter_mut().rev() {
            if part(member.as_mut()) == Action::Pause {
                action = Action::Pause;
            }
        }
        action
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, end: bool) -> Action {
        self.run(|stream| stream.forward(|member| member.on_http_request_headers(count, end)))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.run(|stream| stream.resume(|member| member.on_http_request_body(size, end)))
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.run(|stream| stream.resume(|member| member.on_http_request_trailers(count)))
    }

    fn on_http_response_headers(&mut self, count: usize, end: bool) -> Action {
        self.run(|stream| stream.answer(|member| member.on_http_response_headers(count, end)))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.run(|stream| stream.answer(|member| member.on_http_response_body(size, end)))
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        self.run(|stream| stream.answer(|member| member.on_http_response_trailers(count)))
    }

    fn on_log(&mut self) {
        self.run(|stream| stream.members.iter_mut().for_each(|member| member.on_log()));
    }

    fn on_done(&mut self) {
        self.run(|stream| stream.members.iter_mut().for_each(|member| member.on_done()));
    }
}
