use std::time::Duration;

use proptest::prelude::*;
use sluice::date::{rfc3339, timestamp, Timestamp};

use crate::generate::of_characters;

#[test]
fn timestamps() {
    let cases: [(&str, u64); 14] = [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.9Z", 0),
        ("1970-01-01T00:59:59+01:00", 0),
        ("2027-01-31T00:00:00Z", 1_801_353_600_000),
        ("2027-01-31t00:00:00z", 1_801_353_600_000),
        ("2027-01-31 00:00:00Z", 1_801_353_600_000),
        ("2027-01-31T01:30:00+01:30", 1_801_353_600_000),
        ("2027-01-30T19:00:00-05:00", 1_801_353_600_000),
        ("2027-01-31T00:00:00.25Z", 1_801_353_600_250),
        ("2027-01-31T00:00:00.2509999999999Z", 1_801_353_600_250),
        ("2027-01-31T23:59:60Z", 1_801_440_000_000),
        ("2024-02-29T00:00:00-00:00", 1_709_164_800_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ("0000-01-01T00:00:00Z", 0),
    ];
    for (text, milliseconds) in cases {
        let millis = |time: Duration| time.as_millis();
        assert_eq!(rfc3339(text).map(millis), Some(milliseconds.into()), "{text}");
        assert_eq!(timestamp(text).map(millis), Some(milliseconds.into()), "{text}");
    }
    assert_eq!(timestamp("2027-01-31"), Some(Duration::from_secs(1_801_353_600)));
    assert_eq!(timestamp("1969-01-31"), Some(Duration::ZERO));
    assert_eq!(rfc3339("2027-01-31"), None);
}

#[test]
fn invalid_timestamps() {
    let cases = [
        "",
        "2027",
        "2027-1-31",
        "2027-02-29",
        "2027-13-01",
        "2027-00-01",
        "2027-01-00",
        "2027-01-31-01",
        "+027-01-31",
        "20270131",
        "2027-01-31 ",
        "2027-01-31T",
        "2027-01-31T00:00:00",
        "2027-01-31T00:00Z",
        "2027-01-31T24:00:00Z",
        "2027-01-31T00:60:00Z",
        "2027-01-31T00:00:61Z",
        "2027-01-31T00:00:00.Z",
        "2027-01-31T00:00:00.5",
        "2027-01-31T00:00:00ZZ",
        "2027-01-31T00:00:00+24:00",
        "2027-01-31T00:00:00+01:60",
        "2027-01-31T00:00:00+0100",
        "2027-01-31T00:00:00+1:00",
        "2027-01-31T00:00:00 01:00",
        "2027-01-31T00:00:00é1:00",
        "2027-01-31X00:00:00Z",
        "2027-01-é1T00:00:00Z",
        "２027-01-31",
        "Sun, 06 Nov 1994 08:49:37 GMT",
    ];
    for text in cases {
        assert_eq!(timestamp(text), None, "{text:?}");
    }
}

#[test]
fn later_times_are_written_as_the_last_one() {
    assert_eq!(Timestamp(Duration::MAX).to_string(), "9999-12-31T23:59:59Z");
    assert_eq!(Timestamp(Duration::from_nanos(1)).to_string(), "1970-01-01T00:00:01Z");
}

proptest! {
    #[test]
    fn round_trip(seconds in 0..253_402_300_800_u64) {
        let time = Duration::from_secs(seconds);
        let text = Timestamp(time).to_string();
        prop_assert_eq!(rfc3339(&text), Some(time), "{}", text);
        prop_assert_eq!(timestamp(&text[..10]), Some(time - Duration::from_secs(seconds % 86_400)));
    }

    #[test]
    fn never_panics(text in of_characters("0129TtZz:+-. é", 0..30)) {
        let _ = timestamp(&text);
    }
}
