use std::time::Duration;

use proptest::prelude::*;
use sluice::codec::{Forgettable, SharedRecord};
use sluice::date::{midnight, timestamp};
use sluice::limits::{ActualUsage, LimitRecord, Limited, Limits, Period};

use super::{admit, ask, NONE};

fn time(text: &str) -> Duration {
    timestamp(text).unwrap()
}

const MONTHLY: Limits =
    Limits { requests_per_month: Some(1000), tokens_per_month: Some(1000), microusd_per_month: Some(1000), ..NONE };

#[test]
fn a_month_is_the_calendars() {
    // used in a month, asked later, the time until the month ends
    let cases = [
        ("2026-01-01", "2026-01-31T23:59:59Z", 31),
        ("2026-02-01", "2026-02-28T23:59:59Z", 28),
        ("2028-02-01", "2028-02-29T23:59:59Z", 29),
        ("2000-02-01", "2000-02-29T23:59:59Z", 29),
        ("2100-02-01", "2100-02-28T23:59:59Z", 28),
        ("2026-04-01", "2026-04-30T23:59:59Z", 30),
        ("2026-12-01", "2026-12-31T23:59:59Z", 31),
    ];
    for (first, last, days) in cases {
        let mut record = LimitRecord::default();
        let reservation = admit(&mut record, &MONTHLY, ask(7), time(first)).unwrap();
        let _ = record.settle(&reservation, ActualUsage::Reported { tokens: 8, microusd: 9 }, 1, time(first));
        let kinds = [(Limited::RequestsPerMonth, 1), (Limited::TokensPerMonth, 8), (Limited::CostPerMonth, 9)];
        for (what, used) in kinds {
            assert_eq!(record.used(what, time(last)), used, "{last} {what:?}");
            assert_eq!(record.used(what, time(last) + Duration::from_secs(1)), 0, "after {last} {what:?}");
            let wait = record.wait(what, 0, time(first)).unwrap();
            assert_eq!(wait, Duration::from_secs(days * 86_400), "{first} {what:?}");
        }
        admit(&mut record, &MONTHLY, ask(1), time(last) + Duration::from_secs(1)).unwrap();
        assert_eq!(record.used(Limited::TokensPerMonth, time(last) + Duration::from_secs(1)), 1, "after {last}");
    }
}

#[test]
fn a_request_counts_in_the_month_in_which_it_began() {
    let (before, after) = (time("2026-12-31T23:59:58Z"), time("2027-01-01T00:00:02Z"));
    let mut record = LimitRecord::default();
    let reservation = admit(&mut record, &MONTHLY, ask(700), before).unwrap();
    assert!(admit(&mut record, &MONTHLY, ask(700), before).is_err());
    admit(&mut record, &MONTHLY, ask(700), after).unwrap();
    let _ = record.settle(&reservation, ActualUsage::Reported { tokens: 5, microusd: 5 }, 1, after);
    assert_eq!(record.used(Limited::TokensPerMonth, after), 700);
    record.withdraw(&reservation, 1, after);
    assert_eq!(record.used(Limited::RequestsPerMonth, after), 1);
}

#[test]
fn a_months_refusal_says_when_it_ends() {
    let now = time("2026-02-27T12:00:00Z");
    let mut record = LimitRecord::default();
    admit(&mut record, &MONTHLY, ask(900), now).unwrap();
    let excess = admit(&mut record, &MONTHLY, ask(101), now).unwrap_err();
    assert_eq!((excess.what, excess.used), (Limited::TokensPerMonth, 900));
    assert_eq!(excess.retry_after, Some(Duration::from_secs(36 * 3600)));
}

#[test]
fn a_clock_set_back_over_the_months_end_locks_nobody_out() {
    let mut record = LimitRecord::default();
    admit(&mut record, &MONTHLY, ask(900), time("2027-01-01T00:10:00Z")).unwrap();
    let back = time("2026-12-31T23:00:00Z");
    assert!(admit(&mut record, &MONTHLY, ask(900), back).is_err(), "it keeps its usage");
    admit(&mut record, &MONTHLY, ask(100), back).unwrap();
    admit(&mut record, &MONTHLY, ask(900), time("2027-01-01T00:00:00Z")).unwrap();
}

/// A record of the version before calendar months, which had 30 days.
#[test]
fn an_older_record_is_read() {
    let seen = time("2026-03-03T12:00:00Z").as_secs();
    let mut bytes = vec![1, 1 << 3];
    let mut rest = seen;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes.push(0b0010_1101); // today, and 2, 3 and 5 days ago
    bytes.extend([1, 2, 4, 8]);
    let record = LimitRecord::decode(&bytes);
    assert_eq!(record.used(Limited::TokensPerMonth, Duration::from_secs(seen)), 1 + 2, "since March 1");
    assert_eq!(record.encode()[0], 2);
}

proptest! {
    #[test]
    fn a_period_ends_where_the_next_begins(seconds in 0..8_000_000_000u64) {
        for period in [Period::Minute, Period::Day, Period::Month] {
            let end = period.end(seconds);
            prop_assert!(end > seconds);
            prop_assert_eq!(period.end(end - 1), end);
            prop_assert!(period.end(end) > end);
        }
    }

    #[test]
    fn months_have_the_calendars_lengths(year in 1970..2400i64, month in 1..=12i64, second in 0..2_419_200u64) {
        let first = midnight(year, month, 1).unwrap().unsigned_abs();
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        prop_assert_eq!(Period::Month.end(first + second), first + days * 86_400);
    }
}
