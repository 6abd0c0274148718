use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::password::{LoginTag, Remembered, TagKey, MAX_REMEMBERED};

use super::{at, key};

fn login(number: usize) -> LoginTag {
    key().login(&number.to_string(), "sesame")
}

#[test]
fn for_a_time() {
    let mut remembered = Remembered::default();
    let alice = key().login("alice", "sesame");
    assert!(!remembered.contains(&alice, at(1000)));
    remembered.insert(alice, at(1000));
    let cases = [
        (1000, true, "at once"),
        (1299, true, "at the end"),
        (1300, false, "after it, though it was used meanwhile"),
        (999, false, "before it: the clock was put back"),
        (1001, true, "as it went on"),
        (u64::MAX, false, "at the end of time"),
    ];
    for (now, want, name) in cases {
        assert_eq!(remembered.contains(&alice, at(now)), want, "{name}");
    }
    let others = [("alice", "Sesame"), ("alice", ""), ("Alice", "sesame"), ("", "sesame"), ("alices", "esame")];
    for (name, password) in others {
        assert!(!remembered.contains(&key().login(name, password), at(1000)), "{name} {password}");
    }
    assert!(!remembered.contains(&TagKey::new(&[8; 32]).login("alice", "sesame"), at(1000)), "another key");
    remembered.insert(alice, at(1200));
    assert!(remembered.contains(&alice, at(1499)), "a new success counts anew");
    let mut never = Remembered::for_time(Duration::ZERO);
    never.insert(alice, at(1));
    assert!(!never.contains(&alice, at(1)), "for no time at all");
}

#[test]
fn the_least_used_is_replaced() {
    let mut remembered = Remembered::default();
    for number in 0..MAX_REMEMBERED {
        remembered.insert(login(number), at(1000));
    }
    assert!(remembered.contains(&login(0), at(1001)), "used");
    remembered.insert(login(2), at(1001));
    for number in [5000, 5001] {
        remembered.insert(login(number), at(1001));
    }
    assert_eq!(remembered.len(), MAX_REMEMBERED);
    let cases = [(0, true), (1, false), (2, true), (3, false), (4, true), (5000, true), (5001, true)];
    for (number, want) in cases {
        assert_eq!(remembered.contains(&login(number), at(1002)), want, "{number}");
    }
}

#[test]
fn expired_ones_are_replaced_first() {
    let mut remembered = Remembered::default();
    remembered.insert(login(0), at(1000));
    for number in 1..MAX_REMEMBERED {
        remembered.insert(login(number), at(1200));
    }
    assert!(!remembered.contains(&login(0), at(1300)), "the last used, and over");
    remembered.insert(login(5000), at(1300));
    assert!((1..MAX_REMEMBERED).all(|number| remembered.contains(&login(number), at(1300))));
}

#[test]
fn nothing_prints_a_tag() {
    let mut remembered = Remembered::default();
    remembered.insert(login(1), at(1));
    let printed = format!("{remembered:?} {:?} {:?}", key(), key().name("alice"));
    assert!(printed.contains("LoginTag(***)") && printed.ends_with("TagKey(***) NameTag(***)"), "{printed}");
}

proptest! {
    #![proptest_config(crate::cases(128))]

    /// Behaves like a list of successes, until it is full.
    #[test]
    fn as_a_list(steps in vec((any::<bool>(), 0..5usize, 0..200u64), 0..60)) {
        let mut remembered = Remembered::default();
        let mut list = [None; 5];
        let mut now = 1000;
        for (succeeds, number, passed) in steps {
            now += passed;
            if succeeds {
                remembered.insert(login(number), at(now));
                list[number] = Some(now);
            }
            let want = list[number].is_some_and(|since| now - since < 300);
            prop_assert_eq!(remembered.contains(&login(number), at(now)), want);
        }
    }
}
