use std::time::Duration;

use sluice::limits::{
    retry_after_seconds, write_report, write_reset, ActualUsage, LimitRecord, Limits, Quota, RateHeaders, ReportLine,
    Subject,
};

use super::{admit, ask, at, requests, NONE};

#[test]
fn resets() {
    let cases = [
        (0, "0s", 1),
        (1, "1ms", 1),
        (20_000_000, "20ms", 1),
        (20_000_001, "21ms", 1),
        (999_000_000, "999ms", 1),
        (999_000_001, "1s", 1),
        (1_000_000_000, "1s", 1),
        (1_000_000_001, "2s", 2),
        (59_500_000_000, "1m0s", 60),
        (360_000_000_000, "6m0s", 360),
        (3_723_000_000_000, "1h2m3s", 3723),
        (2_592_000_000_000_000, "720h0m0s", 2_592_000),
    ];
    for (nanos, text, seconds) in cases {
        let mut out = String::new();
        write_reset(&mut out, Duration::from_nanos(nanos));
        assert_eq!((out.as_str(), retry_after_seconds(Duration::from_nanos(nanos))), (text, seconds));
    }
    write_reset(&mut String::new(), Duration::MAX);
    assert_eq!(retry_after_seconds(Duration::MAX), u64::MAX);
}

#[test]
fn the_tightest_subject() {
    let limits = [
        Limits { tokens_per_minute: Some(1000), ..requests(5) },
        requests(3),
        Limits { tokens_per_minute: Some(500), ..requests(2) },
        Limits { tokens_per_day: Some(1), ..NONE },
    ];
    let mut records: [LimitRecord; 4] = Default::default();
    for (index, second) in [(0, 0), (0, 20), (0, 20), (0, 20), (1, 10), (2, 30)] {
        admit(&mut records[index], &limits[index], ask(200), at(second)).unwrap();
    }
    let of = |indices: &[usize], now| RateHeaders::tightest(indices.iter().map(|i| (&limits[*i], &records[*i])), now);
    let quota = |limit, remaining, reset| Some(Quota { limit, remaining, reset: Duration::from_secs(reset) });
    let cases = [
        (&[][..], 40, None, None),
        (&[3], 40, None, None),
        (&[1], 40, quota(3, 2, 30), None),
        (&[1, 0], 40, quota(5, 1, 40), quota(1000, 200, 40)),
        (&[0, 2], 40, quota(5, 1, 40), quota(1000, 200, 40)),
        (&[2, 0], 40, quota(2, 1, 50), quota(1000, 200, 40)),
        (&[3, 2, 1, 0], 70, quota(2, 1, 20), quota(500, 300, 20)),
        (&[0], 80, quota(5, 5, 0), quota(1000, 1000, 0)),
    ];
    for (indices, second, requests, tokens) in cases {
        assert_eq!(of(indices, at(second)), RateHeaders { requests, tokens }, "{indices:?} at {second}");
    }
    let half = of(&[1], at(40) + Duration::from_millis(500)).requests.unwrap();
    assert_eq!(half.reset, Duration::from_millis(29_500));
}

#[test]
fn a_request_that_another_filter_refused() {
    let quota = |remaining| Some(Quota { limit: 10, remaining, reset: Duration::from_secs(9) });
    let cases = [
        ((None, None), (None, None)),
        ((quota(3), quota(3)), (quota(4), quota(8))),
        ((quota(10), quota(9)), (quota(10), quota(10))),
    ];
    for ((requests, tokens), (want_requests, want_tokens)) in cases {
        let want = RateHeaders { requests: want_requests, tokens: want_tokens };
        assert_eq!(RateHeaders { requests, tokens }.without(5), want);
    }
}

#[test]
fn the_report() {
    let limits = Limits { tokens_per_day: Some(10), microusd_per_day: Some(2_500_000), concurrency: Some(4), ..NONE };
    let mut record = LimitRecord::default();
    let reservation = admit(&mut record, &limits, ask(6), at(0)).unwrap();
    admit(&mut record, &limits, ask(1), at(0)).unwrap();
    let _ = record.settle(&reservation, ActualUsage::Reported { tokens: 11, microusd: 3_000_001 }, 1, at(0));
    let (key, model) = (Subject::Key("a\"b".into()), Subject::Model("m".into()));
    let team = Subject::Label("team".into(), "x".into());
    let monthly = Limits { microusd_per_month: Some(9_500_000), ..NONE };
    let lines = [
        ReportLine { subject: &key, limits: &limits, record: &record },
        ReportLine { subject: &model, limits: &NONE, record: &record },
        ReportLine { subject: &team, limits: &monthly, record: &LimitRecord::default() },
        ReportLine { subject: &Subject::All, limits: &requests(1), record: &LimitRecord::default() },
    ];
    let mut out = String::new();
    write_report(&mut out, lines, at(0));
    let want = serde_json::json!({
        "scope": "envoy",
        "subjects": [
            {"subject": "key", "id": "a\"b", "limits": {
                "tokens_per_day": {"limit": 10, "used": 12, "remaining": 0, "reset_seconds": 86400},
                "cost_per_day": {"limit": 2.5, "used": 3.000001, "remaining": 0.0, "reset_seconds": 86400},
                "concurrency": {"limit": 4, "used": 1, "remaining": 3, "reset_seconds": null},
            }},
            {"subject": "model", "id": "m", "limits": {}},
            {"subject": "label:team", "id": "x", "limits": {
                "cost_per_month": {"limit": 9.5, "used": 0.0, "remaining": 9.5, "reset_seconds": 0},
            }},
            {"subject": "gateway", "limits": {
                "requests_per_minute": {"limit": 1, "used": 0, "remaining": 1, "reset_seconds": 0},
            }},
        ],
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), want, "{out}");
    let mut empty = String::new();
    write_report(&mut empty, [], at(0));
    assert_eq!(empty, r#"{"scope":"envoy","subjects":[]}"#);
}
