use std::time::Duration;

use proptest::prelude::*;
use sluice::timing::Timing;

fn timing(first: Option<u64>, end: Option<u64>) -> Timing {
    let at = |milliseconds: u64| Duration::from_millis(1_000_000 + milliseconds);
    let mut timing = Timing::arrived(at(0));
    first.into_iter().for_each(|first| timing.first_bytes(at(first)));
    end.into_iter().for_each(|end| timing.end(at(end)));
    timing
}

#[test]
fn spans() {
    let cases = [
        ("in flight", None, None, (None, None)),
        ("a stream in flight", Some(20), None, (Some(20), None)),
        ("no answer", None, Some(30), (None, Some(30))),
        ("whole", Some(20), Some(30), (Some(20), Some(30))),
        ("at once", Some(0), Some(0), (Some(0), Some(0))),
    ];
    for (name, first, end, want) in cases {
        let timing = timing(first, end);
        assert_eq!((timing.to_first_token(), timing.whole()), want, "{name}");
        assert_eq!((timing.awaits_first_bytes(), timing.is_under_way()), (first.is_none(), end.is_none()), "{name}");
    }
}

#[test]
fn only_the_first_time_counts() {
    let mut timing = timing(Some(20), Some(30));
    timing.first_bytes(Duration::from_secs(5000));
    timing.end(Duration::from_secs(5000));
    assert_eq!((timing.to_first_token(), timing.whole()), (Some(20), Some(30)));
}

#[test]
fn speeds() {
    let cases = [
        ("a stream: after its first token", Some(100), Some(1100), 51, Some(50)),
        ("one token", Some(100), Some(1100), 1, None),
        ("no token", Some(100), Some(1100), 0, None),
        ("in no time", Some(100), Some(100), 50, None),
        ("in flight", Some(100), None, 50, None),
        ("a stream without a byte", None, Some(100), 50, None),
        ("slow", Some(0), Some(60_000), 2, Some(0)),
        ("more than can be", Some(0), Some(1), u64::MAX, Some(u64::MAX)),
    ];
    for (name, first, end, tokens, want) in cases {
        assert_eq!(timing(first, end).tokens_per_second(tokens), want, "{name}");
    }
}

proptest! {
    #[test]
    fn a_clock_set_back_does_no_harm(arrived: u64, first: u64, end: u64, tokens: u64) {
        let mut timing = Timing::arrived(Duration::from_nanos(arrived));
        timing.first_bytes(Duration::from_nanos(first));
        timing.end(Duration::from_nanos(end));
        prop_assert!(timing.to_first_token().unwrap() <= first / 1_000_000);
        prop_assert!(timing.whole().unwrap() <= end / 1_000_000);
        timing.tokens_per_second(tokens);
    }
}
