use proptest::collection::vec;
use proptest::prelude::*;
use sluice::routing::{PickInputs, TargetSet};

use super::{any_set, build, members, tally, target};

proptest! {
    /// With evenly spread numbers, each target gets exactly its share.
    #[test]
    fn as_likely_as_the_weight(weights in vec(1..50u32, 1..8), allowed in any_set(), offset in 0.0..1.0f64) {
        let random = build("random", &members(&weights));
        let mut allowed = allowed.intersection(TargetSet::first(weights.len()));
        allowed.insert(0);
        let wanted: Vec<u32> =
            weights.iter().enumerate().map(|(target, weight)| if allowed.contains(target) { *weight } else { 0 }).collect();
        let sum: u32 = wanted.iter().sum();
        let number = |step: u32| ((f64::from(step) + offset.clamp(0.01, 0.99)) / f64::from(sum) * 2f64.powi(64)) as u64;
        let picks: Vec<usize> =
            (0..sum).map(|step| target(&*random, &PickInputs { random: number(step), ..PickInputs::among(allowed) })).collect();
        prop_assert_eq!(tally(&picks, weights.len()), wanted);
    }

    #[test]
    fn the_same_number_picks_the_same(weights in vec(1..50u32, 1..8), number in any::<u64>()) {
        let random = build("random", &members(&weights));
        let choice = PickInputs { random: number, ..PickInputs::among(TargetSet::first(weights.len())) };
        let picks: Vec<usize> = (0..3).map(|_| target(&*random, &choice)).collect();
        prop_assert_eq!(picks, vec![target(&*random, &choice); 3]);
    }
}
