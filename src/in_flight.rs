//! Running attempts at a cluster, counted so that a VM (a worker's wasm) that crashes leaves no counts behind.
//!
//! All VMs count on one gauge, which costs one call per request and is always exact. The counts of a crashed VM remain
//! there, and their number is unknown. So the VMs keep a [`Roster`] with a lease for each. When a lease expires, the
//! living VMs recount: each moves its running attempts to a second gauge, the rest on the first is cleared, and each
//! moves back. Each [`RecountStep`] begins when all VMs have finished the previous one. Meanwhile both gauges are read, in an
//! order that never misses moving counts: no count is too low while attempts begin and end as usual.

use std::time::Duration;

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};

/// How long a VM counts as alive after its last visit.
pub const LEASE: Duration = Duration::from_secs(5);
/// How often a VM visits the roster.
pub const RENEWED_EVERY: Duration = Duration::from_secs(1);
/// The maximum number of VMs on the roster; counts of further ones are not protected.
pub const MAX_VMS: usize = 1024;

/// One of a cluster's two gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gauge {
    /// The usual one.
    #[default]
    Main,
    /// The one for a recount.
    Aside,
}

/// The steps of a recount. A VM has finished a step when it has done its [`Duty`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecountStep {
    /// No recount, and nothing on the second gauge.
    #[default]
    Settled,
    /// The recount has begun: both gauges are read.
    Announced,
    /// The VM's running attempts are on the second gauge.
    MovedAside,
    /// The counts of crashed VMs are cleared.
    Cleared,
    /// The VM's running attempts are back on the first gauge.
    MovedBack,
}

/// What a VM does with its counts at each cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Nothing.
    Rest,
    /// Adds them to the second gauge, then subtracts them from the first.
    Move(Gauge, Gauge),
    /// Sets the gauge to zero.
    Clear(Gauge),
}

impl RecountStep {
    const ALL: [RecountStep; 5] = [
        RecountStep::Settled,
        RecountStep::Announced,
        RecountStep::MovedAside,
        RecountStep::Cleared,
        RecountStep::MovedBack,
    ];

    fn next(self) -> RecountStep {
        match self {
            RecountStep::Settled => RecountStep::Announced,
            RecountStep::Announced => RecountStep::MovedAside,
            RecountStep::MovedAside => RecountStep::Cleared,
            RecountStep::Cleared => RecountStep::MovedBack,
            RecountStep::MovedBack => RecountStep::Settled,
        }
    }

    /// The duty of this step.
    pub fn duty(self) -> Duty {
        match self {
            RecountStep::Settled => Duty::Clear(Gauge::Aside),
            RecountStep::Announced => Duty::Rest,
            RecountStep::MovedAside => Duty::Move(Gauge::Main, Gauge::Aside),
            RecountStep::Cleared => Duty::Clear(Gauge::Main),
            RecountStep::MovedBack => Duty::Move(Gauge::Aside, Gauge::Main),
        }
    }

    /// The gauge on which a VM counts after this step.
    pub fn gauge(self) -> Gauge {
        match self {
            RecountStep::Settled | RecountStep::Announced | RecountStep::MovedBack => Gauge::Main,
            RecountStep::MovedAside | RecountStep::Cleared => Gauge::Aside,
        }
    }

    /// The gauges whose sum a VM reads after this step, in this order: other VMs may be one step ahead.
    pub fn reads(self) -> &'static [Gauge] {
        match self {
            RecountStep::Settled => &[Gauge::Main],
            RecountStep::Announced | RecountStep::MovedAside => &[Gauge::Main, Gauge::Aside],
            RecountStep::Cleared | RecountStep::MovedBack => &[Gauge::Aside, Gauge::Main],
        }
    }
}

/// A VM on the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seat {
    vm: u64,
    /// Its last visit, in milliseconds since the epoch.
    seen: u64,
    /// It has finished the roster's step.
    done: bool,
}

/// The living VMs, and the progress of a recount: shared by all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    step: RecountStep,
    /// A VM has left counts behind.
    stale: bool,
    seats: Vec<Seat>,
}

/// The result of a visit to the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// The VM joins, as if it had finished this step: it counts all its running attempts again, on that step's gauge.
    Joined(RecountStep),
    /// The VM must do this step, and visit again.
    Do(RecountStep),
    /// There is nothing to do.
    Rest,
    /// The roster is full.
    Full,
}

impl Roster {
    /// A VM visits at `now` (since the epoch). `done`: the last step it has finished; `None` if it has not joined yet.
    /// `doubts`: it has read an impossible count.
    pub fn visit(&mut self, vm: u64, done: Option<RecountStep>, doubts: bool, now: Duration) -> Visit {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let before = self.seats.len();
        let lease = LEASE.as_millis();
        self.seats.retain(|seat| seat.vm == vm || u128::from(now.abs_diff(seat.seen)) <= lease);
        self.stale |= doubts || self.seats.len() < before;
        let step = self.step;
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.vm == vm) else {
            // a VM that was considered dead has lost its counts, and may have continued counting
            self.stale |= done.is_some();
            if self.seats.len() >= MAX_VMS {
                return Visit::Full;
            }
            self.seats.push(Seat { vm, seen: now, done: true });
            return Visit::Joined(step);
        };
        seat.seen = now;
        seat.done = done == Some(step);
        let begins = step != RecountStep::Settled || self.stale;
        if begins && self.seats.iter().all(|seat| seat.done) {
            if step == RecountStep::Settled {
                self.stale = false;
            }
            self.step = step.next();
            self.seats.iter_mut().for_each(|seat| seat.done = false);
        }
        match done == Some(self.step) {
            true => Visit::Rest,
            false => Visit::Do(self.step),
        }
    }

    /// Whether a recount is running, or about to start.
    pub fn is_busy(&self) -> bool {
        self.step != RecountStep::Settled || self.stale || self.seats.iter().any(|seat| !seat.done)
    }
}

/// Whether it is stale, and for each VM its name, its last visit, and whether it has finished the step.
///
/// Filters that are being replaced run beside the new ones, and would count twice if they did not share the roster. So
/// the format has no extra byte for the version: it is the upper half of the step's byte.
impl SharedRecord for Roster {
    const VERSION: u8 = 0;

    fn write(&self, out: &mut Writer) {
        out.u8(u8::from(self.stale));
        for seat in &self.seats {
            out.u64(seat.vm);
            out.u64(seat.seen);
            out.u8(u8::from(seat.done));
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let stale = input.u8()? != 0;
        let seats = input
            .list_to_end(MAX_VMS, |input| Some(Seat { vm: input.u64()?, seen: input.u64()?, done: input.u8()? != 0 }));
        Some(Roster { step: RecountStep::Settled, stale, seats: seats? })
    }

    fn encode(&self) -> Vec<u8> {
        let step = RecountStep::ALL.iter().position(|step| *step == self.step).unwrap_or_default();
        let mut out = Writer::default();
        out.u8(Self::VERSION << 4 | step as u8);
        self.write(&mut out);
        out.into_bytes()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let first = input.u8()?;
        let (version, step) = (first >> 4, *RecountStep::ALL.get(usize::from(first & 0xf))?);
        let roster = Self::read(&mut input, version).filter(|_| version == Self::VERSION)?;
        Some(Roster { step, ..roster })
    }
}

/// Unreadable bytes are an empty roster, which all VMs join again.
impl Forgettable for Roster {}
