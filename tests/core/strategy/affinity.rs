use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use sluice::routing::{self, Member, PickInputs, TargetSet};

use super::{any_set, build, members, target};

/// Members with distinct identities.
fn any_members() -> impl Strategy<Value = Vec<Member>> {
    let member = |(weight, identity)| Member { weight, identity, ..Member::default() };
    btree_set(any::<u64>(), 1..10)
        .prop_flat_map(|identities| {
            let weights = vec(1..100u32, identities.len());
            (weights, Just(identities.into_iter().collect::<Vec<u64>>()).prop_shuffle())
        })
        .prop_map(move |(weights, identities)| weights.into_iter().zip(identities).map(member).collect())
}

fn pick(affinity: &dyn routing::Strategy, user: u64, allowed: TargetSet) -> usize {
    target(affinity, &PickInputs { affinity: user, ..PickInputs::among(allowed) })
}

proptest! {
    #[test]
    fn the_same_user_goes_to_the_same_target(members in any_members(), user in any::<u64>(), random in any::<u64>()) {
        let (worker, other) = (build("affinity", &members), build("affinity", &members));
        let all = TargetSet::first(members.len());
        let home = pick(&*worker, user, all);
        pick(&*other, !user, all);
        let choice = PickInputs { affinity: user, random, first: false, ..PickInputs::among(all) };
        prop_assert_eq!(target(&*other, &choice), home);
    }

    #[test]
    fn an_ejection_moves_only_the_requests_of_the_ejected(
        members in any_members(),
        users in vec(any::<u64>(), 1..100),
        ejected in any_set(),
    ) {
        let affinity = build("affinity", &members);
        let all = TargetSet::first(members.len());
        let left = all.without(ejected);
        for user in users.into_iter().filter(|_| !left.is_empty()) {
            let home = pick(&*affinity, user, all);
            let moved = pick(&*affinity, user, left);
            prop_assert!(moved == home || ejected.contains(home), "{} moved to {}", home, moved);
        }
    }

    #[test]
    fn a_new_target_only_takes_users(members in any_members(), users in vec(any::<u64>(), 1..100)) {
        let (newcomer, veterans) = members.split_last().unwrap();
        let (before, after) = (build("affinity", veterans), build("affinity", &members));
        for user in users.into_iter().filter(|_| !veterans.is_empty()) {
            let home = pick(&*before, user, TargetSet::first(veterans.len()));
            let moved = pick(&*after, user, TargetSet::first(members.len()));
            prop_assert!(moved == home || members[moved] == *newcomer, "{} moved to {}", home, moved);
        }
    }

    #[test]
    fn more_weight_only_takes_users(members in any_members(), users in vec(any::<u64>(), 1..100), more in 1..100u32) {
        let mut heavier = members.clone();
        heavier[0].weight += more;
        let (before, after) = (build("affinity", &members), build("affinity", &heavier));
        let all = TargetSet::first(members.len());
        for user in users {
            let (home, moved) = (pick(&*before, user, all), pick(&*after, user, all));
            prop_assert!(moved == home || moved == 0, "{} moved to {}", home, moved);
        }
    }

    #[test]
    fn the_order_in_the_configuration_does_not_matter(members in any_members(), users in vec(any::<u64>(), 1..100)) {
        let reversed: Vec<Member> = members.iter().rev().copied().collect();
        let (one, other) = (build("affinity", &members), build("affinity", &reversed));
        let all = TargetSet::first(members.len());
        for user in users {
            prop_assert_eq!(members[pick(&*one, user, all)], reversed[pick(&*other, user, all)]);
        }
    }
}

/// Each target's share of users in percent, for numbered and so very similar users.
fn shares(members: &[Member], allowed: TargetSet) -> Vec<u32> {
    let affinity = build("affinity", members);
    let mut counts = vec![0; members.len()];
    for user in 0..20_000 {
        counts[pick(&*affinity, user, allowed)] += 1;
    }
    counts.iter().map(|count| (count + 100) / 200).collect()
}

#[test]
fn shares_by_weight() {
    let all = TargetSet::first(3);
    let near = |got: Vec<u32>, want: [u32; 3]| {
        assert!(got.iter().zip(want).all(|(got, want)| got.abs_diff(want) <= 1), "{got:?} for {want:?}");
    };
    near(shares(&members(&[1, 1, 1]), all), [33, 33, 33]);
    near(shares(&members(&[5, 3, 2]), all), [50, 30, 20]);
    near(shares(&members(&[5, 3, 2]), TargetSet::from_iter([1, 2])), [0, 60, 40]);
    near(shares(&[Member::default(); 3], all), [33, 33, 33]); // distinct targets, although identical
}

/// The choice must not change with the next version, or every prompt cache would be cold after an upgrade.
#[test]
fn it_never_changes() {
    let affinity = build("affinity", &members(&[5, 3, 2]));
    let picks: Vec<usize> = (0..20).map(|user| pick(&*affinity, user, TargetSet::first(3))).collect();
    assert_eq!(picks, [0, 1, 0, 0, 1, 1, 2, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1]);
}
