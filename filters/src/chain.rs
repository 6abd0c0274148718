//! Adjacent filters that run as one: `root_id: auth+router+usage`.
//!
//! Each filter costs Envoy a context and nine calls per request. Here they run in order for requests, and in reverse
//! for answers, as Envoy would run them. A single filter is a chain of one.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use hashbrown::HashMap;
use sluice::config::{ConfigError, Joined};

use crate::chain_router;
use crate::filter::Filter;
use crate::host;
use crate::reentrancy;
use crate::registry::{self, SharedExchange};
use crate::texts::Reshaping;
use crate::types::{Action, Event, HttpContext};

thread_local! {
    /// Whether the last called member waits for something other than its stream.
    static WAITS: Cell<bool> = const { Cell::new(false) };
    static WAITING: RefCell<HashMap<u32, Weak<RefCell<Stream>>>> = RefCell::new(HashMap::new());
}

/// The order in which filters can be joined: the caller must be known before the target.
pub const ORDER: [&str; 4] = ["auth", "guard", "router", "usage"];

/// The filters whose names `root_id` joins with `+`; `None` if one cannot be in a chain, or if the order is wrong.
pub fn filter(root_id: &str, member: fn(&str) -> Option<Box<dyn Filter>>) -> Option<Box<dyn Filter>> {
    let named = |name: &str| Some((name.to_owned(), member(name)?));
    let members = root_id.split('+').map(named).collect::<Option<Vec<_>>>()?;
    let place = |(name, _): &(String, _)| ORDER.iter().position(|known| known == name);
    if !members.iter().map(place).is_sorted_by(|one, next| one < next) {
        return None;
    }
    Some(Box::new(Chain { root_id: root_id.to_owned(), members }))
}

/// Announces, in a callback that pauses the request, that [`wake`] will be called.
pub fn wait_for_wake() {
    WAITS.set(true);
}

/// Continues a waiting request, if its member allows it.
pub fn wake(context: u32) {
    let stream = WAITING.with_borrow(|waiting| waiting.get(&context).and_then(Weak::upgrade));
    let Some(stream) = stream.filter(|_| host::act_on(context)) else {
        return;
    };
    // bound to a variable, so that nothing is borrowed while Envoy continues
    let action = stream.try_borrow_mut().map(|mut stream| stream.on(Event::Resume));
    note_wait(context, &stream);
    if let (Ok(Action::Continue), false) = (action, reentrancy::is_ending(context)) {
        registry::expect_no_more(context); // Envoy continues with it after this callback, and may do something else first
        host::continue_request();
    }
}

/// Registers a stream for [`wake`], if a member has asked for it.
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
    fn has(&self, wanted: &str) -> bool {
        self.members.iter().any(|(name, _)| name == wanted)
    }

    /// Whether no other filter needs this one's exchange.
    fn is_complete(&self) -> bool {
        self.has("router") && self.has("usage")
    }
}

impl Filter for Chain {
    fn configure(&mut self, bytes: &[u8]) -> Result<(), ConfigError> {
        chain_router::begin_chain();
        if !self.is_complete() {
            registry::split_filters();
        }
        if self.has("usage") {
            registry::want_usage();
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
        let headers = Event::RequestHeaders { end: false };
        let stream = Stream {
            context,
            members,
            passed: 0,
            headers,
            last: None,
            exchange: None,
            reshaping: Reshaping::default(),
        };
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

impl HttpContext for Handle {
    fn on(&mut self, event: Event) -> Action {
        let action = self.stream.try_borrow_mut().map_or(event.unseen(), |mut stream| stream.on(event));
        note_wait(self.context, &self.stream);
        action
    }
}

/// One stream and its members.
struct Stream {
    context: u32,
    members: Vec<Box<dyn HttpContext>>,
    /// The number of members that have passed the request's headers; the next one holds them.
    passed: usize,
    /// The request's headers event, for members that have not seen it yet.
    headers: Event,
    /// The last event of the request after its headers.
    last: Option<Event>,
    exchange: Option<SharedExchange>,
    /// The change of the answer's form, if this chain has taken the request in.
    reshaping: Reshaping,
}

impl Stream {
    /// Calls the members with an event, with the exchange at hand, so that none of them has to read it from Envoy.
    fn on(&mut self, event: Event) -> Action {
        let exchange = self.exchange.take();
        let (action, exchange) = registry::within(exchange, || match event {
            Event::RequestHeaders { .. } => {
                self.headers = event;
                self.forward()
            }
            Event::RequestBody { .. } | Event::RequestTrailers => {
                self.last = Some(event);
                self.resume(event)
            }
            Event::Resume => self.resume(event),
            Event::ResponseHeaders { .. } | Event::ResponseBody { .. } | Event::ResponseTrailers => self.answer(event),
            Event::Log | Event::Done => {
                for member in &mut self.members {
                    member.on(event);
                }
                Action::Continue
            }
        });
        self.exchange = exchange;
        match &self.exchange {
            Some(exchange) => self.reshaping.on(event, exchange, action),
            None => action,
        }
    }

    /// Passes the request's headers to the remaining members in turn, until one holds the request. A member that holds
    /// the headers is then given the latest part of the body, or the trailers, because it has missed that.
    fn forward(&mut self) -> Action {
        while let Some(member) = self.members.get_mut(self.passed) {
            let mut passes = |event| member.on(event) == Action::Continue;
            if !passes(self.headers) && !self.last.is_some_and(passes) {
                return Action::Pause;
            }
            self.passed += 1;
        }
        registry::expect_attempt(self.context);
        Action::Continue
    }

    /// Passes a later event of the request, or a resume, to the member that holds it. Once that member releases it, the
    /// request passes to the members after it.
    fn resume(&mut self, event: Event) -> Action {
        let Some(holder) = self.members.get_mut(self.passed) else {
            return Action::Continue;
        };
        if holder.on(event) != Action::Continue {
            return Action::Pause;
        }
        self.passed += 1;
        self.forward()
    }

    /// Passes a part of the answer through the members, inner to outer. A member that holds the answer has removed its
    /// bytes from Envoy's buffer, so no other member sees them twice.
    fn answer(&mut self, part: Event) -> Action {
        let mut action = Action::Continue;
        for member in self.members.iter_mut().rev() {
            if member.on(part) == Action::Pause {
                action = Action::Pause;
            }
        }
        action
    }
}
