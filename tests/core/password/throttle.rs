use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::password::{NameTag, Throttle, FREE_FAILURES, LONGEST_WAIT, MAX_NAMES};

use super::{at, key};

fn alice() -> NameTag {
    key().name("alice")
}

fn wait(seconds: u64) -> Result<(), Duration> {
    Err(at(seconds))
}

/// A throttle in which alice has failed this often, one second apart, the last time at 1000 s.
fn after(failures: u64) -> Throttle {
    let mut throttle = Throttle::default();
    for number in 0..failures {
        throttle.failed(alice(), at(1000 + 1 + number - failures));
    }
    throttle
}

#[test]
fn waits_double() {
    let mut throttle = after(4);
    let mut now = 1000;
    for want in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        assert_eq!(throttle.allowed(&alice(), 0, at(now)), Ok(()), "before the failure that costs {want} s");
        throttle.failed(alice(), at(now));
        assert_eq!(throttle.allowed(&alice(), 0, at(now)), wait(want));
        assert_eq!(
            throttle.allowed(&alice(), 0, at(now + want) - Duration::from_millis(1)),
            Err(Duration::from_millis(1))
        );
        now += want;
    }
}

#[test]
fn waiting_times() {
    let cases = [
        ("no failure", 0, 0, 1000, Ok(())),
        ("no failure, five at once", 0, 4, 1000, Ok(())),
        ("no failure, six at once", 0, 5, 1000, wait(1)),
        ("four failures", 4, 0, 1000, Ok(())),
        ("four failures, and one in flight", 4, 1, 1000, wait(1)),
        ("three failures, and one in flight", 3, 1, 1000, Ok(())),
        ("four failures, a minute ago", 4, 4, 1060, Ok(())),
        ("four failures, three of them a minute ago", 4, 3, 1059, Ok(())),
        ("the same, and too many in flight", 4, 4, 1059, wait(1)),
        ("five failures", 5, 0, 1000, wait(1)),
        ("five failures, the wait over", 5, 0, 1001, Ok(())),
        ("five failures, the wait over, one in flight", 5, 1, 1001, wait(1)),
        ("five failures, not yet quiet for long", 5, 1, 1600, wait(1)),
        ("five failures, quiet for ten minutes", 5, 1, 1601, Ok(())),
        ("eight failures", 8, 0, 1000, wait(8)),
        ("eight failures, the clock put back", 8, 0, 10, Ok(())),
    ];
    for (name, failures, under_way, now, want) in cases {
        assert_eq!(after(failures).allowed(&alice(), under_way, at(now)), want, "{name}");
    }
    assert_eq!(after(20).allowed(&key().name("bob"), 0, at(1000)), Ok(()), "another name");
}

#[test]
fn expiry() {
    let mut throttle = after(20);
    throttle.succeeded(&alice());
    assert_eq!((throttle.allowed(&alice(), 4, at(1000)), throttle.len()), (Ok(()), 0), "after a success");
    let mut throttle = after(7);
    throttle.failed(alice(), at(1604)); // quiet for ten minutes after a wait of 4 s
    assert_eq!(throttle.allowed(&alice(), 3, at(1604)), Ok(()), "the first failure again");
    let mut slow = Throttle::default();
    for number in 0..100 {
        assert_eq!(slow.allowed(&alice(), 0, at(number * 15)), Ok(()), "four a minute");
        slow.failed(alice(), at(number * 15));
    }
}

/// Each made-up name fails this often at that time.
fn fill(throttle: &mut Throttle, names: usize, failures: usize, now: Duration) {
    for number in 0..names {
        for _ in 0..failures {
            throttle.failed(key().name(&format!("made up {number}")), now);
        }
    }
}

#[test]
fn a_full_table_keeps_waiting_names() {
    let mut throttle = after(10);
    fill(&mut throttle, MAX_NAMES + 100, 1, at(1001));
    assert_eq!(throttle.len(), MAX_NAMES);
    assert_eq!(throttle.allowed(&alice(), 0, at(1002)), wait(30));
}

#[test]
fn a_full_table_drops_the_oldest_with_few_failures() {
    let mut throttle = after(4);
    fill(&mut throttle, MAX_NAMES - 1, 1, at(1001));
    assert_eq!(throttle.allowed(&alice(), 1, at(1001)), wait(1));
    throttle.failed(key().name("one more"), at(1001));
    assert_eq!((throttle.len(), throttle.allowed(&alice(), 1, at(1001))), (MAX_NAMES, Ok(())));
    throttle.failed(key().name("much later"), at(1061));
    assert_eq!(throttle.len(), 1, "what is over goes first");
}

#[test]
fn names_without_an_entry_wait_together() {
    let mut throttle = Throttle::default();
    fill(&mut throttle, MAX_NAMES, FREE_FAILURES + 1, at(1000));
    let [bob, carol] = ["bob", "carol"].map(|name| key().name(name));
    for _ in 0..=FREE_FAILURES {
        assert_eq!(throttle.allowed(&carol, 0, at(1000)), Ok(()));
        throttle.failed(bob, at(1000));
    }
    assert_eq!((throttle.allowed(&carol, 0, at(1000)), throttle.len()), (wait(1), MAX_NAMES));
    throttle.succeeded(&carol);
    assert_eq!(throttle.allowed(&bob, 0, at(1000)), wait(1), "one who succeeds does not speak for all");
    assert_eq!(throttle.allowed(&carol, 1, at(1601)), Ok(()), "for no longer than anybody");
}

proptest! {
    #![proptest_config(crate::cases(128))]

    /// For any timing of attempts, a guesser gets at most 4 a minute without waiting, and then one for each wait.
    #[test]
    fn a_guesser_gets_few_attempts(gaps in vec(prop_oneof![0..3000u64, 0..70_000u64], 1..300)) {
        let mut throttle = Throttle::default();
        let mut now = 1_000_000;
        let mut tried = Vec::new();
        for gap in gaps {
            now += gap;
            let time = Duration::from_millis(now);
            match throttle.allowed(&alice(), 0, time) {
                Ok(()) => {
                    throttle.failed(alice(), time);
                    tried.push(now);
                }
                Err(wait) => prop_assert!(!wait.is_zero() && wait <= LONGEST_WAIT),
            }
        }
        for (index, from) in tried.iter().enumerate() {
            let within_minute = tried[index..].iter().take_while(|time| *time - from < 60_000).count();
            prop_assert!(within_minute <= 10, "4, and after 0, 1, 3, 7, 15 and 31 s of waiting");
            let within_ten = tried[index..].iter().take_while(|time| *time - from < 600_000).count();
            prop_assert!(within_ten <= 40, "four a minute");
        }
    }

    #[test]
    fn any_clock(times in vec((any::<u64>(), any::<bool>(), 0..9usize), 0..40)) {
        let mut throttle = Throttle::default();
        for (time, fails, under_way) in times {
            let now = Duration::from_millis(time);
            if let Err(wait) = throttle.allowed(&alice(), under_way, now) {
                prop_assert!(!wait.is_zero() && wait <= LONGEST_WAIT);
            }
            if fails {
                throttle.failed(alice(), now);
            }
        }
    }
}
