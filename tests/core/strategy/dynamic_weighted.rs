use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::routing::{self, PickInputs, TargetSet};

use super::{build, firsts, members, tally, target};

/// Picks `count` times. Each target's answers begin after its time in `times`, in milliseconds. Returns the shares in percent.
fn shares(strategy: &dyn routing::Strategy, times: &[u64], count: usize) -> Vec<u32> {
    let mut counts = vec![0; times.len()];
    for _ in 0..count {
        let picked = target(strategy, &PickInputs::among(TargetSet::first(times.len())));
        strategy.learn(picked, Duration::from_millis(times[picked]));
        counts[picked] += 100;
    }
    counts.iter().map(|picks| (f64::from(*picks) / count as f64).round() as u32).collect()
}

#[test]
fn shares_follow_speed() {
    let cases: &[(&str, &[u32], &[u64], &[u32])] = &[
        ("as fast", &[1, 1], &[200, 200], &[50, 50]),
        ("twice as fast", &[1, 1], &[200, 400], &[67, 33]),
        ("half the weight, twice as fast", &[2, 1], &[400, 200], &[50, 50]),
        ("three", &[1, 1, 1], &[100, 200, 300], &[55, 27, 18]),
        ("the floor", &[1, 1], &[10, 60_000], &[98, 2]),
        ("the floor, by weight", &[1, 50], &[10, 60_000], &[50, 50]),
        ("no time at all", &[1, 1], &[0, 0], &[50, 50]),
    ];
    for (name, weights, times, want) in cases {
        let dynamic = build("dynamic_weighted", &members(weights));
        assert_eq!(shares(&*dynamic, times, 5100), *want, "{name}");
    }
}

#[test]
fn without_measurements_it_is_weighted() {
    let weights = [5, 1, 1];
    let (dynamic, weighted) = (build("dynamic_weighted", &members(&weights)), build("weighted", &members(&weights)));
    let all = TargetSet::first(3);
    assert_eq!(firsts(&*dynamic, all, 70), firsts(&*weighted, all, 70));
}

#[test]
fn a_newcomer_counts_as_the_fastest() {
    let dynamic = build("dynamic_weighted", &members(&[1, 1, 1]));
    dynamic.learn(0, Duration::from_millis(100));
    dynamic.learn(1, Duration::from_millis(400));
    assert_eq!(tally(&firsts(&*dynamic, TargetSet::first(3), 900), 3), [400, 100, 400]);
}

#[test]
fn one_slow_answer_costs_little() {
    let dynamic = build("dynamic_weighted", &members(&[1, 1]));
    for _ in 0..20 {
        dynamic.learn(0, Duration::from_millis(100));
        dynamic.learn(1, Duration::from_millis(100));
    }
    dynamic.learn(1, Duration::from_millis(500)); // its mean is now 150
    assert_eq!(tally(&firsts(&*dynamic, TargetSet::first(2), 500), 2), [300, 200]);
}

#[test]
fn a_recovered_target_gets_its_share_back() {
    let dynamic = build("dynamic_weighted", &members(&[1, 1]));
    assert_eq!(shares(&*dynamic, &[100, 100], 1000), [50, 50]);
    assert_eq!(shares(&*dynamic, &[100, 20_000], 3000), [98, 2]);
    shares(&*dynamic, &[100, 100], 2000);
    assert_eq!(shares(&*dynamic, &[100, 100], 1000), [50, 50]);
}

#[test]
fn an_ejected_target_does_not_count() {
    let dynamic = build("dynamic_weighted", &members(&[1, 1, 1]));
    for (target, time) in [(0, 1), (1, 1000), (2, 3000)] {
        dynamic.learn(target, Duration::from_millis(time));
    }
    let picks = firsts(&*dynamic, TargetSet::from_iter([1, 2]), 400);
    assert_eq!(tally(&picks, 3), [0, 300, 100], "against each other, not both at the floor");
}

proptest! {
    #[test]
    fn none_starves(weights in vec(1..100u32, 1..6), times in vec(0..100_000u64, 6)) {
        let dynamic = build("dynamic_weighted", &members(&weights));
        for (target, time) in times.iter().enumerate() {
            dynamic.learn(target, Duration::from_millis(*time));
        }
        let count = 5000;
        let counts = tally(&firsts(&*dynamic, TargetSet::first(weights.len()), count as usize), weights.len());
        let sum: u32 = weights.iter().sum();
        for (picks, weight) in counts.iter().zip(&weights) {
            prop_assert!(*picks + 2 >= count * weight / sum / 50, "{:?}", counts);
        }
    }
}
