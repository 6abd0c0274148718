use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::codec::{Forgettable, SharedRecord};
use sluice::limits::{
    ActualUsage, Admission, Changed, LimitRecord, LimitStore, Limited, Limits, Reservation, Subject, UsageEstimate,
};

use super::{ask, at, requests, NONE};

/// The workers' shared data. A swap fails at random, as if another worker had been faster. It is then retried, up to
/// ten times.
struct SharedLimits {
    bytes: RefCell<HashMap<String, Vec<u8>>>,
    random: Cell<u64>,
    /// Out of 256.
    failing: u64,
    writes: Cell<usize>,
}

impl SharedLimits {
    fn new(seed: u64, failing: u64) -> Self {
        SharedLimits { bytes: RefCell::default(), random: Cell::new(seed | 1), failing, writes: Cell::new(0) }
    }

    fn fails(&self) -> bool {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        random >> 32 & 0xff < self.failing
    }
}

impl LimitStore for SharedLimits {
    fn change(&self, subject: &Subject, change: &mut dyn FnMut(&mut LimitRecord) -> Changed) -> bool {
        for _ in 0..10 {
            let mut record = self.read(subject);
            if change(&mut record) == Changed::Keep {
                return true;
            }
            if !self.fails() {
                let bytes = record.encode();
                self.bytes.borrow_mut().insert(subject.data_key(), bytes);
                self.writes.set(self.writes.get() + 1);
                return true;
            }
        }
        false
    }

    fn read(&self, subject: &Subject) -> LimitRecord {
        self.bytes.borrow().get(&subject.data_key()).map(|bytes| LimitRecord::decode(bytes)).unwrap_or_default()
    }
}

fn key() -> Subject {
    Subject::Key("alice".into())
}

#[test]
fn names_of_the_data() {
    let names = [key(), Subject::Model("gpt-*".into()), Subject::All].map(|subject| subject.data_key());
    assert_eq!(names, ["sluice.limits.key.alice", "sluice.limits.model.gpt-*", "sluice.limits.all"]);
}

#[test]
fn all_subjects_or_none() {
    let store = SharedLimits::new(1, 0);
    let model = Subject::Model("m".into());
    let tight = Limits { tokens_per_minute: Some(10), ..NONE };
    let subjects = [
        (key(), Limits { concurrency: Some(5), tokens_per_day: Some(99), ..requests(5) }),
        (Subject::All, NONE),
        (model.clone(), tight),
    ];
    let admission = Admission::take(&store, &subjects, ask(8), at(0)).unwrap();
    let counted: Vec<_> = admission.reservations().iter().map(|(subject, _)| subject.clone()).collect();
    assert_eq!(counted, [key(), model.clone()], "not those without limits");
    let before = store.read(&key());
    let (subject, excess) = Admission::take(&store, &subjects, ask(3), at(0)).unwrap_err();
    assert_eq!((subject, excess.what), (model.clone(), Limited::TokensPerMinute));
    assert_eq!(store.read(&key()), before, "withdrawn");
    let writes = store.writes.get();
    let (subject, _) =
        Admission::take(&store, &[(model.clone(), tight), (key(), requests(5))], ask(3), at(0)).unwrap_err();
    assert_eq!(
        (subject.data_key().as_str(), store.writes.get()),
        ("sluice.limits.model.m", writes),
        "nothing to write"
    );
    // a request above the limit is refused first, without reading any data
    let full = [(key(), requests(1)), (model.clone(), tight)];
    let (subject, excess) = Admission::take(&store, &full, ask(11), at(0)).unwrap_err();
    assert_eq!((subject, excess.what, excess.is_too_large()), (model, Limited::TokensPerMinute, true));
    admission.settle(&store, ActualUsage::Reported { tokens: 2, microusd: 0 }, at(1), |_, _| panic!("written"));
    let used = |what| store.read(&key()).used(what, at(1));
    assert_eq!([Limited::RequestsPerMinute, Limited::TokensPerDay, Limited::Concurrency].map(used), [1, 2, 0]);
}

#[test]
fn failed_writes() {
    let broken = SharedLimits::new(1, 256);
    let admission = Admission::take(&broken, &[(key(), requests(1))], ask(1), at(0)).unwrap();
    assert_eq!(admission.reservations(), [], "served, not counted");
    let store = SharedLimits::new(1, 0);
    let limits = Limits { tokens_per_minute: Some(1), ..requests(1) };
    let admission = Admission::take(&store, &[(key(), limits)], ask(1), at(0)).unwrap();
    broken.bytes.borrow_mut().extend(store.bytes.borrow().clone());
    let mut lost = Vec::new();
    admission.settle(&broken, ActualUsage::Nothing, at(3), |subject, reservation| lost.push((subject, reservation)));
    assert_eq!(lost, [(key(), Reservation { at: at(0), tokens: 1, microusd: 0, budget: None })]);
}

#[test]
fn money_is_reserved_where_there_is_a_budget() {
    let store = SharedLimits::new(1, 0);
    let budget = |microusd| Limits { microusd_per_day: Some(microusd), ..requests(9) };
    let model = Subject::Model("m".into());
    let subjects = [(key(), budget(100)), (model.clone(), requests(9)), (Subject::All, budget(70))];
    let mut admission = Admission::take(&store, &subjects, ask(0), at(0)).unwrap();
    assert!(admission.has_budget());
    admission.reserve(&store, 60, at(0)).unwrap();
    let used = |subject: &Subject| store.read(subject).used(Limited::CostPerDay, at(0));
    assert_eq!([key(), model.clone(), Subject::All].map(|subject| used(&subject)), [60, 0, 60]);
    let mut further = Admission::take(&store, &subjects, ask(0), at(0)).unwrap();
    let (subject, excess) = further.reserve(&store, 20, at(0)).unwrap_err();
    assert_eq!((subject, excess.used), (Subject::All, 60));
    let (subject, excess) = further.reserve(&store, 71, at(0)).unwrap_err();
    assert_eq!((subject, excess.is_too_large()), (Subject::All, true), "more than all of it");
    further.withdraw(&store, at(0));
    assert_eq!([key(), Subject::All].map(|subject| used(&subject)), [60, 60], "of the key as well");
    admission.settle(&store, ActualUsage::Reported { tokens: 1, microusd: 5 }, at(1), |_, _| panic!("written"));
    assert_eq!([key(), Subject::All].map(|subject| used(&subject)), [5, 5]);
    assert!(!Admission::take(&store, &[(model, requests(9))], ask(0), at(0)).unwrap().has_budget());
}

/// A worker that has read the record but not swapped it yet.
#[derive(Default)]
struct Worker {
    turn: Option<(u32, LimitRecord)>,
    calls: usize,
}

proptest! {
    #![proptest_config(crate::cases(24))]

    /// Four workers, 100 calls each, within a second; each step is a read or a swap.
    #[test]
    fn interleaved_workers_admit_exactly_the_limit(schedule in vec(0..4usize, 1..2000), times in vec(0..1000u64, 400)) {
        let limits = requests(100);
        let mut workers: [Worker; 4] = Default::default();
        let (mut bytes, mut version, mut admitted, mut refused) = (Vec::new(), 0, 0, 0);
        for index in schedule.into_iter().chain((0..).map(|step| step % 4)) {
            if workers.iter().all(|worker| worker.calls == 100) {
                break;
            }
            let worker = &mut workers[index];
            if worker.calls == 100 {
                continue;
            }
            let Some((read, mut record)) = worker.turn.take() else {
                worker.turn = Some((version, LimitRecord::decode(&bytes)));
                continue;
            };
            let now = at(0) + Duration::from_millis(times[index * 100 + worker.calls]);
            match record.admit(&limits, UsageEstimate { vm: index as u64, ..ask(0) }, now) {
                Ok(_) if read != version => {}
                Ok(_) => {
                    bytes = record.encode();
                    version += 1;
                    admitted += 1;
                    worker.calls += 1;
                }
                Err(_) => {
                    refused += 1;
                    worker.calls += 1;
                }
            }
        }
        prop_assert_eq!((admitted, refused), (100, 300));
    }

    #[test]
    fn failed_swaps_count_nothing_twice(seed in any::<u64>()) {
        let store = SharedLimits::new(seed, 100);
        let mut admissions = Vec::new();
        let subjects = [(key(), Limits { concurrency: Some(1000), ..requests(100) }), (Subject::All, requests(1000))];
        for _ in 0..400 {
            admissions.extend(Admission::take(&store, &subjects, ask(5), at(0)).ok());
        }
        let uncounted = admissions.iter().filter(|admission| admission.reservations().len() < 2).count() as u64;
        prop_assert!(admissions.len() as u64 >= 100 && admissions.len() as u64 <= 100 + uncounted);
        prop_assert_eq!(store.read(&key()).used(Limited::RequestsPerMinute, at(0)), 100);
        let mut lost = 0;
        for admission in admissions {
            admission.settle(&store, ActualUsage::AtLeast { tokens: 0, microusd: 0 }, at(1), |subject, _| lost += u64::from(subject == key()));
        }
        prop_assert!(store.read(&key()).used(Limited::Concurrency, at(1)) <= lost);
    }

    /// Tokens exceed the limit by at most the running requests' usage beyond their estimates.
    #[test]
    fn token_overshoot_is_the_estimation_error(
        limit in 50..500u64,
        calls in vec((1..50u64, 0..200u64, any::<bool>()), 1..100),
    ) {
        let limits = Limits { tokens_per_minute: Some(limit), ..NONE };
        let (mut record, mut under_way, mut beyond) = (LimitRecord::default(), Vec::new(), 0);
        for (estimate, actual, ends) in calls {
            if let Ok(reservation) = record.admit(&limits, ask(estimate), at(0)) {
                under_way.push((reservation, actual));
            }
            if ends {
                if let Some((reservation, actual)) = under_way.pop() {
                    beyond += actual.saturating_sub(reservation.tokens);
                    let _ = record.settle(&reservation, ActualUsage::Reported { tokens: actual, microusd: 0 }, 1, at(0));
                }
            }
            prop_assert!(record.used(Limited::TokensPerMinute, at(0)) <= limit + beyond);
        }
    }
}
