use proptest::collection::vec;
use proptest::prelude::*;
use sluice::routing::{Member, Pick, PickInputs, TargetSet};

use super::{any_set, build};

fn slots(of: &[u32]) -> Vec<Member> {
    of.iter().map(|slots| Member { slots: *slots, ..Member::default() }).collect()
}

#[test]
fn the_first_free_slot() {
    use Pick::{Full, None, Target};
    // name, slots, allowed, in flight, expected
    let cases: &[(&str, &[u32], &[usize], &[u64], Pick)] = &[
        ("all free", &[1, 1], &[0, 1], &[0, 0], Target(0)),
        ("the first is taken", &[1, 1], &[0, 1], &[1, 0], Target(1)),
        ("all are taken", &[1, 1], &[0, 1], &[1, 1], Full),
        ("one of two slots is free", &[2, 1], &[0, 1], &[1, 0], Target(0)),
        ("the first is not allowed", &[1, 1], &[1], &[0, 0], Target(1)),
        ("the only one allowed is taken", &[1, 1], &[1], &[0, 1], Full),
        ("more than it should have", &[1, 1], &[0, 1], &[7, 0], Target(1)),
        ("none is allowed", &[1, 1], &[], &[0, 0], None),
    ];
    for (name, of, allowed, in_flight, want) in cases {
        let first_available = build("first_available", &slots(of));
        let in_flight = |target: usize| in_flight[target];
        for first in [true, false] {
            let allowed = allowed.iter().copied().collect();
            let choice = PickInputs { first, in_flight: &in_flight, ..PickInputs::among(allowed) };
            assert_eq!(first_available.pick(&choice), *want, "{name}, first: {first}");
        }
    }
}

proptest! {
    #[test]
    fn never_more_than_the_slots(of in vec(1..4u32, 1..8), steps in vec((any_set(), any::<bool>(), 0..8usize), 0..100)) {
        let first_available = build("first_available", &slots(&of));
        let mut in_flight = vec![0u64; of.len()];
        for (allowed, ends, at) in steps {
            let allowed = allowed.intersection(TargetSet::first(of.len()));
            let free = |target: &usize| in_flight[*target] < u64::from(of[*target]);
            let want = match allowed.iter().find(free) {
                Some(target) => Pick::Target(target),
                None if allowed.is_empty() => Pick::None,
                None => Pick::Full,
            };
            let load = |target: usize| in_flight[target];
            prop_assert_eq!(first_available.pick(&PickInputs { in_flight: &load, ..PickInputs::among(allowed) }), want);
            if let Pick::Target(target) = want {
                in_flight[target] += 1;
            }
            if let (true, Some(in_flight)) = (ends, in_flight.get_mut(at)) {
                *in_flight = in_flight.saturating_sub(1);
            }
        }
    }
}
