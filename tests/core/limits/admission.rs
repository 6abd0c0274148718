use std::time::Duration;

use sluice::codec::SharedRecord;
use sluice::error::{ApiError, ErrorKind, Shape};
use sluice::limits::{
    prompt_tokens, ActualUsage, Changed, LimitRecord, Limited, Limits, Reservation, Subject, UsageEstimate, LEASE,
    MAX_VMS,
};

use super::{admit, ask, at, requests, NONE, WIDE};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

#[test]
fn each_limit_refuses_and_opens_again() {
    let tokens = |limit| (Limits { tokens_per_minute: Some(limit), ..NONE }, Limited::TokensPerMinute);
    let daily = (Limits { tokens_per_day: Some(100), ..NONE }, Limited::TokensPerDay);
    let monthly = (Limits { tokens_per_month: Some(100), ..NONE }, Limited::TokensPerMonth);
    // limits, tokens for each request, number of admissions, seconds until the next one
    let cases = [
        ((requests(3), Limited::RequestsPerMinute), 9, 3, 60),
        (tokens(100), 30, 3, 60),
        (tokens(90), 30, 3, 60),
        (tokens(89), 30, 2, 60),
        (daily, 50, 2, DAY),
        // START is on November 14, at 23:00:00 UTC
        (monthly, 100, 1, 16 * DAY + HOUR),
        ((Limits { requests_per_day: Some(2), ..NONE }, Limited::RequestsPerDay), 9, 2, DAY),
        ((Limits { requests_per_month: Some(2), ..NONE }, Limited::RequestsPerMonth), 9, 2, 16 * DAY + HOUR),
    ];
    for ((limits, what), tokens, times, opens) in cases {
        let mut record = LimitRecord::default();
        for _ in 0..times {
            admit(&mut record, &limits, ask(tokens), at(0)).unwrap();
        }
        let excess = admit(&mut record, &limits, ask(tokens), at(0)).unwrap_err();
        assert_eq!((excess.what, excess.retry_after), (what, Some(Duration::from_secs(opens))), "{limits:?}");
        let late = at(0) + Duration::from_millis(opens * 1000 - 1);
        let excess = admit(&mut record, &limits, ask(tokens), late).unwrap_err();
        assert_eq!(excess.retry_after, Some(Duration::from_millis(1)), "{limits:?}");
        assert!(admit(&mut record, &limits, ask(tokens), at(opens)).is_ok(), "{limits:?}");
    }
}

#[test]
fn a_wait_is_as_short_as_possible() {
    let limits = Limits { tokens_per_minute: Some(100), ..NONE };
    let mut record = LimitRecord::default();
    for (second, tokens) in [(0, 10), (5, 20), (10, 40), (20, 30)] {
        admit(&mut record, &limits, ask(tokens), at(second)).unwrap();
    }
    for (tokens, opens) in [(1, 60), (10, 60), (11, 65), (30, 65), (31, 70), (70, 70), (71, 80), (100, 80)] {
        let excess = admit(&mut record, &limits, ask(tokens), at(30)).unwrap_err();
        assert_eq!(excess.retry_after, Some(at(opens) - at(30)), "{tokens}");
    }
}

#[test]
fn a_cost_beyond_its_estimate_is_known_afterwards() {
    let limits = Limits { microusd_per_day: Some(1_000_000), ..NONE };
    let mut record = LimitRecord::default();
    let first = admit(&mut record, &limits, ask(0), at(0)).unwrap();
    let second = admit(&mut record, &limits, ask(0), at(0)).unwrap();
    let _ = record.settle(&first, ActualUsage::Reported { tokens: 1, microusd: 999_999 }, 1, at(HOUR));
    let third = admit(&mut record, &limits, ask(0), at(HOUR)).unwrap();
    let _ = record.settle(&second, ActualUsage::Reported { tokens: 1, microusd: 1 }, 1, at(2 * HOUR));
    let _ = record.settle(&third, ActualUsage::AtLeast { tokens: 0, microusd: 0 }, 1, at(2 * HOUR));
    let excess = admit(&mut record, &limits, ask(0), at(2 * HOUR)).unwrap_err();
    assert_eq!((excess.what, excess.used, excess.limit), (Limited::CostPerDay, 1_000_000, 1_000_000));
    assert_eq!(excess.retry_after, Some(Duration::from_secs(22 * HOUR)), "when those of the first hour have slid out");
}

#[test]
fn money_is_reserved() {
    let limits = Limits { microusd_per_day: Some(100), ..NONE };
    let mut record = LimitRecord::default();
    let costs = |microusd| UsageEstimate { microusd, ..ask(0) };
    let first = admit(&mut record, &limits, costs(60), at(0)).unwrap();
    let excess = admit(&mut record, &limits, costs(50), at(0)).unwrap_err();
    assert_eq!((excess.what, excess.used, excess.wanted), (Limited::CostPerDay, 60, 50));
    // the model of an admitted request becomes known later
    let second = admit(&mut record, &limits, costs(0), at(0)).unwrap();
    let excess = record.reserve(&second, 41, at(HOUR)).unwrap_err();
    assert_eq!((excess.what, excess.used, excess.wanted, excess.limit), (Limited::CostPerDay, 60, 41, 100));
    record.reserve(&second, 40, at(HOUR)).unwrap();
    assert!(admit(&mut record, &limits, costs(0), at(HOUR)).is_err(), "nothing is left");
    let _ = record.settle(&first, ActualUsage::Reported { tokens: 1, microusd: 10 }, 1, at(2 * HOUR));
    assert_eq!(record.used(Limited::CostPerDay, at(2 * HOUR)), 50);
    record.withdraw(&Reservation { microusd: 40, ..second }, 1, at(2 * HOUR));
    assert_eq!(record.used(Limited::CostPerDay, at(2 * HOUR)), 10);
    let third = admit(&mut record, &limits, costs(90), at(2 * HOUR)).unwrap();
    let _ = record.settle(&third, ActualUsage::Nothing, 1, at(3 * HOUR));
    assert_eq!(record.used(Limited::CostPerDay, at(3 * HOUR)), 10);
}

#[test]
fn a_refusal_for_money_names_the_budget() {
    let limits = Limits { microusd_per_day: Some(500_000), ..NONE };
    let mut record = LimitRecord::default();
    let costs = |microusd| UsageEstimate { microusd, ..ask(0) };
    admit(&mut record, &limits, costs(400_000), at(0)).unwrap();
    let mut says =
        |microusd| admit(&mut record, &limits, costs(microusd), at(0)).unwrap_err().error(&Subject::All, None);
    let busy = says(100_001);
    assert_eq!((busy.status, busy.code), (429, "insufficient_quota"));
    let want =
        "Quota reached for the gateway on cost per day: Limit $0.50, Used $0.40, Requested $0.100001. Please try";
    assert!(busy.message.starts_with(want), "{}", busy.message);
    let large = says(500_001).message;
    let want = "Request too large for the gateway on cost per day: Limit $0.50, Requested $0.500001. Waiting";
    assert!(large.starts_with(want), "{large}");
}

#[test]
fn all_or_nothing() {
    let limits = Limits { requests_per_minute: Some(9), tokens_per_day: Some(10), concurrency: Some(9), ..NONE };
    let mut record = LimitRecord::default();
    admit(&mut record, &limits, ask(8), at(0)).unwrap();
    let before = Limited::ALL.map(|what| record.used(what, at(1)));
    record.admit(&limits, ask(3), at(1)).unwrap_err();
    assert_eq!(Limited::ALL.map(|what| record.used(what, at(1))), before);
}

#[test]
fn the_limit_with_the_longest_wait_is_named() {
    let limits = Limits { requests_per_minute: Some(1), tokens_per_day: Some(10), concurrency: Some(1), ..NONE };
    let mut record = LimitRecord::default();
    admit(&mut record, &limits, ask(8), at(0)).unwrap();
    for (tokens, want) in [(2, Limited::RequestsPerMinute), (3, Limited::TokensPerDay), (11, Limited::TokensPerDay)] {
        assert_eq!(admit(&mut record, &limits, ask(tokens), at(0)).unwrap_err().what, want, "{tokens}");
    }
}

#[test]
fn reservations_are_settled() {
    // actual usage, then the counted tokens and requests
    let reported = |tokens| ActualUsage::Reported { tokens, microusd: 7 };
    let at_least = |tokens| ActualUsage::AtLeast { tokens, microusd: 7 };
    for (spent, tokens) in [
        (reported(0), 5),
        (reported(3), 8),
        (reported(90), 95),
        (at_least(3), 15),
        (at_least(12), 17),
        (ActualUsage::Nothing, 5),
    ] {
        let mut record = LimitRecord::default();
        admit(&mut record, &WIDE, ask(5), at(0)).unwrap();
        let reservation = admit(&mut record, &WIDE, ask(10), at(2)).unwrap();
        for second in (2..30).step_by(5) {
            let _ = record.renew(1, 2, at(second));
        }
        let _ = record.settle(&reservation, spent, 1, at(30));
        for what in [Limited::TokensPerMinute, Limited::TokensPerDay, Limited::TokensPerMonth] {
            assert_eq!(record.used(what, at(30)), tokens, "{spent:?}");
        }
        assert_eq!(
            record.used(Limited::TokensPerMinute, at(60)),
            tokens - 5,
            "in the bucket of the admission: {spent:?}"
        );
        assert_eq!(record.used(Limited::TokensPerMinute, at(62)), 0, "{spent:?}");
        assert_eq!(
            (record.used(Limited::RequestsPerMinute, at(30)), record.used(Limited::Concurrency, at(30))),
            (2, 1)
        );
    }
}

#[test]
fn an_answer_longer_than_the_window() {
    let mut record = LimitRecord::default();
    let reservation = admit(&mut record, &WIDE, ask(10), at(0)).unwrap();
    admit(&mut record, &WIDE, ask(20), at(100)).unwrap();
    let _ = record.settle(&reservation, ActualUsage::Reported { tokens: 7, microusd: 0 }, 1, at(100));
    assert_eq!(record.used(Limited::TokensPerMinute, at(100)), 20);
    assert_eq!(record.used(Limited::TokensPerDay, at(100)), 27);
}

#[test]
fn a_withdrawn_request_counts_nothing() {
    let mut record = LimitRecord::default();
    admit(&mut record, &WIDE, ask(5), at(0)).unwrap();
    let before = record.clone();
    let reservation = admit(&mut record, &WIDE, ask(10), at(0)).unwrap();
    record.withdraw(&reservation, 1, at(0));
    assert_eq!(record, before);
}

#[test]
fn clocks_that_are_set_back() {
    let limits = Limits { requests_per_minute: Some(2), tokens_per_day: Some(100), concurrency: Some(2), ..NONE };
    // how far back, and when it opens again by the changed clock
    for (back, opens) in
        [(0, 60), (1, 60), (59, 60), (60, 60), (61, 60 - 61), (1000, 60 - 1000), (900_000_000, 60 - 900_000_000i64)]
    {
        let mut record = LimitRecord::default();
        let now = at(0) - Duration::from_secs(back);
        admit(&mut record, &limits, ask(40), at(0)).unwrap();
        let reservation = admit(&mut record, &limits, ask(40), at(0)).unwrap();
        let excess = admit(&mut record, &limits, ask(1), now).unwrap_err();
        let opens = Duration::from_secs((START_I64 + opens) as u64);
        assert!(
            excess.what == Limited::RequestsPerMinute && record.used(Limited::TokensPerDay, now) == 80,
            "{back}: unlocked"
        );
        assert_eq!(now + excess.retry_after.unwrap(), opens, "{back}");
        let _ = record.settle(&reservation, ActualUsage::Reported { tokens: 10, microusd: 0 }, 1, now);
        assert_eq!(record.used(Limited::TokensPerDay, now), 50, "{back}");
        assert!(admit(&mut record, &limits, ask(1), opens - Duration::from_millis(1)).is_err(), "{back}");
        assert!(admit(&mut record, &limits, ask(1), opens).is_ok(), "{back}");
    }
}

const START_I64: i64 = super::START as i64;

#[test]
fn the_slots_of_a_crashed_vm_are_released() {
    let limits = Limits { concurrency: Some(3), ..NONE };
    let mut record = LimitRecord::default();
    let on = |vm| UsageEstimate { vm, ..ask(0) };
    for vm in [1, 2, 2] {
        admit(&mut record, &limits, on(vm), at(0)).unwrap();
    }
    let excess = admit(&mut record, &limits, on(1), at(0)).unwrap_err();
    assert_eq!((excess.what, excess.used, excess.retry_after), (Limited::Concurrency, 3, None));
    let over = LEASE.as_secs() + 1;
    assert_eq!(record.renew(1, 1, at(over - 2)), Changed::Write);
    assert!(admit(&mut record, &limits, on(1), at(over - 1)).is_err());
    assert_eq!(record.used(Limited::Concurrency, at(over)), 1, "vm 2 is gone");
    assert!(admit(&mut record, &limits, on(3), at(over)).is_ok());
    assert_eq!(record.renew(2, 2, at(over)), Changed::Write, "it was only slow");
    assert_eq!(record.used(Limited::Concurrency, at(over)), 4);
    assert_eq!(record.renew(2, 0, at(over)), Changed::Write);
    assert_eq!(record.renew(2, 0, at(over)), Changed::Keep);
    assert_eq!(record.used(Limited::Concurrency, at(over)), 2);
    assert_eq!(LimitRecord::default().renew(2, 2, at(0)), Changed::Keep, "nothing is limited");
}

#[test]
fn the_number_of_vms_is_bounded() {
    let limits = Limits { concurrency: Some(1 << 40), ..NONE };
    let mut record = LimitRecord::default();
    for vm in 0..MAX_VMS as u64 {
        admit(&mut record, &limits, UsageEstimate { vm, ..ask(0) }, at(0)).unwrap();
    }
    let further = UsageEstimate { vm: u64::MAX, ..ask(0) };
    assert_eq!(admit(&mut record, &limits, further, at(1)).unwrap_err().what, Limited::Concurrency);
    assert!(admit(&mut record, &limits, UsageEstimate { vm: 7, ..ask(0) }, at(1)).is_ok());
    let _ = record.renew(u64::MAX, 3, at(1));
    assert_eq!(record.used(Limited::Concurrency, at(1)), MAX_VMS as u64 + 1);
    assert!(admit(&mut record, &limits, further, at(12)).is_ok(), "the others are gone");
}

#[test]
fn a_removed_limit_takes_no_space() {
    let mut record = LimitRecord::default();
    admit(&mut record, &WIDE, ask(5), at(0)).unwrap();
    admit(&mut record, &requests(5), ask(5), at(0)).unwrap();
    let bytes = record.encode();
    assert_eq!((bytes.len(), record.used(Limited::RequestsPerMinute, at(0))), (9, 2));
    assert_eq!(record.used(Limited::TokensPerDay, at(0)), 0);
}

#[test]
fn estimates() {
    let estimate = |prompt, output| UsageEstimate { output, ..ask(prompt) };
    let capped = |limit| Limits { reserve_output: Some(limit), ..NONE };
    let cases = [
        (estimate(0, 0), NONE, 0),
        (estimate(2, 10), NONE, 12),
        (estimate(2, 10), capped(10), 12),
        (estimate(2, 64_000), capped(10), 12),
        (estimate(2, 0), capped(10), 2),
        (estimate(2, 64_000), capped(2000), 2002),
        (estimate(2, 1999), capped(2000), 2001),
        (estimate(u64::MAX, u64::MAX), NONE, u64::MAX),
    ];
    for (estimate, limits, want) in cases {
        assert_eq!(estimate.tokens(&limits), want, "{estimate:?} {limits:?}");
    }
    assert_eq!([0, 1, 4, 5].map(prompt_tokens), [0, 1, 1, 2]);
}

/// The window holds the reservation until the request ends, and then the actual usage.
#[test]
fn reserve_output() {
    let limits = Limits {
        tokens_per_minute: Some(1000),
        tokens_per_day: Some(1000),
        tokens_per_month: Some(1000),
        microusd_per_day: Some(100),
        reserve_output: Some(200),
        ..NONE
    };
    let estimate = UsageEstimate { prompt: 100, output: 64_000, microusd: 90, vm: 1 };
    let kinds = [Limited::TokensPerMinute, Limited::TokensPerDay, Limited::TokensPerMonth];
    let mut record = LimitRecord::default();
    let first = admit(&mut record, &limits, estimate, at(0)).unwrap();
    assert_eq!(kinds.map(|what| record.used(what, at(0))), [300; 3]);
    assert_eq!(record.used(Limited::CostPerDay, at(0)), 90, "money is reserved for all that may come");
    let excess = admit(&mut record, &limits, estimate, at(0)).unwrap_err();
    assert_eq!((excess.what, excess.wanted), (Limited::CostPerDay, 90));
    let _ = record.settle(&first, ActualUsage::Reported { tokens: 900, microusd: 10 }, 1, at(1));
    assert_eq!(kinds.map(|what| record.used(what, at(1))), [900; 3]);
    let excess = admit(&mut record, &limits, estimate, at(1)).unwrap_err();
    assert_eq!((excess.used, excess.wanted, excess.is_too_large()), (900, 300, false));
}

/// Requests that waiting does not help: 400, and the field to change.
#[test]
fn requests_above_the_limit() {
    let tokens = |prompt, output| UsageEstimate { output, ..ask(prompt) };
    let costs = |microusd| UsageEstimate { microusd, ..ask(4) };
    let (per_minute, per_day) =
        (Limits { tokens_per_minute: Some(9), ..NONE }, Limits { tokens_per_day: Some(9), ..NONE });
    let per_month = Limits { tokens_per_month: Some(9), reserve_output: Some(8), ..NONE };
    let money = Limits { microusd_per_day: Some(500_000), reserve_output: Some(1), tokens_per_day: Some(100), ..NONE };
    let field = Some("max_tokens");
    let cases = [
        (per_minute, tokens(1, 9), field, field, "tokens per min (TPM): Limit 9, Requested 10. Waiting does not help: ask for less output (`max_tokens`)."),
        (per_day, tokens(9, 1), field, None, "tokens per day (TPD): Limit 9, Requested 10. Waiting does not help: shorten the prompt."),
        (per_day, tokens(10, 0), None, None, "tokens per day (TPD): Limit 9, Requested 10. Waiting does not help: shorten the prompt."),
        (per_month, tokens(2, 9000), field, field, "tokens per month: Limit 9, Requested 10. Waiting does not help: ask for less output (`max_tokens`)."),
        (money, costs(500_001), field, field, "cost per day: Limit $0.50, Requested $0.500001. Waiting does not help: ask for less output (`max_tokens`)."),
        (money, costs(500_001), None, None, "cost per day: Limit $0.50, Requested $0.500001. Waiting does not help: shorten the prompt, or set a maximum of output."),
    ];
    for (limits, estimate, output, param, message) in cases {
        for used in [0, 8] {
            let mut record = LimitRecord::default();
            let before = ActualUsage::Reported { tokens: used, microusd: used };
            let reservation = record.admit(&Limits { reserve_output: None, ..limits }, ask(0), at(0)).unwrap();
            let _ = record.settle(&reservation, before, 2, at(0));
            let excess = record.admit(&limits, estimate, at(1)).unwrap_err();
            let error = excess.error(&Subject::Key("alice".into()), output);
            assert_eq!(error.message, format!("Request too large for this key on {message}"));
            assert_eq!((error.status, error.code, error.param), (400, "request_above_limit", param), "{message}");
            assert_eq!((error.kind, error.retry_after), (ErrorKind::InvalidRequest, None));
        }
    }
}

#[test]
fn refusals() {
    let key = Subject::Key("alice".into());
    let model = Subject::Model("gpt-4o".into());
    let team = Subject::Label("team".into(), "a".into());
    let filled = |limits: Limits| {
        let mut record = LimitRecord::default();
        let reservation = record.admit(&limits, ask(8), at(0)).unwrap();
        let _ = record.settle(&reservation, ActualUsage::Reported { tokens: 8, microusd: 2_512_500 }, 2, at(0));
        record
    };
    let (rate, quota) = ("rate_limit_exceeded", "insufficient_quota");
    let cases = [
        (requests(1), 2, &key, ErrorKind::Requests, rate, "requests", "Rate limit reached for this key on requests per min (RPM): Limit 1, Used 1, Requested 1. Please try again in 59s."),
        (Limits { tokens_per_minute: Some(9), ..NONE }, 2, &model, ErrorKind::Tokens, rate, "tokens", "Rate limit reached for the model `gpt-4o` on tokens per min (TPM): Limit 9, Used 8, Requested 2. Please try again in 59s."),
        (Limits { tokens_per_day: Some(9), ..NONE }, 2, &Subject::All, ErrorKind::Quota, quota, "insufficient_quota", "Quota reached for the gateway on tokens per day (TPD): Limit 9, Used 8, Requested 2. Please try again in 23h59m59s."),
        (Limits { tokens_per_month: Some(9), ..NONE }, 2, &key, ErrorKind::Quota, quota, "insufficient_quota", "Quota reached for this key on tokens per month: Limit 9, Used 8, Requested 2. Please try again in 384h59m59s."),
        (Limits { microusd_per_day: Some(2_500_000), ..NONE }, 2, &key, ErrorKind::Quota, quota, "insufficient_quota", "Quota reached for this key on cost per day: Limit $2.50, Used $2.5125. Please try again in 23h59m59s."),
        (Limits { microusd_per_month: Some(2_500_000), ..NONE }, 2, &team, ErrorKind::Quota, quota, "insufficient_quota", "Quota reached for the label `team=a` on cost per month: Limit $2.50, Used $2.5125. Please try again in 384h59m59s."),
        (Limits { requests_per_day: Some(1), ..NONE }, 2, &key, ErrorKind::Quota, quota, "insufficient_quota", "Quota reached for this key on requests per day (RPD): Limit 1, Used 1, Requested 1. Please try again in 23h59m59s."),
        (Limits { requests_per_month: Some(1), ..NONE }, 2, &key, ErrorKind::Quota, quota, "insufficient_quota", "Quota reached for this key on requests per month: Limit 1, Used 1, Requested 1. Please try again in 384h59m59s."),
        (Limits { concurrency: Some(1), ..NONE }, 2, &key, ErrorKind::Requests, rate, "requests", "Rate limit reached for this key on requests at a time: Limit 1, Used 1, Requested 1. Please try again when another has ended."),
    ];
    for (limits, tokens, subject, kind, code, openai, message) in cases {
        let excess = filled(limits).admit(&limits, ask(tokens), at(1)).unwrap_err();
        let error = excess.error(subject, None);
        let want = ApiError {
            status: 429,
            kind,
            message: message.into(),
            param: None,
            code,
            allow: None,
            retry_after: excess.retry_after,
        };
        assert_eq!(error, want);
        assert!(error.body(Shape::OpenAi).contains(&format!(r#""type":"{openai}""#)), "{message}");
        assert!(error.body(Shape::Anthropic).contains(r#""type":"rate_limit_error""#), "{message}");
        assert!(!excess.is_too_large());
    }
    let excess = LimitRecord::default().admit(&requests(0), ask(1), at(0)).unwrap_err();
    let message = "Rate limit reached for this key on requests per min (RPM): Limit 0, Used 0, Requested 1.";
    assert_eq!((excess.error(&key, None).message.as_str(), excess.retry_after), (message, None));
}
