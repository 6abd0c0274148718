use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::health::parse_retry_after;

/// Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples.
const NOW: Duration = Duration::from_secs(784_111_777);

fn pause(headers: &[(&str, &str)], now: Duration) -> Option<Duration> {
    parse_retry_after(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), now)
}

/// `None` if unreadable; else milliseconds.
fn check(header: &str, cases: &[(&str, Option<u64>)]) {
    for (value, want) in cases {
        assert_eq!(pause(&[(header, value)], NOW), want.map(Duration::from_millis), "{header}: {value}");
    }
}

#[test]
fn seconds() {
    check(
        "retry-after",
        &[
            ("0", Some(0)),
            ("7", Some(7_000)),
            (" 7 ", Some(7_000)),
            ("007", Some(7_000)),
            ("1.5", Some(1_500)),
            ("0.001", Some(1)),
            ("86400", Some(86_400_000)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.", None),
            (".5", None),
            ("1.5.5", None),
            ("1e3", None),
            ("1s", None),
            ("soon", None),
            ("٣", None),
        ],
    );
    check("retry-after-ms", &[("20", Some(20)), ("1500", Some(1_500)), ("0", Some(0)), ("7s", None), ("-1", None)]);
    assert_eq!(pause(&[("retry-after-ms", "0.25")], NOW), Some(Duration::from_micros(250)));
    assert_eq!(pause(&[("retry-after", "99999999999999999999999")], NOW), Some(Duration::from_secs(u64::MAX)));
    assert_eq!(pause(&[("retry-after", "1.0000000019")], NOW), Some(Duration::new(1, 1)));
}

/// The three forms of RFC 9110, 5.6.7, and the past.
#[test]
fn dates() {
    check(
        "retry-after",
        &[
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:44 GMT", Some(7_000)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(0)),
            ("Sunday, 06-Nov-94 08:49:44 GMT", Some(7_000)),
            ("Sun Nov  6 08:49:44 1994", Some(7_000)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 PST", None),
            ("Sun, 31 Nov 1994 08:49:37 GMT", None),
            ("1994-11-06T08:49:44Z", None),
        ],
    );
}

#[test]
fn resets() {
    for header in ["x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"] {
        check(
            header,
            &[
                ("6m0s", Some(360_000)),
                ("1s", Some(1_000)),
                ("20ms", Some(20)),
                ("1h2m3.5s", Some(3_723_500)),
                ("2m59.56s", Some(179_560)),
                ("1.5h", Some(5_400_000)),
                ("12", Some(12_000)),
                ("11.38", Some(11_380)),
                ("0s", Some(0)),
                ("", None),
                ("m", None),
                ("1m5", None),
                ("1 m", None),
                ("-1s", None),
                ("1y", None),
                ("s1", None),
            ],
        );
    }
    let micro = |value| pause(&[("x-ratelimit-reset-tokens", value)], NOW);
    assert_eq!(micro("1ms5us"), Some(Duration::from_micros(1_005)));
    assert_eq!(micro("500µs"), Some(Duration::from_micros(500)));
    assert_eq!(micro("7ns"), Some(Duration::from_nanos(7)));
    assert_eq!(micro("99999999999999999999h"), Some(Duration::MAX));

    for limit in ["requests", "tokens", "input-tokens", "output-tokens"] {
        check(
            &format!("anthropic-ratelimit-{limit}-reset"),
            &[
                ("1994-11-06T08:49:44Z", Some(7_000)),
                ("1994-11-06t08:49:44z", Some(7_000)),
                ("1994-11-06 08:49:44.250Z", Some(7_250)),
                ("1994-11-06T09:49:44+01:00", Some(7_000)),
                ("1994-11-06T04:19:44-04:30", Some(7_000)),
                ("1994-11-06T08:49:30Z", Some(0)),
                ("1969-12-31T23:59:59.5Z", Some(0)),
                ("1994-11-06T08:49:44", None),
                ("1994-11-06", None),
                ("1994-11-31T08:49:44Z", None),
                ("1994-13-06T08:49:44Z", None),
                ("1994-11-06-01T08:49:44Z", None),
                ("1994-11-06T08:49:44+1", None),
                ("784111784", None),
                ("7s", None),
            ],
        );
    }
}

#[test]
fn precedence() {
    let requests = ("x-ratelimit-reset-requests", "1s");
    let tokens = ("x-ratelimit-reset-tokens", "6m0s");
    let anthropic = ("anthropic-ratelimit-tokens-reset", "1994-11-06T08:49:40Z");
    let cases: &[(&str, &[(&str, &str)], Option<u64>)] = &[
        ("nothing", &[], None),
        ("others", &[("content-type", "7"), ("x-ratelimit-limit-requests", "7")], None),
        ("milliseconds before seconds", &[("retry-after", "7"), ("retry-after-ms", "20")], Some(20)),
        ("unless they are garbage", &[("retry-after", "7"), ("retry-after-ms", "x")], Some(7_000)),
        (
            "the first that can be read",
            &[("retry-after", "x"), ("retry-after", "7"), ("retry-after", "8")],
            Some(7_000),
        ),
        ("what is asked before what is counted", &[tokens, ("retry-after", "0")], Some(0)),
        ("unless it is garbage", &[("retry-after", "x"), requests], Some(1_000)),
        ("the longest", &[requests, tokens, anthropic], Some(360_000)),
        ("the longest", &[requests, anthropic], Some(3_000)),
        ("some is left", &[requests, tokens, ("x-ratelimit-remaining-tokens", "17")], Some(1_000)),
        ("some is left, said before", &[("x-ratelimit-remaining-tokens", "17"), requests, tokens], Some(1_000)),
        (
            "nothing is left",
            &[("x-ratelimit-remaining-requests", "9"), ("x-ratelimit-remaining-tokens", "0"), requests, tokens],
            Some(360_000),
        ),
        ("not known how much", &[tokens, ("x-ratelimit-remaining-tokens", "-1")], None),
        ("of another limit", &[tokens, ("x-ratelimit-remaining-requests", "17")], Some(360_000)),
        ("some is left", &[anthropic, ("anthropic-ratelimit-tokens-remaining", "1000")], None),
        ("nothing is left", &[anthropic, ("anthropic-ratelimit-tokens-remaining", "0")], Some(3_000)),
    ];
    for (name, headers, want) in cases {
        assert_eq!(pause(headers, NOW), want.map(Duration::from_millis), "{name}: {headers:?}");
    }
}

const NAMES: [&str; 6] = [
    "retry-after-ms",
    "retry-after",
    "x-ratelimit-reset-requests",
    "x-ratelimit-remaining-requests",
    "anthropic-ratelimit-tokens-reset",
    "anthropic-ratelimit-tokens-remaining",
];

const VALUES: [&str; 8] = [
    "7.5",
    "1h2m3.5s",
    "500µs",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "1994-11-06T08:49:37.25Z",
    "1994-11-06T08:49:37+01:00",
];

/// Almost valid values, and others.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let splice =
        (any::<prop::sample::Index>(), 0..4usize, vec(prop::sample::select(&b"0919:.-+ ,szT\xc3\xb5"[..]), 0..4));
    let nearly = (prop::sample::select(&VALUES[..]), vec(splice, 1..4)).prop_map(|(value, splices)| {
        let mut value = value.as_bytes().to_vec();
        for (at, removed, inserted) in splices {
            let start = at.index(value.len() + 1);
            let end = value.len().min(start + removed);
            value.splice(start..end, inserted);
        }
        value
    });
    prop_oneof![1 => vec(any::<u8>(), 0..40), 3 => nearly]
}

fn leap(year: u64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn never_panics(headers in vec((0..NAMES.len(), value()), 0..6), now in any::<u64>()) {
        let headers = headers.iter().map(|(name, value)| (NAMES[*name].as_bytes(), value.as_slice()));
        let _ = parse_retry_after(headers, Duration::from_millis(now));
    }

    #[test]
    fn durations_are_read_back(hours in 0..200u64, minutes in 0..60u64, milliseconds in 0..60_000u64) {
        let seconds = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
        let want = Duration::from_millis(((hours * 60) + minutes) * 60_000 + milliseconds);
        let text = format!("{hours}h{minutes}m{seconds}s");
        prop_assert_eq!(pause(&[("x-ratelimit-reset-tokens", &text)], NOW), Some(want));
    }

    /// Counts the days one by one, for comparison.
    #[test]
    fn each_day_follows_the_last(year in 1970..2400u64, month in 1..=12u64, day in 1..=31u64) {
        const LENGTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let length = |year, month: u64| LENGTHS[month as usize - 1] + u64::from(month == 2 && leap(year));
        let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
        let months: u64 = (1..month).map(|month| length(year, month)).sum();
        let want = (day <= length(year, month)).then(|| Duration::from_secs((years + months + day - 1) * 86_400));
        let text = format!("{year}-{month:02}-{day:02}T00:00:00Z");
        prop_assert_eq!(pause(&[("anthropic-ratelimit-tokens-reset", &text)], Duration::ZERO), want);
    }
}
