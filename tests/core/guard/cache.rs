use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::guard::api::Reading;
use sluice::guard::checks::{CacheLimits, ResultCache};
use sluice::guard::Finding;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn cache(entries: usize) -> ResultCache {
    ResultCache::new(CacheLimits { time: at(60), entries })
}

fn flagged(category: &str) -> Reading {
    Reading::Flagged(category.into())
}

#[test]
fn for_a_time() {
    let mut cache = cache(10);
    cache.insert(0, "text", &flagged("a"), at(100));
    let cases = [(100, true), (159, true), (160, false), (99, false), (101, true), (u64::MAX, false)];
    for (now, want) in cases {
        assert_eq!(cache.get(0, "text", at(now)).is_some(), want, "{now}");
    }
    assert_eq!(cache.get(1, "text", at(100)), None, "another check");
    assert_eq!(cache.get(0, "Text", at(100)), None, "another text");
    cache.insert(0, "text", &Reading::Clean, at(150));
    assert_eq!(cache.get(0, "text", at(200)), Some(&Reading::Clean), "said anew");
}

#[test]
fn the_oldest_is_dropped() {
    let mut cache = cache(3);
    for (index, text) in ["a", "b", "c", "d"].into_iter().enumerate() {
        cache.insert(0, text, &flagged(text), at(100 + index as u64));
    }
    assert_eq!(cache.len(), 3);
    let there: Vec<bool> = ["a", "b", "c", "d"].map(|text| cache.get(0, text, at(110)).is_some()).into();
    assert_eq!(there, [false, true, true, true]);
    cache.insert(0, "e", &Reading::Clean, at(1000));
    assert_eq!(cache.len(), 1, "what is over goes as well");
}

#[test]
fn uncached_results() {
    let mut none = cache(0);
    none.insert(0, "a", &Reading::Clean, at(1));
    assert!(none.is_empty());
    let finding = Finding { entity: "A".into(), span: 0..1, score: 1.0, replacement: None };
    let mut some = cache(10);
    some.insert(0, "many", &Reading::of(vec![finding.clone(); 65]), at(1));
    assert!(some.is_empty());
    some.insert(0, "secret", &Reading::of(vec![finding; 64]), at(1));
    assert_eq!(format!("{some:?}"), "ResultCache(1 entries)");
}

proptest! {
    #![proptest_config(crate::cases(128))]

    /// Behaves like a list until it is full, and never exceeds its limit.
    #[test]
    fn as_a_list(steps in vec((any::<bool>(), 0..6usize, 0..30u64), 0..60), entries in 1..8usize) {
        let mut cache = cache(entries);
        let mut list = [None; 6];
        let mut now = 1000;
        for (insert, number, passed) in steps {
            now += passed;
            let text = number.to_string();
            if insert {
                cache.insert(0, &text, &flagged(&now.to_string()), at(now));
                list[number] = Some(now);
            }
            let want = list[number].filter(|since| now - since < 60).map(|since| flagged(&since.to_string()));
            let got = cache.get(0, &text, at(now)).cloned();
            prop_assert!(cache.len() <= entries);
            if insert || entries >= 6 {
                prop_assert_eq!(got, want);
            } else {
                prop_assert!(got.is_none() || got == want);
            }
        }
    }
}
