use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::date::Timestamp;
use sluice::limits::{ActualUsage, LimitRecord, Limited, Limits, Measure, Reservation, UsageEstimate};

use super::{admit, ask, at, shared};

/// The counted events as a list: time and amount. A window of `buckets` buckets has the events of the current bucket
/// and the ones before it.
#[derive(Clone, Debug, Default)]
struct Events(Vec<(u64, u64)>);

impl Events {
    fn used(&self, buckets: u64, seconds: u64, now: Duration) -> u64 {
        let current = now.as_secs() / seconds;
        let held = |time: u64| (current - (buckets - 1)..=current).contains(&(time / seconds));
        self.0.iter().filter(|(time, _)| held(*time)).map(|(_, amount)| amount).sum()
    }

    /// The events whose date has the same year and month, by another way than the record's.
    fn of_month(&self, now: Duration) -> u64 {
        let month = |time: u64| Timestamp(Duration::from_secs(time)).to_string()[..7].to_owned();
        let current = month(now.as_secs());
        self.0.iter().filter(|(time, _)| month(*time) == current).map(|(_, amount)| amount).sum()
    }

    fn set(&mut self, index: usize, amount: u64) {
        self.0[index].1 = amount;
    }
}

/// The windows in the naive model.
#[derive(Clone, Debug, Default)]
struct Model {
    requests: Events,
    tokens: Events,
    cost: Events,
}

impl Model {
    fn used(&self, what: Limited, now: Duration) -> Option<u64> {
        match what {
            Limited::RequestsPerMinute => Some(self.requests.used(60, 1, now)),
            Limited::RequestsPerDay => Some(self.requests.used(24, 3600, now)),
            Limited::RequestsPerMonth => Some(self.requests.of_month(now)),
            Limited::TokensPerMinute => Some(self.tokens.used(60, 1, now)),
            Limited::TokensPerDay => Some(self.tokens.used(24, 3600, now)),
            Limited::TokensPerMonth => Some(self.tokens.of_month(now)),
            Limited::CostPerDay => Some(self.cost.used(24, 3600, now)),
            Limited::CostPerMonth => Some(self.cost.of_month(now)),
            Limited::Concurrency => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit { tokens: u64, microusd: u64, more: u64 },
    Settle { which: usize, spent: ActualUsage },
    Withdraw { which: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let spent = prop_oneof![
        4 => (0..60u64, 0..90u64).prop_map(|(tokens, microusd)| ActualUsage::Reported { tokens, microusd }),
        1 => (0..60u64, 0..90u64).prop_map(|(tokens, microusd)| ActualUsage::AtLeast { tokens, microusd }),
        1 => Just(ActualUsage::Nothing),
    ];
    prop_oneof![
        5 => (0..40u64, 0..60u64, 0..60u64).prop_map(|(tokens, microusd, more)| Step::Admit { tokens, microusd, more }),
        3 => (any::<usize>(), spent).prop_map(|(which, spent)| Step::Settle { which, spent }),
        1 => any::<usize>().prop_map(|which| Step::Withdraw { which }),
    ]
}

fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..3_000u64, 2 => 0..70_000u64, 1 => 0..5_000_000u64, 1 => 0..100_000_000u64]
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = |max: u64| prop::option::of(20..max);
    let requests = |max: u64| prop::option::of(1..max);
    let requests = (requests(20), requests(40), requests(80));
    let tokens = (limit(200), limit(600), limit(2_000));
    (requests, tokens, (limit(900), limit(1_500)), 1..8u64).prop_map(|(requests, tokens, cost, places)| Limits {
        requests_per_minute: requests.0,
        requests_per_day: requests.1,
        requests_per_month: requests.2,
        tokens_per_minute: tokens.0,
        tokens_per_day: tokens.1,
        tokens_per_month: tokens.2,
        microusd_per_day: cost.0,
        microusd_per_month: cost.1,
        concurrency: Some(places),
        ..Limits::default()
    })
}

proptest! {
    #![proptest_config(crate::cases(100))]

    #[test]
    fn a_record_equals_the_list_of_events(limits in limits(), steps in vec((step(), pause()), 1..100)) {
        let (mut record, mut model, mut clock) = (LimitRecord::default(), Model::default(), at(0));
        let mut under_way: Vec<(Reservation, usize)> = Vec::new();
        for (step, pause) in steps {
            clock += Duration::from_millis(pause);
            // no tick is missed here; other tests cover concurrency
            let _ = record.renew(1, under_way.len() as u32, clock);
            let holds = |model: &Model, what, wanted| match (limits.of(what), model.used(what, clock)) {
                (Some(limit), Some(used)) => used + wanted <= limit,
                (Some(limit), None) => (under_way.len() as u64) < limit,
                (None, _) => true,
            };
            match step {
                Step::Admit { tokens, microusd, more } => {
                    let wanted = |what: Limited| match what.measure() {
                        Measure::Tokens => tokens,
                        Measure::Cost => microusd.max(1),
                        Measure::Requests | Measure::Concurrency => 1,
                    };
                    let broken: Vec<_> =
                        Limited::ALL.into_iter().filter(|what| !holds(&model, *what, wanted(*what))).collect();
                    match admit(&mut record, &limits, UsageEstimate { microusd, ..ask(tokens) }, clock) {
                        Ok(mut reservation) => {
                            prop_assert!(broken.is_empty(), "{:?} did not refuse", broken);
                            model.cost.0.push((clock.as_secs(), microusd));
                            if reservation.budget.is_some() {
                                let budgets = [Limited::CostPerDay, Limited::CostPerMonth];
                                let fits = budgets.into_iter().all(|what| holds(&model, what, more.max(1)));
                                prop_assert_eq!(record.reserve(&reservation, more, clock).is_ok(), fits);
                                reservation.microusd += if fits { more } else { 0 };
                            }
                            let index = model.requests.0.len();
                            model.cost.set(index, reservation.microusd);
                            under_way.push((reservation, index));
                            model.requests.0.push((clock.as_secs(), 1));
                            model.tokens.0.push((clock.as_secs(), tokens));
                        }
                        Err(excess) => {
                            prop_assert!(broken.contains(&excess.what), "{:?} instead of {:?}", excess, broken);
                            prop_assert!(excess.retry_after.is_none_or(|wait| wait > Duration::ZERO));
                            check_wait(&model, excess.what, excess.limit, wanted(excess.what), clock, excess.retry_after)?;
                        }
                    }
                }
                Step::Settle { which, spent } if !under_way.is_empty() => {
                    let (reservation, index) = under_way.swap_remove(which % under_way.len());
                    let _ = record.settle(&reservation, spent, 1, clock);
                    match spent {
                        ActualUsage::Reported { tokens, microusd } => {
                            model.tokens.set(index, tokens);
                            model.cost.set(index, microusd);
                        }
                        ActualUsage::AtLeast { tokens, microusd } => {
                            model.tokens.set(index, tokens.max(reservation.tokens));
                            model.cost.set(index, microusd);
                        }
                        ActualUsage::Nothing => {
                            model.tokens.set(index, 0);
                            model.cost.set(index, 0);
                        }
                    }
                }
                Step::Withdraw { which } if !under_way.is_empty() => {
                    let (reservation, index) = under_way.swap_remove(which % under_way.len());
                    record.withdraw(&reservation, 1, clock);
                    model.tokens.set(index, 0);
                    model.cost.set(index, 0);
                    model.requests.set(index, 0);
                }
                Step::Settle { .. } | Step::Withdraw { .. } => {}
            }
            prop_assert_eq!(&shared(&record), &record);
            for what in Limited::ALL.into_iter().filter(|what| limits.of(*what).is_some()) {
                for later in [0, 1, 59, 60, 3600, 86_400, 2_592_000] {
                    let now = clock + Duration::from_secs(later);
                    if let Some(used) = model.used(what, now) {
                        // an empty window does not exist
                        let exists = !model.requests.0.is_empty();
                        prop_assert!(!exists || record.used(what, now) == used, "{:?} {} s later", what, later);
                    }
                }
            }
        }
    }

    #[test]
    fn clocks_that_differ_never_admit_more(limit in 1..10u64, calls in vec((0..1500u64, 0..3000u64), 1..200)) {
        let limits = super::requests(limit);
        let (mut record, mut clock, mut latest) = (LimitRecord::default(), 5_000, 0);
        let mut admitted: Vec<u64> = Vec::new();
        for (passed, behind) in calls {
            clock += passed;
            let now = at(0) + Duration::from_millis(clock - behind);
            if let Ok(reservation) = admit(&mut record, &limits, super::ask(0), now) {
                latest = reservation.at.as_secs().max(latest);
                prop_assert_eq!(reservation.at.as_secs(), latest, "the record's clock never goes back");
                admitted.push(latest);
                let held = admitted.iter().filter(|time| **time + 60 > latest).count();
                prop_assert!(held as u64 <= limit);
            }
        }
    }
}

/// It is refused until that time, but not a bucket longer.
fn check_wait(
    model: &Model,
    what: Limited,
    limit: u64,
    wanted: u64,
    now: Duration,
    wait: Option<Duration>,
) -> Result<(), TestCaseError> {
    let Some(wait) = wait else {
        prop_assert!(wanted > limit || what == Limited::Concurrency);
        return Ok(());
    };
    let used = |now| model.used(what, now).unwrap();
    prop_assert!(used(now + wait) + wanted <= limit, "{:?} after {:?}", what, wait);
    prop_assert!(used(now + wait - Duration::from_millis(1)) + wanted > limit, "{:?} before {:?}", what, wait);
    Ok(())
}
