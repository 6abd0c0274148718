//! The strategies: rules for all of them are tested here, each strategy's own rules in its file.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::config::Object;
use sluice::routing::{self, by_name, Member, Pick, PickInputs, TargetSet, MAX_TARGETS, STRATEGIES};

mod affinity;
#[cfg(not(target_arch = "wasm32"))]
mod distribution;
mod dynamic_weighted;
mod least_used;
mod options;
mod random;
mod slots;
mod target_set;
mod tiers;
mod weighted;

/// A strategy without options.
fn build(name: &str, members: &[Member]) -> Box<dyn routing::Strategy> {
    (by_name(name).unwrap().build)(&Object::empty("strategy"), members).unwrap()
}

/// One member for each weight.
fn members(weights: &[u32]) -> Vec<Member> {
    let member =
        |(index, weight): (usize, &u32)| Member { weight: *weight, identity: index as u64, ..Member::default() };
    weights.iter().enumerate().map(member).collect()
}

/// Makes one pick, which must be a target.
fn target(strategy: &dyn routing::Strategy, choice: &PickInputs<'_>) -> usize {
    match strategy.pick(choice) {
        Pick::Target(target) => target,
        other => panic!("{other:?} for {choice:?}"),
    }
}

/// The next `count` first attempts among `allowed`, with nothing in flight.
fn firsts(strategy: &dyn routing::Strategy, allowed: TargetSet, count: usize) -> Vec<usize> {
    (0..count).map(|_| target(strategy, &PickInputs::among(allowed))).collect()
}

/// How often each of `members` targets was picked.
fn tally(picks: &[usize], members: usize) -> Vec<u32> {
    let mut tally = vec![0; members];
    for pick in picks {
        tally[*pick] += 1;
    }
    tally
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(STRATEGIES).prop_map(|factory| factory.name)
}

fn any_member() -> impl Strategy<Value = Member> {
    let weight = prop_oneof![1..5u32, Just(1_000_000), 0..=u32::MAX];
    let identity = prop_oneof![0..3u64, any::<u64>()];
    (weight, 0..3u32, 0..4u32, identity).prop_map(|(weight, tier, slots, identity)| Member {
        weight,
        tier,
        slots,
        identity,
    })
}

fn any_set() -> impl Strategy<Value = TargetSet> {
    any::<u64>().prop_map(|bits| (0..64).filter(|target| bits >> target & 1 == 1).collect())
}

fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), Just(Duration::MAX), (0..100_000u64).prop_map(Duration::from_millis)]
}

proptest! {
    #[test]
    fn only_what_is_allowed_is_picked(
        name in any_name(),
        members in vec(any_member(), 0..=MAX_TARGETS),
        choices in vec((any_set(), any::<bool>(), any::<u64>(), 0..4usize, any_time()), 1..20),
    ) {
        let strategy = build(name, &members);
        for (allowed, first, number, spread, time) in choices {
            let in_flight = |target: usize| [0, target as u64, number >> target, number][spread];
            let choice = PickInputs { allowed, first, in_flight: &in_flight, random: number, affinity: number };
            let real = allowed.intersection(TargetSet::first(members.len()));
            match strategy.pick(&choice) {
                Pick::Target(target) => prop_assert!(real.contains(target), "{name}: {target} of {real:?}"),
                Pick::Full => prop_assert!(strategy.queue_timeout().is_some() && !real.is_empty(), "{name}"),
                Pick::None => prop_assert!(real.is_empty(), "{name}: none of {real:?}"),
            }
            strategy.learn(number as usize % 70, time);
        }
    }

    #[test]
    fn each_target_is_tried_once(
        name in any_name(),
        weights in vec(1..1000u32, 1..=MAX_TARGETS),
        random in any::<u64>(),
        warm_up in 0..10usize,
    ) {
        let strategy = build(name, &members(&weights));
        let mut allowed = TargetSet::first(weights.len());
        firsts(&*strategy, allowed, warm_up);
        for attempt in 0..weights.len() {
            let choice = PickInputs { first: attempt == 0, random, affinity: random, ..PickInputs::among(allowed) };
            allowed.remove(target(&*strategy, &choice)); // it was in the set, or it would not have been picked
        }
        prop_assert!(allowed.is_empty());
        prop_assert_eq!(strategy.pick(&PickInputs::among(allowed)), Pick::None);
    }

    #[test]
    fn retries_do_not_change_shares(
        name in any_name(),
        members in vec(any_member(), 1..8),
        requests in vec((any_set(), any::<u64>(), vec(any_set(), 0..3)), 1..40),
    ) {
        let (calm, troubled) = (build(name, &members), build(name, &members));
        for (allowed, random, retries) in requests {
            let choice = PickInputs { random, affinity: random, ..PickInputs::among(allowed) };
            prop_assert_eq!(calm.pick(&choice), troubled.pick(&choice), "{}", name);
            for allowed in retries {
                troubled.pick(&PickInputs { first: false, allowed, ..choice });
            }
        }
    }
}

#[test]
fn the_registry() {
    let names: Vec<&str> = STRATEGIES.iter().map(|factory| factory.name).collect();
    let want = ["weighted", "least_used", "random", "priority", "dynamic_weighted", "first_available", "affinity"];
    assert_eq!(names, want);
    for factory in STRATEGIES {
        assert!(factory.target_fields.iter().all(|field| ["weight", "tier", "slots"].contains(field)), "{factory:?}");
        assert!(!factory.options.contains(&"name"), "{factory:?}");
        let strategy = build(factory.name, &[]);
        assert_eq!(strategy.pick(&PickInputs::among(TargetSet::first(64))), Pick::None, "{}: no target", factory.name);
        let looks = ["least_used", "first_available"].contains(&factory.name);
        assert_eq!(strategy.counts_in_flight(), looks, "{}", factory.name);
    }
}

#[test]
fn a_member_without_options() {
    assert_eq!(Member::default(), Member { weight: 1, tier: 0, slots: 1, identity: 0 });
}
