//! A filter's root context: reads the configuration, opens streams, and does time-based work on ticks.

use std::time::Duration;

use crate::attempt;
use crate::budget;
use crate::cache;
use crate::clusters;
use crate::data_version;
use crate::filter::{closed, Filter};
use crate::finished;
use crate::fleet;
use crate::guard;
use crate::host::{self, Buffer};
use crate::kinds;
use crate::limits;
use crate::metrics;
use crate::password_checks;
use crate::recent_requests;
use crate::shared_limits;
use crate::texts;
use crate::totals;
use crate::types::HttpContext;
use crate::waiting;

/// The maximum delay until a count shows in Envoy's stats while requests are running, and until a waiting request is
/// checked.
const TICK: Duration = Duration::from_millis(50);

/// The root context of a filter; `None` if the name is unknown.
pub struct Root {
    root_id: String,
    filter: Option<Box<dyn Filter>>,
    /// The current tick interval.
    period: Duration,
}

impl Root {
    /// The root context of `filter`, with its `root_id` in envoy.yaml.
    pub fn new(root_id: String, filter: Option<Box<dyn Filter>>) -> Self {
        Root { root_id, filter, period: Duration::ZERO }
    }

    fn tick_every(&mut self, period: Duration) {
        if period != self.period {
            self.period = period;
            host::tick_every(period);
        }
    }

    /// Reads the configuration with this size. Returns whether it is valid; mistakes are logged.
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
                totals::begin();
                true
            }
            Err(error) => {
                log::error!("sluice: the configuration is refused: {error}");
                false
            }
        }
    }

    /// Does the time-based work.
    pub fn on_tick(&mut self) {
        host::now(); // for code that only needs a recent time
        data_version::read();
        finished::work();
        metrics::flush();
        waiting::poll();
        cache::work();
        kinds::work();
        attempt::poll();
        clusters::hand_in_successes();
        clusters::renew_in_flight();
        clusters::tell_in_flight();
        password_checks::work();
        guard::tick();
        limits::renew();
        shared_limits::work();
        fleet::work();
        texts::work();
        totals::flush_now_and_then();
        recent_requests::flush_now_and_then();
        budget::report();
        self.tick_every([password_checks::next(), guard::next()].into_iter().flatten().min().unwrap_or(TICK));
    }

    /// Joins a stream.
    pub fn open(&self, context: u32) -> Box<dyn HttpContext> {
        self.filter.as_ref().and_then(|filter| filter.open(context)).unwrap_or_else(closed)
    }
}
