use sluice::config::ConfigError;
use sluice::limits::Limits;
use sluice::routing::Table;
use sluice::usage::Price;

use super::{read, refusal};

/// A configuration with one model, which has these further fields.
fn with_fields(fields: &str) -> Result<Table, ConfigError> {
    read(&format!(
        r#"{{"upstreams": {{"a": {{}}}}, "models": [{{"name": "m", "targets": [{{"upstream": "a"}}], {fields}}}]}}"#
    ))
}

#[test]
fn limits_and_prices_of_a_model() {
    let all = r#""limits": {"requests_per_minute": 1, "requests_per_day": 8, "requests_per_month": 9, "tokens_per_minute": 2e3, "tokens_per_day": 3, "tokens_per_month": "5000000000",
        "cost_per_day": 0.5, "cost_per_month": 2500, "concurrency": 6, "reserve_output": 7, "warn_at": 80}"#;
    let limits = Limits {
        requests_per_minute: Some(1),
        requests_per_day: Some(8),
        requests_per_month: Some(9),
        tokens_per_minute: Some(2000),
        tokens_per_day: Some(3),
        tokens_per_month: Some(5_000_000_000),
        microusd_per_day: Some(500_000),
        microusd_per_month: Some(2_500_000_000),
        concurrency: Some(6),
        reserve_output: Some(7),
        warn_at: Some(80),
    };
    let one = Limits { concurrency: Some(2), ..Limits::default() };
    for (text, want) in [
        (all, limits),
        (r#""limits": {"concurrency": 2}"#, one),
        (r#""limits": {}"#, Limits::default()),
        (r#""aliases": []"#, Limits::default()),
    ] {
        assert_eq!(with_fields(text).unwrap().models()[0].limits, want, "{text}");
    }
    let price = |input, cached_input, output| Some(Price { cached_input, ..Price::new(input, output) });
    let cases = [
        (r#""aliases": []"#, None),
        (r#""price": {"input": 2.5, "cached_input": 1.25, "output": 10}"#, price(2_500_000, 1_250_000, 10_000_000)),
        (r#""price": {"input": "0.075", "output": "0.3"}"#, price(75_000, 75_000, 300_000)),
        (r#""price": {"input": 3, "cached_input": 0, "output": "0"}"#, price(3_000_000, 0, 0)),
        (r#""price": {"input": 0.0000004, "output": 0.0000005}"#, price(0, 0, 1)),
        (
            r#""price": {"input": 4, "output": 8, "cache_write": 5.5, "cache_write_1h": 9, "audio_input": 40, "audio_output": 80,
                "image_input": 10, "image_output": 30, "image": 0.04}"#,
            Some(Price {
                cache_write: 5_500_000,
                cache_write_1h: 9_000_000,
                audio_input: 40_000_000,
                audio_output: 80_000_000,
                image_input: 10_000_000,
                image_output: 30_000_000,
                image: 40_000,
                ..Price::new(4_000_000, 8_000_000)
            }),
        ),
    ];
    for (text, want) in cases {
        assert_eq!(with_fields(text).unwrap().models()[0].price, want, "{text}");
    }
}

#[test]
fn mistakes_in_limits_and_prices() {
    let dollars = "must be an amount in dollars, such as 2.5";
    let percentage = "must be a percentage from 1 to 100, such as 80".to_owned();
    let whole = |number| format!("{number} is not a whole number from 1 to 10^15");
    let cases = [
        (r#""limits": 3"#, "limits", "must be an object, but is a number".to_owned()),
        (
            r#""limits": {"token_per_day": 3}"#,
            "limits.token_per_day",
            "no such field; did you mean \"tokens_per_day\"?".to_owned(),
        ),
        (r#""limits": {"tokens_per_day": 0}"#, "limits.tokens_per_day", whole("0")),
        (r#""limits": {"requests_per_day": 9, "warn_at": 101}"#, "limits.warn_at", percentage.clone()),
        (r#""limits": {"requests_per_day": 9, "warn_at": 256}"#, "limits.warn_at", percentage),
        (r#""limits": {"requests_per_day": 9, "warn_at": 0}"#, "limits.warn_at", whole("0")),
        (
            r#""limits": {"concurrency": 9, "warn_at": 80}"#,
            "limits.warn_at",
            "warns of limits of requests, tokens or cost; set one of these beside it".to_owned(),
        ),
        (r#""limits": {"concurrency": 1.5}"#, "limits.concurrency", whole("1.5")),
        (
            r#""limits": {"requests_per_minute": [9]}"#,
            "limits.requests_per_minute",
            "must be a number, but is a list".to_owned(),
        ),
        (r#""limits": {"tokens_per_day": "9x"}"#, "limits.tokens_per_day", whole("\"9x\"")),
        (r#""limits": {"tokens_per_day": "-9"}"#, "limits.tokens_per_day", whole("\"-9\"")),
        (r#""limits": {"tokens_per_day": 1e16}"#, "limits.tokens_per_day", whole("10000000000000000")),
        (r#""limits": {"cost_per_day": 0}"#, "limits.cost_per_day", dollars.to_owned()),
        (r#""limits": {"cost_per_day": "much"}"#, "limits.cost_per_day", dollars.to_owned()),
        (
            r#""limits": {"cost_per_day": 1, "reserve_output": 2000}"#,
            "limits.reserve_output",
            "is how much output tokens_per_minute, tokens_per_day and tokens_per_month reserve; set one of these beside it"
                .to_owned(),
        ),
        (r#""price": 3"#, "price", "must be an object, but is a number".to_owned()),
        (r#""price": {}"#, "price.input", "missing".to_owned()),
        (r#""price": {"input": 1}"#, "price.output", "missing".to_owned()),
        (
            r#""price": {"input": 1, "output": 1, "ouput": 1}"#,
            "price.ouput",
            "no such field; did you mean \"output\"?".to_owned(),
        ),
        (r#""price": {"input": -1, "output": 1}"#, "price.input", dollars.to_owned()),
        (r#""price": {"input": 1, "output": "inf"}"#, "price.output", dollars.to_owned()),
        (r#""price": {"input": 1, "output": "NaN"}"#, "price.output", dollars.to_owned()),
        (r#""price": {"input": 1, "output": 1, "cached_input": "$1"}"#, "price.cached_input", dollars.to_owned()),
        (r#""price": {"input": 1, "output": 1e10}"#, "price.output", dollars.to_owned()),
        (r#""price": {"input": true, "output": 1}"#, "price.input", dollars.to_owned()),
    ];
    for (text, path, problem) in cases {
        assert_eq!(refusal(text, with_fields(text)), format!("router.models[0].{path}: {problem}"));
    }
}
