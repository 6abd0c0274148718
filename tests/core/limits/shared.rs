//! Limits that several Envoys share: questions, the meaning of answers, and charges.

use std::rc::Rc;
use std::time::Duration;

use sluice::limits::shared::{
    judge, read_answer, write_request, Charges, Counter, Hit, OnFailure, RateLimitResponse, Service, SharedLimits,
    Status,
};
use sluice::limits::{ActualUsage, Limited, Limits, Quota, Subject, UsageEstimate};

use super::{at, NONE};

fn shared(subjects: Vec<(Subject, Limits)>) -> SharedLimits {
    let service = Service {
        cluster: "ledger".into(),
        domain: "sluice".into(),
        timeout: Duration::from_millis(20),
        on_failure: OnFailure::Local,
    };
    SharedLimits { service: Rc::new(service), subjects, uncounted: false }
}

fn key() -> Subject {
    Subject::Key("alice".into())
}

fn named(hits: &[Hit]) -> Vec<(Limited, u64)> {
    hits.iter().map(|hit| (hit.counter.what, hit.hits)).collect()
}

const ALL: Limits = Limits {
    requests_per_minute: Some(10),
    requests_per_day: None,
    requests_per_month: None,
    tokens_per_minute: Some(1000),
    tokens_per_day: Some(5000),
    tokens_per_month: None,
    microusd_per_day: Some(1_000_000),
    microusd_per_month: None,
    concurrency: Some(2),
    reserve_output: Some(100),
    warn_at: None,
};

#[test]
fn a_request_counts_once_and_its_usage_later() {
    let mut known = shared(vec![(key(), ALL), (Subject::All, NONE)]);
    let asked = [
        (Limited::RequestsPerMinute, 1),
        (Limited::TokensPerMinute, 0),
        (Limited::TokensPerDay, 0),
        (Limited::CostPerDay, 0),
    ];
    assert_eq!(named(&known.question()), asked);
    let reported = ActualUsage::Reported { tokens: 70, microusd: 30 };
    let used = [(Limited::TokensPerMinute, 70), (Limited::TokensPerDay, 70), (Limited::CostPerDay, 30)];
    assert_eq!(named(&known.charges(reported, 100)), used);
    let known_in_part = ActualUsage::AtLeast { tokens: 70, microusd: 0 };
    let used = [(Limited::TokensPerMinute, 100), (Limited::TokensPerDay, 100)];
    assert_eq!(named(&known.charges(known_in_part, 100)), used, "the estimate, if that is more");
    assert_eq!(known.charges(ActualUsage::Nothing, 100), []);
    known.uncounted = true;
    assert_eq!(
        named(&known.charges(ActualUsage::Nothing, 100)),
        [(Limited::RequestsPerMinute, 1)],
        "the service was away"
    );
}

fn question(what: Limited, limit: u64) -> Vec<Hit> {
    vec![Hit { counter: Counter { subject: key(), what, limit }, hits: u64::from(what == Limited::RequestsPerMinute) }]
}

fn answer(is_over: bool, remaining: u64) -> RateLimitResponse {
    let reset = Some(Duration::from_secs(30));
    RateLimitResponse { is_over, statuses: vec![Status { is_over, remaining, reset }] }
}

fn wants(tokens: u64) -> UsageEstimate {
    UsageEstimate { prompt: tokens, output: 0, microusd: 0, vm: 0 }
}

#[test]
fn answers() {
    let cases = [
        (Limited::RequestsPerMinute, false, 0, true), // the last allowed request
        (Limited::RequestsPerMinute, true, 0, false),
        (Limited::TokensPerMinute, false, 5, true),
        (Limited::TokensPerMinute, false, 4, false), // the request's estimate is 5
        (Limited::TokensPerDay, true, 0, false),
        (Limited::CostPerDay, false, 1, true),
        (Limited::CostPerDay, false, 0, false), // nothing is left
    ];
    for (what, is_over, remaining, passes) in cases {
        let judged =
            judge(&shared(vec![(key(), NONE)]), &question(what, 10), &answer(is_over, remaining), wants(5), at(0));
        assert_eq!(judged.is_ok(), passes, "{what:?} {is_over} {remaining}");
        if let Err((subject, excess)) = judged {
            assert_eq!((subject, excess.what, excess.limit), (key(), what, 10));
            assert_eq!(excess.retry_after, Some(Duration::from_secs(30)));
        }
    }
}

#[test]
fn reservations_count_as_requested() {
    let known = shared(vec![(key(), ALL)]);
    let estimate = UsageEstimate { prompt: 5, output: 1000, microusd: 0, vm: 0 };
    let judged = |left| judge(&known, &question(Limited::TokensPerDay, 5000), &answer(false, left), estimate, at(0));
    assert!(judged(105).is_ok() && judged(104).is_err(), "the prompt, and as much output as is reserved");
}

#[test]
fn the_client_sees_the_tightest_limit() {
    let mut question = question(Limited::RequestsPerMinute, 10);
    question.extend(self::question(Limited::RequestsPerMinute, 100));
    let reset = Some(Duration::from_secs(9));
    let statuses = [3, 2].map(|remaining| Status { is_over: false, remaining, reset }).to_vec();
    let rates = judge(
        &shared(vec![(key(), NONE)]),
        &question,
        &RateLimitResponse { is_over: false, statuses },
        wants(0),
        at(0),
    )
    .unwrap();
    assert_eq!(rates.requests, Some(Quota { limit: 100, remaining: 2, reset: Duration::from_secs(9) }));
    assert_eq!(rates.tokens, None);
}

#[test]
fn a_service_without_counts() {
    let silent = |is_over| RateLimitResponse { is_over, statuses: Vec::new() };
    let question = question(Limited::RequestsPerMinute, 10);
    assert!(judge(&shared(vec![(key(), NONE)]), &question, &silent(false), wants(0), at(0)).is_ok());
    let (_, excess) = judge(&shared(vec![(key(), NONE)]), &question, &silent(true), wants(0), at(1)).unwrap_err();
    assert_eq!(excess.retry_after, Some(Duration::from_secs(59)), "until the minute ends");
}

#[test]
fn messages() {
    let hit = |limit, hits| {
        let counter = Counter { subject: key(), what: Limited::TokensPerMonth, limit };
        write_request("s", &[Hit { counter, hits }])
    };
    let entry = |key: &str, value: &str| {
        let pair = [&[0x0a, key.len() as u8], key.as_bytes(), &[0x12, value.len() as u8], value.as_bytes()].concat();
        [&[0x0a, pair.len() as u8], pair.as_slice()].concat()
    };
    let entries = |limit: &str| [entry("subject", "key"), entry("id", "alice"), entry("limit", limit)].concat();
    let message = |limit: &str, rest: &[u8]| {
        let descriptor = [entries(limit), rest.to_vec()].concat();
        [b"\x0a\x01s\x12", &[descriptor.len() as u8][..], &descriptor].concat()
    };
    let month = b"\x12\x05\x08\xe8\x07\x10\x05\x1a\x02\x08\x07";
    assert_eq!(hit(1000, 7), message("tokens_per_month", month));
    // the protocol's limits have 32 bits
    let tens = b"\x12\x08\x08\x80\x94\xeb\xdc\x03\x10\x05\x1a\x02\x08\x02";
    assert_eq!(hit(10_000_000_000, 11), message("tokens_per_month/10", tens), "hits are rounded up");
}

#[test]
fn every_limit_has_its_window_and_hits() {
    let team = Subject::Label("team".into(), "a".into());
    let limits = Limits {
        requests_per_day: Some(1),
        requests_per_month: Some(2),
        microusd_per_month: Some(3),
        tokens_per_month: Some(4),
        ..ALL
    };
    let known = shared(vec![(team, limits)]);
    let units: Vec<_> = known
        .question()
        .into_iter()
        .map(|hit| {
            let message = write_request("s", std::slice::from_ref(&hit));
            let unit = message.windows(2).rev().find(|pair| pair[0] == 0x10).unwrap()[1];
            let text = String::from_utf8_lossy(&message).into_owned();
            assert!(text.contains("label:team") && text.contains(hit.counter.what.name()), "{text:?}");
            (hit.counter.what.name(), unit, hit.hits)
        })
        .collect();
    let want = [
        ("requests_per_minute", 2, 1),
        ("requests_per_day", 4, 1),
        ("requests_per_month", 5, 1),
        ("tokens_per_minute", 2, 0),
        ("tokens_per_day", 4, 0),
        ("tokens_per_month", 5, 0),
        ("cost_per_day", 4, 0),
        ("cost_per_month", 5, 0),
    ];
    assert_eq!(units, want);
    let charged = known.charges(ActualUsage::Reported { tokens: 70, microusd: 30 }, 0);
    let charged: Vec<_> = charged.iter().map(|hit| (hit.counter.what.name(), hit.hits)).collect();
    let want = [
        ("tokens_per_minute", 70),
        ("tokens_per_day", 70),
        ("tokens_per_month", 70),
        ("cost_per_day", 30),
        ("cost_per_month", 30),
    ];
    assert_eq!(charged, want);
}

#[test]
fn unreadable_answers() {
    let good = b"\x08\x01\x12\x0c\x08\x01\x12\x02\x08\x03\x18\x02\x22\x02\x08\x09";
    let status = Status { is_over: false, remaining: 2, reset: Some(Duration::from_secs(9)) };
    assert_eq!(read_answer(good, 1), Some(RateLimitResponse { is_over: false, statuses: vec![status] }));
    for end in 0..good.len() {
        // some prefixes are valid messages
        if let Some(answer) = read_answer(&good[..end], 1) {
            assert_eq!(answer.statuses, [], "{end}");
        }
    }
    for bad in [&b""[..], b"\x08\x00", b"\x08\x03", b"\xff", b"\x12\x7f", b"\x08\x01\x0b", b"\x08\x01\x12\x01\xff"] {
        assert_eq!(read_answer(bad, 1), None, "{bad:?}");
    }
    let negative = b"\x08\x01\x12\x0d\x22\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(read_answer(negative, 1).unwrap().statuses[0].reset, Some(Duration::ZERO));
}

#[test]
fn charges_are_summed_while_they_wait() {
    let mut charges = Charges::default();
    let hit = |what, hits| Hit { counter: Counter { subject: key(), what, limit: 10 }, hits };
    for hits in [1, 2] {
        assert!(charges.add(hit(Limited::TokensPerDay, hits), at(0)));
        assert!(charges.add(hit(Limited::TokensPerMinute, hits), at(0)));
    }
    let sums = |mut hits: Vec<Hit>| {
        hits.sort_by_key(|hit| hit.counter.what.name());
        named(&hits)
    };
    let taken = charges.take(at(1));
    assert!(charges.is_empty());
    assert_eq!(sums(taken.clone()), [(Limited::TokensPerDay, 3), (Limited::TokensPerMinute, 3)]);
    // the call has failed
    taken.into_iter().for_each(|hit| assert!(charges.add(hit, at(2))));
    assert_eq!(sums(charges.take(at(70))), [(Limited::TokensPerDay, 3)], "that minute has passed");
    assert!(charges.is_empty());
}

#[test]
fn charges_are_bounded() {
    let mut charges = Charges::default();
    let hit = |index: u32| {
        let subject = Subject::Key(index.to_string().into());
        Hit { counter: Counter { subject, what: Limited::CostPerDay, limit: 10 }, hits: 1 }
    };
    let kept = (0..10_010).filter(|index| charges.add(hit(*index), at(0))).count();
    assert_eq!(kept, 10_000);
    assert!(charges.add(hit(0), at(0)), "a limit that waits already takes more");
    let mut calls = 0;
    while !charges.is_empty() {
        assert_eq!(charges.take(at(0)).len(), 100);
        calls += 1;
    }
    assert_eq!(calls, 100);
}
