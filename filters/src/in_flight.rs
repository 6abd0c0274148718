//! Running attempts, on gauges that all workers share, and this VM's entry in the roster that corrects them after a
//! crash (see [`sluice::in_flight`]).

use std::cell::{Cell, RefCell};
use std::time::Duration;

use sluice::codec::Changed;
use sluice::in_flight::{Duty, Gauge, RecountStep, Roster, Visit, RENEWED_EVERY};
use sluice::wire_names::{stats, IN_FLIGHT_ROSTER};

use crate::data_version;
use crate::host::{self, shared_data};

/// The maximum number of consecutive visits: each step of a recount is one.
const MAX_VISITS: usize = 8;

/// This VM in the roster.
#[derive(Clone, Copy)]
struct Member {
    /// Its name; 0 before it has one.
    vm: u64,
    /// Its last finished step; `None` before it is on the roster.
    done: Option<RecountStep>,
    visited: Duration,
    /// The data version at the last visit.
    seen: u64,
    /// Whether a recount is running.
    busy: bool,
    /// Whether a gauge was below zero.
    doubts: bool,
}

thread_local! {
    static MEMBER: Cell<Member> = const {
        Cell::new(Member { vm: 0, done: None, visited: Duration::ZERO, seen: 0, busy: false, doubts: false })
    };
    /// The number of clusters with unpublished counts.
    static UNTOLD: Cell<usize> = const { Cell::new(0) };
    static CALLS: RefCell<InFlight> =
        RefCell::new(InFlight::new(stats::GUARD_IN_FLIGHT, stats::GUARD_RECOUNTED.to_owned()));
}

/// The running operations of one kind: attempts at a cluster, or calls to services.
pub struct InFlight {
    /// The name of the gauge for recounts.
    name: Box<str>,
    main: Option<u32>,
    aside: Option<u32>,
    /// Those of this VM.
    own: u32,
    /// How many of these are on the gauge.
    told: u32,
}

impl InFlight {
    /// Zero, on gauges with these names.
    pub fn new(main: &str, aside: String) -> Self {
        InFlight { name: aside.into(), main: host::define_gauge(main), aside: None, own: 0, told: 0 }
    }

    /// This many have begun, or ended if negative. The gauge is updated at once, or on the next tick.
    pub fn count(&mut self, by: i32, at_once: bool) {
        let before = self.is_untold();
        self.own = self.own.saturating_add_signed(by);
        if at_once {
            self.tell();
        }
        let untold = UNTOLD.get();
        match (before, self.is_untold()) {
            (false, true) => UNTOLD.set(untold.saturating_add(1)),
            (true, false) => UNTOLD.set(untold.saturating_sub(1)),
            _ => {}
        }
    }

    /// Those of all workers.
    pub fn read(&mut self) -> u64 {
        let member = MEMBER.get();
        let mut sum = 0;
        for gauge in member.done.unwrap_or_default().reads() {
            let value = self.gauge(*gauge).map_or(0, host::metric);
            // a gauge below zero wraps around
            match i64::try_from(value) {
                Ok(_) => sum += value,
                Err(_) => MEMBER.set(Member { doubts: true, ..member }),
            }
        }
        sum
    }

    /// Subtracts an operation that never existed.
    #[cfg(feature = "trap")]
    pub fn count_below_zero(&mut self) {
        self.add(MEMBER.get().done.unwrap_or_default().gauge(), -1);
        let shown = self.main.map_or(0, host::metric);
        log::info!("sluice: trap: one below zero is {shown}");
    }

    fn is_untold(&self) -> bool {
        self.own != self.told
    }

    fn tell(&mut self) {
        self.add(MEMBER.get().done.unwrap_or_default().gauge(), i64::from(self.own) - i64::from(self.told));
        self.told = self.own;
    }

    fn obey(&mut self, duty: Duty) {
        let told = i64::from(self.told);
        match duty {
            Duty::Rest => {}
            Duty::Move(_, _) if told == 0 => {}
            Duty::Move(from, to) => {
                self.add(to, told);
                self.add(from, -told);
            }
            // an unused one needs no clearing
            Duty::Clear(Gauge::Aside) if self.aside.is_none() => {}
            Duty::Clear(gauge) => {
                if let Some(gauge) = self.gauge(gauge) {
                    host::record(gauge, 0);
                }
            }
        }
    }

    fn add(&mut self, gauge: Gauge, by: i64) {
        if let Some(gauge) = self.gauge(gauge) {
            host::increment(gauge, by);
        }
    }

    fn gauge(&mut self, gauge: Gauge) -> Option<u32> {
        if gauge == Gauge::Main {
            return self.main;
        }
        self.aside = self.aside.or_else(|| host::define_gauge(&self.name));
        self.aside
    }
}

/// This many calls to services have begun, or ended if negative.
pub fn count_calls(by: i32) {
    CALLS.with_borrow_mut(|calls| calls.count(by, true));
}

/// What to do with the running operations of one kind.
type Change<'a> = &'a mut dyn FnMut(&mut InFlight);

/// Whether this VM is not on the roster yet: it must join before it counts.
pub fn is_new() -> bool {
    MEMBER.get().done.is_none()
}

/// Whether there are unpublished counts.
pub fn is_untold() -> bool {
    UNTOLD.get() > 0
}

/// Publishes all counts to the gauges.
pub fn tell<'a>(all: impl Iterator<Item = &'a mut InFlight>) {
    all.filter(|each| each.is_untold()).for_each(InFlight::tell);
    UNTOLD.set(0);
}

/// Renews this VM's lease from time to time, and does its part of a recount. `clusters` calls a function for each
/// cluster.
pub fn renew(clusters: &mut dyn FnMut(Change<'_>)) {
    let mut each = |change: Change<'_>| {
        clusters(change);
        CALLS.with_borrow_mut(|calls| change(calls));
    };
    let mut member = MEMBER.get();
    let (now, version) = (host::recent(), data_version::latest());
    let due = member.busy || member.doubts || member.seen != version || now.abs_diff(member.visited) >= RENEWED_EVERY;
    if member.done.is_some() && !due {
        return;
    }
    if member.vm == 0 {
        member.vm = host::seed() | 1;
    }
    (member.visited, member.seen) = (now, version);
    for _ in 0..MAX_VISITS {
        let Some(visit) = visit(&mut member, now) else {
            break; // continue on the next tick
        };
        match visit {
            Visit::Joined(step) => {
                member.done = Some(step);
                MEMBER.set(member);
                each(&mut |in_flight| {
                    in_flight.told = 0;
                    in_flight.tell();
                });
                UNTOLD.set(0);
            }
            Visit::Do(step) => {
                each(&mut |in_flight| in_flight.obey(step.duty()));
                member.done = Some(step);
                MEMBER.set(member);
            }
            Visit::Rest | Visit::Full => break,
        }
    }
    MEMBER.set(member);
}

/// One visit. `None` if other workers were always faster.
fn visit(member: &mut Member, now: Duration) -> Option<Visit> {
    let (mut was_busy, mut visit) = (false, None);
    let roster = shared_data::update(IN_FLIGHT_ROSTER, |roster: &mut Roster| {
        was_busy = roster.is_busy();
        visit = Some(roster.visit(member.vm, member.done, member.doubts, now));
        Changed::Write
    })?;
    member.busy = roster.is_busy();
    member.doubts = false;
    if member.busy && !was_busy {
        log::warn!("sluice: a worker's filters have ended; attempts in flight are counted anew");
        data_version::advance();
    }
    visit
}
