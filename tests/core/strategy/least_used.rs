use proptest::collection::vec;
use proptest::prelude::*;
use sluice::routing::{PickInputs, TargetSet};

use super::{build, firsts, members, tally, target};

#[test]
fn the_fewest_in_flight_for_its_weight() {
    let cases: &[(&str, &[u32], &[u64], usize)] = &[
        ("none in flight: the first", &[1, 1, 1], &[0, 0, 0], 0),
        ("none in flight: the heaviest", &[1, 2, 2], &[0, 0, 0], 1),
        ("fewer", &[1, 1, 1], &[2, 3, 1], 2),
        ("fewer for its weight", &[1, 4, 1], &[1, 3, 2], 1),
        ("as many for its weight: the heaviest", &[1, 4, 2], &[1, 4, 2], 1),
        ("idle, however light", &[1_000_000, 1], &[1, 0], 1),
        ("more than any number", &[1, 2], &[u64::MAX, u64::MAX], 1),
    ];
    for (name, weights, in_flight, want) in cases {
        let least_used = build("least_used", &members(weights));
        let in_flight = |target: usize| in_flight[target];
        let choice = PickInputs { in_flight: &in_flight, ..PickInputs::among(TargetSet::first(weights.len())) };
        assert_eq!(target(&*least_used, &choice), *want, "{name}");
    }
}

#[test]
fn without_concurrency_it_is_weighted() {
    let least_used = build("least_used", &members(&[5, 3, 2]));
    assert_eq!(tally(&firsts(&*least_used, TargetSet::first(3), 1000), 3), [500, 300, 200]);
}

#[test]
fn missed_turns_are_made_up_within_bounds() {
    let cases = [("a little", 5, 5), ("for an hour", 100_000, 31)];
    for (name, missed, made_up) in cases {
        let least_used = build("least_used", &members(&[1, 1]));
        let all = TargetSet::first(2);
        let busy = |target: usize| target as u64;
        for _ in 0..missed {
            assert_eq!(target(&*least_used, &PickInputs { in_flight: &busy, ..PickInputs::among(all) }), 0, "{name}");
        }
        let picks = firsts(&*least_used, all, 2 * made_up);
        let in_a_row = picks.iter().take_while(|pick| **pick == 1).count();
        assert!(in_a_row.abs_diff(made_up) <= 1, "{name}: {in_a_row}");
    }
    let least_used = build("least_used", &members(&[1, 1]));
    firsts(&*least_used, TargetSet::from_iter([0]), 100);
    assert_eq!(firsts(&*least_used, TargetSet::first(2), 4), [0, 1, 0, 1], "one that was ejected is owed nothing");
}

proptest! {
    #[test]
    fn no_other_target_has_fewer_attempts(
        weights in vec(1..10u32, 1..8),
        in_flight in vec(vec(0..10u64, 8), 1..30),
    ) {
        let least_used = build("least_used", &members(&weights));
        for in_flight in in_flight {
            let load = |target: usize| in_flight[target];
            let choice = PickInputs { in_flight: &load, ..PickInputs::among(TargetSet::first(weights.len())) };
            let picked = target(&*least_used, &choice);
            for other in 0..weights.len() {
                let (this, that) = (load(picked) * u64::from(weights[other]), load(other) * u64::from(weights[picked]));
                prop_assert!(this <= that, "{} rather than {}", picked, other);
            }
        }
    }

    #[test]
    fn ties_go_to_the_least_picked(in_flight in vec(vec(0..2u64, 4), 1..30)) {
        let least_used = build("least_used", &members(&[1; 4]));
        let mut uses = [0; 4];
        for in_flight in in_flight {
            let load = |target: usize| in_flight[target];
            let picked = target(&*least_used, &PickInputs { in_flight: &load, ..PickInputs::among(TargetSet::first(4)) });
            let want = (0..4).min_by_key(|target| (load(*target), uses[*target], *target)).unwrap();
            prop_assert_eq!(picked, want, "{:?} {:?}", in_flight, uses);
            uses[picked] += 1;
        }
    }
}
