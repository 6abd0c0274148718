use proptest::collection::vec;
use proptest::prelude::*;
use sluice::routing::TargetSet;

use super::any_set;

fn list(set: TargetSet) -> Vec<usize> {
    set.iter().collect()
}

#[test]
fn the_first_targets() {
    for count in [0, 1, 2, 63, 64] {
        assert_eq!(list(TargetSet::first(count)), (0..count).collect::<Vec<_>>());
    }
    assert_eq!(TargetSet::first(usize::MAX).len(), 64);
    assert!(TargetSet::default().is_empty());
}

proptest! {
    #[test]
    fn like_a_sorted_list(steps in vec((any::<bool>(), 0..70usize), 0..60)) {
        let mut set = TargetSet::default();
        let mut model = Vec::new();
        for (insert, target) in steps {
            model.retain(|other| *other != target);
            if insert {
                set.insert(target);
                model.extend((target < 64).then_some(target));
            } else {
                set.remove(target);
            }
        }
        model.sort_unstable();
        prop_assert_eq!(list(set), model.clone());
        prop_assert_eq!(set.len(), model.len());
        prop_assert_eq!(set.is_empty(), model.is_empty());
        prop_assert_eq!(TargetSet::from_iter(model.iter().copied()), set);
        for target in [0, 1, 63, 64, 69, usize::MAX] {
            prop_assert_eq!(set.contains(target), model.contains(&target));
        }
    }

    #[test]
    fn parts(one in any_set(), other in any_set()) {
        let both = one.intersection(other);
        prop_assert_eq!(list(both), one.iter().filter(|target| other.contains(*target)).collect::<Vec<_>>());
        prop_assert_eq!(one.without(other), one.without(both));
        prop_assert_eq!(one.without(other).len() + both.len(), one.len());
        prop_assert!(one.without(other).intersection(other).is_empty());
    }
}

#[test]
fn an_index_out_of_range() {
    let mut set = TargetSet::default();
    for target in [64, 65, 128, usize::MAX] {
        set.insert(target);
        assert!(set.is_empty(), "{target}");
        assert!(!TargetSet::first(64).contains(target), "{target}");
    }
    set = TargetSet::first(64);
    set.remove(64);
    assert_eq!(set.len(), 64);
}
