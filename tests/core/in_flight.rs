//! Running attempts, counted by VMs of which some crash.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use sluice::codec::{Forgettable, SharedRecord};
use sluice::in_flight::{Duty, Gauge, RecountStep, Roster, Visit, LEASE, MAX_VMS, RENEWED_EVERY};

/// Points where another thread can interrupt.
#[derive(Clone, Copy)]
enum Call {
    Add(Gauge, i64),
    Clear(Gauge),
    Read(Gauge),
}

struct Vm {
    name: u64,
    done: Option<RecountStep>,
    told: i64,
    calls: VecDeque<Call>,
    /// The sum read so far, and the minimum it must find.
    reading: Option<(i64, i64)>,
}

#[derive(Default)]
struct World {
    now: Duration,
    main: i64,
    aside: i64,
    roster: Roster,
    vms: Vec<Vm>,
    names: u64,
}

impl World {
    fn gauge(&mut self, gauge: Gauge) -> &mut i64 {
        match gauge {
            Gauge::Main => &mut self.main,
            Gauge::Aside => &mut self.aside,
        }
    }

    fn start(&mut self) {
        self.names += 1;
        self.vms.push(Vm { name: self.names, done: None, told: 0, calls: VecDeque::new(), reading: None });
    }

    fn crash(&mut self, at: usize) {
        let lost = self.vms.remove(at).told;
        self.vms.iter_mut().filter_map(|vm| vm.reading.as_mut()).for_each(|(_, least)| *least -= lost);
        self.start();
    }

    fn under_way(&self) -> i64 {
        self.vms.iter().map(|vm| vm.told).sum()
    }

    /// Runs the next of a VM's calls; `false` if it is in none of its callbacks.
    fn call(&mut self, at: usize) -> bool {
        let Some(call) = self.vms[at].calls.pop_front() else {
            return false;
        };
        match call {
            Call::Add(gauge, by) => *self.gauge(gauge) += by,
            Call::Clear(gauge) => *self.gauge(gauge) = 0,
            Call::Read(gauge) => {
                let value = (*self.gauge(gauge)).max(0);
                self.vms[at].reading.as_mut().unwrap().0 += value;
            }
        }
        if self.vms[at].calls.is_empty() {
            if let Some((found, least)) = self.vms[at].reading.take() {
                assert!(found >= least, "{found} are read where at least {least} are in flight");
            }
        }
        true
    }

    fn tick(&mut self, at: usize) {
        let bytes = self.roster.encode();
        assert_eq!(Roster::decode(&bytes), self.roster);
        let vm = &mut self.vms[at];
        match self.roster.visit(vm.name, vm.done, false, self.now) {
            Visit::Joined(step) => {
                vm.done = Some(step);
                vm.calls.push_back(Call::Add(step.gauge(), vm.told));
            }
            Visit::Do(step) => {
                vm.done = Some(step);
                match step.duty() {
                    Duty::Rest => {}
                    Duty::Clear(gauge) => vm.calls.push_back(Call::Clear(gauge)),
                    Duty::Move(from, to) => vm.calls.extend([Call::Add(to, vm.told), Call::Add(from, -vm.told)]),
                }
            }
            Visit::Rest => {}
            Visit::Full => panic!("there are few VMs"),
        }
    }

    fn count(&mut self, at: usize, by: i64) {
        let vm = &mut self.vms[at];
        if vm.told + by >= 0 {
            vm.told += by;
            vm.calls.push_back(Call::Add(vm.done.unwrap_or_default().gauge(), by));
            if by < 0 {
                self.vms.iter_mut().filter_map(|vm| vm.reading.as_mut()).for_each(|(_, least)| *least += by);
            }
        }
    }

    fn read(&mut self, at: usize) {
        // counts that another VM has not published yet cannot be found
        let untold = self.vms.iter().map(|vm| match (vm.calls.len(), vm.calls.front()) {
            (1, Some(Call::Add(_, by))) => (*by).max(0),
            _ => 0,
        });
        let least = self.under_way() - untold.sum::<i64>();
        let vm = &mut self.vms[at];
        vm.reading = Some((0, least));
        vm.calls.extend(vm.done.unwrap_or_default().reads().iter().map(|gauge| Call::Read(*gauge)));
    }
}

proptest! {
    #![proptest_config(crate::cases(300))]

    /// In any interleaving: no count is ever too low, and a crashed VM's share disappears soon.
    #[test]
    fn a_crash_leaves_nothing_behind(turns in prop::collection::vec((0usize..4, 0u8..100, 0u64..15), 200..1500)) {
        let mut world = World::default();
        (0..4).for_each(|_| world.start());
        for (at, what, passed) in turns {
            world.now += Duration::from_millis(passed);
            if world.call(at) {
                continue;
            }
            match what {
                0..=39 => world.tick(at),
                40..=64 if world.vms[at].done.is_some() => world.count(at, 1),
                65..=84 => world.count(at, -1),
                98..=99 => world.crash(at),
                _ if world.vms[at].done.is_some() => world.read(at),
                _ => {}
            }
        }
        for turn in 0..2 * (LEASE + RENEWED_EVERY).as_millis() as usize / 10 {
            world.now += Duration::from_millis(10);
            let at = turn % 4;
            while world.call(at) {}
            world.tick(at);
            while world.call(at) {}
        }
        prop_assert_eq!((world.main, world.aside), (world.under_way(), 0));
        prop_assert!(!world.roster.is_busy());
    }
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(1_000_000 + milliseconds)
}

#[test]
fn the_living_are_on_the_roster() {
    let lease = LEASE.as_millis() as u64;
    let mut roster = Roster::default();
    assert_eq!(roster.visit(1, None, false, at(0)), Visit::Joined(RecountStep::Settled));
    assert_eq!(roster.visit(2, None, false, at(0)), Visit::Joined(RecountStep::Settled));
    assert_eq!(roster.visit(1, Some(RecountStep::Settled), false, at(lease)), Visit::Rest);
    assert!(!roster.is_busy());
    // the other's lease has expired, and there is no other VM to wait for
    let mut done = RecountStep::Settled;
    for want in [
        RecountStep::Announced,
        RecountStep::MovedAside,
        RecountStep::Cleared,
        RecountStep::MovedBack,
        RecountStep::Settled,
    ] {
        assert_eq!(roster.visit(1, Some(done), false, at(lease + 1)), Visit::Do(want));
        assert!(roster.is_busy());
        done = want;
    }
    assert_eq!(roster.visit(1, Some(done), false, at(lease + 1)), Visit::Rest);
    assert!(!roster.is_busy());
    // it was alive after all: everything is counted again
    assert_eq!(roster.visit(2, Some(RecountStep::Settled), false, at(lease + 2)), Visit::Joined(RecountStep::Settled));
    assert_eq!(roster.visit(1, Some(RecountStep::Settled), false, at(lease + 3)), Visit::Do(RecountStep::Announced));
    assert_eq!(
        roster.visit(1, Some(RecountStep::Announced), false, at(lease + 3)),
        Visit::Rest,
        "not before the other"
    );
    assert_eq!(roster.visit(2, Some(RecountStep::Settled), false, at(lease + 3)), Visit::Do(RecountStep::Announced));
}

#[test]
fn a_doubtful_vm_triggers_a_recount() {
    let mut roster = Roster::default();
    let _ = roster.visit(1, None, false, at(0));
    assert_eq!(roster.visit(1, Some(RecountStep::Settled), true, at(1)), Visit::Do(RecountStep::Announced));
}

#[test]
fn the_roster_is_bounded() {
    let mut roster = Roster::default();
    for vm in 0..MAX_VMS as u64 {
        assert_eq!(roster.visit(vm, None, false, at(0)), Visit::Joined(RecountStep::Settled));
    }
    assert_eq!(roster.visit(u64::MAX, None, false, at(0)), Visit::Full);
    assert_eq!(Roster::decode(&roster.encode()), roster);
}

#[test]
fn unreadable_rosters_are_empty() {
    let cases: [&[u8]; 5] = [b"", b"\0", b"\x09\0", b"\0\0seventeen bytes!", b"\0\0seventeen bytes!!?"];
    for bytes in cases {
        assert_eq!(Roster::decode(bytes), Roster::default(), "{bytes:?}");
    }
}
