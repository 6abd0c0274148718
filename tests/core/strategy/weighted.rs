use proptest::collection::vec;
use proptest::prelude::*;
use sluice::routing::{Pick, PickInputs, TargetSet};

use super::{any_set, build, firsts, members, tally};

#[test]
fn turns() {
    let cases: &[(&[u32], &[usize])] = &[
        (&[1], &[0, 0, 0]),
        (&[1, 1], &[0, 1, 0, 1]),
        (&[3, 1], &[0, 0, 1, 0, 0, 0, 1, 0]),
        (&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0]),
    ];
    for (weights, want) in cases {
        let weighted = build("weighted", &members(weights));
        assert_eq!(firsts(&*weighted, TargetSet::first(weights.len()), want.len()), *want, "{weights:?}");
    }
}

#[test]
fn a_retry_takes_the_next_turn() {
    let weighted = build("weighted", &members(&[3, 1]));
    for _ in 0..400 {
        let Pick::Target(first) = weighted.pick(&PickInputs::among(TargetSet::first(2))) else { panic!() };
        let untried = TargetSet::from_iter([1 - first]);
        let retry = PickInputs { first: false, ..PickInputs::among(untried) };
        assert_eq!(weighted.pick(&retry), Pick::Target(1 - first));
    }
}

#[test]
fn an_ejection_at_any_moment_keeps_the_rest_even() {
    // beside a target of weight 1000 the others wait hundreds of turns; without it they must not wait
    for moment in 0..1002 {
        let weighted = build("weighted", &members(&[1000, 1, 1]));
        firsts(&*weighted, TargetSet::first(3), moment);
        let picks = firsts(&*weighted, TargetSet::from_iter([1, 2]), 20);
        let counts = tally(&picks, 3);
        assert!(counts[1].abs_diff(counts[2]) <= 2, "after {moment}: {picks:?}");
    }
}

proptest! {
    #[test]
    fn shares_are_exact(weights in vec(1..20u32, 1..6), start in 0..50usize) {
        let weighted = build("weighted", &members(&weights));
        let all = TargetSet::first(weights.len());
        firsts(&*weighted, all, start);
        let window = firsts(&*weighted, all, weights.iter().sum::<u32>() as usize);
        prop_assert_eq!(tally(&window, weights.len()), weights);
    }

    #[test]
    fn shares_are_exact_among_those_allowed(weights in vec(1..20u32, 1..6), allowed in any_set(), start in 0..50usize) {
        let weighted = build("weighted", &members(&weights));
        let allowed = allowed.intersection(TargetSet::first(weights.len()));
        let wanted: Vec<u32> =
            weights.iter().enumerate().map(|(target, weight)| if allowed.contains(target) { *weight } else { 0 }).collect();
        let start = if allowed.is_empty() { 0 } else { start };
        firsts(&*weighted, allowed, start);
        let window = firsts(&*weighted, allowed, wanted.iter().sum::<u32>() as usize);
        prop_assert_eq!(tally(&window, weights.len()), wanted);
    }

    /// Whatever was allowed before: once those differences are made up, shares are exact again.
    #[test]
    fn shares_become_exact_again(
        weights in vec(1..20u32, 1..6),
        history in vec(any_set(), 0..50),
        start in 0..50usize,
    ) {
        let weighted = build("weighted", &members(&weights));
        let all = TargetSet::first(weights.len());
        for allowed in history {
            weighted.pick(&PickInputs::among(allowed));
        }
        let sum = weights.iter().sum::<u32>() as usize;
        firsts(&*weighted, all, 8 * sum + start);
        let window = firsts(&*weighted, all, sum);
        prop_assert_eq!(tally(&window, weights.len()), weights);
    }

    /// Each target is picked as often as the sum of its shares of all turns, for any allowed sets.
    #[test]
    fn shares_add_up_while_the_allowed_change(weights in vec(1..1000u32, 1..8), turns in vec(any_set(), 0..400)) {
        let weighted = build("weighted", &members(&weights));
        let mut owed = vec![0.0; weights.len()];
        for allowed in turns {
            let allowed = allowed.intersection(TargetSet::first(weights.len()));
            let sum: u32 = allowed.iter().map(|target| weights[target]).sum();
            for target in allowed.iter() {
                owed[target] += f64::from(weights[target]) / f64::from(sum);
            }
            if let Pick::Target(target) = weighted.pick(&PickInputs::among(allowed)) {
                owed[target] -= 1.0;
            }
        }
        for owed in &owed {
            prop_assert!(owed.abs() < 2.0, "{:?}", owed);
        }
    }

    #[test]
    fn the_largest_weights_do_not_overflow(weights in vec(u32::MAX - 10..=u32::MAX, 64)) {
        let weighted = build("weighted", &members(&weights));
        let mut picks = firsts(&*weighted, TargetSet::first(64), 64);
        picks.sort_unstable();
        prop_assert_eq!(picks, (0..64).collect::<Vec<_>>(), "nearly equal weights take turns");
    }
}
