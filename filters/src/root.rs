//! What all filters have in common: they read their configuration once, refuse to start on a mistake, and
//! make one context per stream.

use std::rc::Rc;
use std::time::Duration;

use sluice::config::ConfigError;

use crate::abi::{Action, HttpContext};
use crate::budget;
use crate::changes;
use crate::clusters;
use crate::count;
use crate::doors;
use crate::guard;
use crate::host::{self, Buffer};
use crate::limits;
use crate::metrics;
use crate::reply;
use crate::totals;
use crate::waiting;

/// A filter, as envoy.yaml configures it.
pub trait Filter {
    /// Takes the configuration in.
    ///
    /// # Errors
    /// The first mistake in it.
    fn configure(&mut self, bytes: &[u8]) -> Result<(), ConfigError>;

    /// The filter's part in one stream, which Envoy knows by the number `context`. `None` if it has none.
    fn open(&self, context: u32) -> Option<Box<dyn HttpContext>>;
}

/// How a filter with the configuration `C` joins a stream that Envoy knows by a number.
type Join<C> = fn(&Rc<C>, u32) -> Option<Box<dyn HttpContext>>;

/// A filter whose streams share the configuration `C`.
struct Configured<C> {
    read: fn(&[u8]) -> Result<C, ConfigError>,
    open: Join<C>,
    config: Option<Rc<C>>,
}

/// A filter that reads its configuration by `read` and joins a stream by `open`.
pub fn filter<C: 'static>(read: fn(&[u8]) -> Result<C, ConfigError>, open: Join<C>) -> Box<dyn Filter> {
    Box::new(Configured { read, open, config: None })
}

impl<C> Filter for Configured<C> {
    fn configure(&mut self, bytes: &[u8]) -> Result<(), ConfigError> {
        self.config = Some(Rc::new((self.read)(bytes)?));
        Ok(())
    }

    fn open(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        match &self.config {
            Some(config) => (self.open)(config, context),
            None => Some(closed()), // Envoy opens no stream on a filter whose configuration was refused
        }
    }
}

/// How long a count may wait until it shows in Envoy's stats while requests are under way, and a request for a
/// free target or its deadline.
const TICK: Duration = Duration::from_millis(50);

/// The root context of a filter; `None` if there is none of that name.
pub struct Root {
    root_id: String,
    filter: Option<Box<dyn Filter>>,
    /// How often Envoy calls at present.
    period: Duration,
}

impl Root {
    /// The root context of `filter`, which envoy.yaml calls `root_id`.
    pub fn new(root_id: String, filter: Option<Box<dyn Filter>>) -> Self {
        Root { root_id, filter, period: Duration::ZERO }
    }

    fn tick_every(&mut self, period: Duration) {
        if period != self.period {
            self.period = period;
            host::tick_every(period);
        }
    }

    /// Takes the configuration in, of so many bytes. Whether it is right; what is wrong with it is logged.
    pub fn configure(&mut self, size: usize) -> bool {
        let Some(filter) = &mut self.filter else {
            let name = &self.root_id;
            log::error!(
                "sluice: the configuration is refused: root_id: no filter {name:?}; there is auth, guard, router, usage \
                 and attempt, and of the first four any joined by \"+\", in this order"
            );
            return false;
        };
        let bytes = host::bytes(Buffer::Configuration, size).unwrap_or_default();
        match budget::configure().and_then(|()| filter.configure(&bytes)) {
            Ok(()) => {
                self.tick_every(TICK);
                true
            }
            Err(error) => {
                log::error!("sluice: the configuration is refused: {error}");
                false
            }
        }
    }

    /// Does what has waited for its time.
    pub fn on_tick(&mut self) {
        host::now(); // for those to whom a recent time is enough
        changes::read();
        count::work();
        metrics::flush();
        waiting::poll();
        clusters::hand_in_successes();
        doors::work();
        guard::tick();
        limits::renew();
        totals::flush_now_and_then();
        budget::report();
        self.tick_every(doors::next().unwrap_or(TICK));
    }

    /// Joins a stream.
    pub fn open(&self, context: u32) -> Box<dyn HttpContext> {
        self.filter.as_ref().and_then(|filter| filter.open(context)).unwrap_or_else(closed)
    }
}

/// A stream's part of a filter that is not configured.
pub fn closed() -> Box<dyn HttpContext> {
    Box::new(Closed)
}

/// Lets nothing through.
struct Closed;

impl HttpContext for Closed {
    fn on_http_request_headers(&mut self, _: bool) -> Action {
        reply::internal("a filter without configuration was asked for a request")
    }
}
