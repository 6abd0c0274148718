use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::codec::{Forgettable, SharedRecord};
use sluice::limits::{ActualUsage, LimitRecord, Limited, Limits, Reservation, UsageEstimate};

use super::{admit, ask, at, requests, shared, WIDE};

#[test]
fn records_are_small() {
    let length = |record: &LimitRecord| {
        let bytes = record.encode();
        bytes.len()
    };
    let mut record = LimitRecord::default();
    assert_eq!(length(&record), 3);
    for second in 0..60 {
        admit(&mut record, &requests(1000), ask(5), at(second)).unwrap();
    }
    assert_eq!(length(&record), 2 + 5 + 9 + 60);
    let reservation = admit(&mut record, &requests(1000), ask(5), at(60)).unwrap();
    record.withdraw(&reservation, 1, at(1000));
    assert_eq!(length(&record), 2 + 5 + 1, "idle");
    let mut record = LimitRecord::default();
    for hour in 0..30 * 24 {
        for second in (0..60).filter(|second| second % 20 == 0 || hour > 717) {
            let _ = record.admit(&WIDE, ask(1000), at(hour * 3600 + second)).unwrap();
        }
    }
    assert!(length(&record) < 600, "{}", length(&record));
}

#[test]
fn invalid_records() {
    let mut record = LimitRecord::default();
    admit(&mut record, &WIDE, ask(1000), at(0)).unwrap();
    let good = record.encode();
    let with = |index: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[index] = byte;
        bytes
    };
    let minute = |mask: &[u8]| [&[1, 1, 0], mask, &[1; 64]].concat();
    let many = [&[1, 32, 0, 0x81, 2][..], &[0; 10 * 257]].concat();
    let cases = [
        ("nothing", vec![]),
        ("another version", with(0, 3)),
        ("a part nobody knows", with(2, 0x7f)),
        ("more", [&good[..], &[0]].concat()),
        ("a bucket beyond the window", minute(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10])),
        ("an endless number", [&[1, 0][..], &[0x80; 30]].concat()),
        ("a number of 65 bits", [&[1, 0][..], &[0xff; 9], &[2]].concat()),
        ("too many VMs", many),
        ("VMs that are not there", vec![1, 32, 0, 0x80, 2]),
    ];
    for (name, bytes) in cases {
        assert_eq!(LimitRecord::decode(&bytes), LimitRecord::default(), "{name}");
    }
    for end in 0..good.len() {
        assert_eq!(LimitRecord::decode(&good[..end]), LimitRecord::default(), "cut at {end}");
    }
    assert_eq!(LimitRecord::decode(&good), record);
}

fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        any::<u64>().prop_map(Duration::from_secs),
        (0..200_000u64).prop_map(at)
    ]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..3u64, Just(u64::MAX), any::<u64>(), 0..1000u64]
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let limit = || prop::option::of(number());
    let three = move || (limit(), limit(), limit());
    (three(), three(), three(), prop::option::of(1..=100u8)).prop_map(|(requests, tokens, others, warn_at)| Limits {
        requests_per_minute: requests.0,
        requests_per_day: requests.1,
        requests_per_month: requests.2,
        tokens_per_minute: tokens.0,
        tokens_per_day: tokens.1,
        tokens_per_month: tokens.2,
        microusd_per_day: others.0,
        microusd_per_month: others.1,
        concurrency: others.2,
        reserve_output: None,
        warn_at,
    })
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn any_bytes_decode(
        bytes in vec(any::<u8>(), 0..200),
        parts in 0..1024u16,
        seen in any::<u8>(),
        limits in any_limits(),
        steps in vec((any_time(), number(), any::<u64>(), any_time(), number()), 0..6),
    ) {
        let [low, high] = [parts as u8 | 0x80, (parts >> 7) as u8];
        for head in [&[][..], &[1, parts as u8 & 0x7f, seen & 0x7f], &[2, low, high, seen & 0x7f]] {
            let mut record = LimitRecord::decode(&[head, &bytes].concat());
            prop_assert_eq!(&shared(&record), &record);
            for (now, tokens, vm, at, reported) in &steps {
                let reservation = record.admit(&limits, UsageEstimate { vm: *vm, ..ask(*tokens) }, *now);
                let _ = record.warn(&limits, reservation.as_ref().ok(), *now);
                prop_assert_eq!(&shared(&record), &record);
                let reservation = reservation.unwrap_or(Reservation { at: *at, tokens: *tokens, microusd: 0, budget: None });
                let spent = ActualUsage::Reported { tokens: *reported, microusd: *reported };
                let _ = record.settle(&reservation, spent, *vm, *at);
                let _ = record.renew(*vm, *tokens as u32, *now);
                record.withdraw(&reservation, *vm, *now);
                for what in Limited::ALL {
                    let _ = (record.used(what, *now), record.wait(what, *tokens, *now));
                }
                prop_assert_eq!(&shared(&record), &record);
            }
        }
    }
}
