use proptest::collection::vec;
use proptest::prelude::*;
use sluice::routing::{Member, PickInputs, TargetSet};

use super::{any_set, build, firsts, tally, target};

fn tiers(of: &[(u32, u32)]) -> Vec<Member> {
    of.iter().map(|(tier, weight)| Member { tier: *tier, weight: *weight, ..Member::default() }).collect()
}

#[test]
fn a_later_tier_waits_for_the_earlier_ones() {
    // tier, weight
    let priority = build("priority", &tiers(&[(1, 1), (0, 3), (7, 1), (0, 1), (1, 2)]));
    let cases: &[(&str, &[usize], &[u32])] = &[
        ("all", &[0, 1, 2, 3, 4], &[0, 300, 0, 100, 0]),
        ("one of the first tier is out", &[0, 1, 2, 4], &[0, 400, 0, 0, 0]),
        ("the first tier is out", &[0, 2, 4], &[400 / 3, 0, 0, 0, 400 - 400 / 3]),
        ("the last one", &[2], &[0, 0, 400, 0, 0]),
        ("all again", &[0, 1, 2, 3, 4], &[0, 300, 0, 100, 0]),
    ];
    for (name, allowed, want) in cases {
        let picks = firsts(&*priority, allowed.iter().copied().collect(), 400);
        assert_eq!(tally(&picks, 5), *want, "{name}");
    }
}

proptest! {
    #[test]
    fn no_earlier_tier_has_a_target(of in vec((0..4u32, 1..10u32), 1..10), sets in vec(any_set(), 1..20)) {
        let priority = build("priority", &tiers(&of));
        for mut allowed in sets {
            allowed.insert(0);
            allowed = allowed.intersection(TargetSet::first(of.len()));
            let picked = target(&*priority, &PickInputs::among(allowed));
            prop_assert_eq!(Some(of[picked].0), allowed.iter().map(|target| of[target].0).min());
        }
    }

    /// After an ejection, rounding may swap two turns that were due at the same time: a count differs by one at most.
    #[test]
    fn shares_in_a_tier_are_exact(of in vec((0..2u32, 1..10u32), 1..8), ejections in vec(any::<bool>(), 0..20)) {
        let priority = build("priority", &tiers(&of));
        let in_tier = |tier: u32| -> TargetSet { (0..of.len()).filter(|target| of[*target].0 == tier).collect() };
        let (all, first) = (TargetSet::first(of.len()), of.iter().map(|(tier, _)| *tier).min().unwrap());
        let rounded = u32::from(ejections.contains(&true));
        for ejected in ejections {
            // the whole first tier at once, so that its own shares do not change
            priority.pick(&PickInputs::among(if ejected { all.without(in_tier(first)) } else { all }));
        }
        let sum: u32 = in_tier(first).iter().map(|target| of[target].1).sum();
        let counts = tally(&firsts(&*priority, all, sum as usize), of.len());
        for target in in_tier(first).iter() {
            prop_assert!(counts[target].abs_diff(of[target].1) <= rounded, "{counts:?}");
        }
    }
}
