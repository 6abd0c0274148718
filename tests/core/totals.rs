use std::time::Duration;

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::totals::{By, Form, Query, Row, Sums, Totals, MAX_DAYS, MAX_ROWS};
use sluice::usage::{Source, TokenUsage};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const DAY: u64 = 86_400;

fn row(day: u64, key: &str, model: &str, cluster: &str) -> Row {
    Row::new(Duration::from_secs(day * DAY + 5), key, model, cluster)
}

fn sums(requests: u64, input: u64) -> Sums {
    Sums { requests, input, ..Sums::default() }
}

fn some() -> Totals {
    let mut totals = Totals::default();
    totals.add(row(20_000, "alice", "gpt-4o", "a"), &sums(1, 10));
    totals.add(row(20_001, "alice", "gpt-4o", "b"), &sums(2, 20));
    totals.add(row(20_001, "=bob\"", "llama", "b"), &sums(4, 40));
    totals
}

#[test]
fn one_request() {
    let tokens = TokenUsage { input: 9, output: 4, cached_input: 3, reasoning_output: 2, ..TokenUsage::default() };
    let used =
        Sums { requests: 1, input: 9, output: 4, cached_input: 3, reasoning_output: 2, microusd: 7, incomplete: 0 };
    let cases = [
        (Some((tokens, Source::Reported)), used),
        (Some((tokens, Source::Counted)), used),
        (Some((tokens, Source::Partial)), Sums { incomplete: 1, ..used }),
        (Some((tokens, Source::Estimated)), Sums { incomplete: 1, ..used }),
        (
            Some((TokenUsage::default(), Source::Missing)),
            Sums { requests: 1, microusd: 7, incomplete: 1, ..Sums::default() },
        ),
        (None, sums(1, 0)),
    ];
    for (usage, want) in cases {
        assert_eq!(Sums::of(usage, 7), want, "{usage:?}");
    }
}

#[test]
fn reports() {
    let cases = [
        (By::Key, None, json!([["=bob\"", 4, 40], ["alice", 3, 30]])),
        (By::Model, None, json!([["gpt-4o", 3, 30], ["llama", 4, 40]])),
        (By::Cluster, None, json!([["a", 1, 10], ["b", 6, 60]])),
        (By::Day, None, json!([["2024-10-04", 1, 10], ["2024-10-05", 6, 60]])),
        (By::Cluster, Some("alice"), json!([["a", 1, 10], ["b", 2, 20]])),
        (By::Key, Some("nobody"), json!([])),
    ];
    for (by, only, want) in cases {
        let text = Query { by, form: Form::Json }.write(&some(), only);
        let report: Value = serde_json::from_str(&text).unwrap();
        let name = report["by"].as_str().unwrap();
        let data = report["data"].as_array().unwrap().iter();
        let found: Vec<Value> = data.map(|e| json!([e[name], e["requests"], e["input_tokens"]])).collect();
        assert_eq!(Value::Array(found), want, "{by:?} {only:?}");
    }
    let csv = Query { by: By::Key, form: Form::Csv }.write(&some(), None);
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(lines[1..], ["\"'=bob\"\"\",4,40,0,0,0,0,0", "\"alice\",3,30,0,0,0,0,0", ""]);
}

#[test]
fn queries() {
    let cases = [
        ("/gateway/usage", Ok((By::Key, Form::Json))),
        ("/gateway/usage?", Ok((By::Key, Form::Json))),
        ("/gateway/usage?format=csv&by=model&_=1", Ok((By::Model, Form::Csv))),
        ("/gateway/usage?by=", Err(Some("by"))),
        ("/gateway/usage?by", Err(Some("by"))),
        ("/gateway/usage?format=xml", Err(Some("format"))),
    ];
    for (path, want) in cases {
        let found = Query::read(path).map(|query| (query.by, query.form)).map_err(|error| error.param);
        assert_eq!(found, want, "{path}");
    }
}

#[test]
fn what_is_too_much_is_summed_up() {
    let mut totals = Totals::default();
    for number in 0..MAX_ROWS + 10 {
        totals.add(row(1, &format!("key-{number}"), "m", "c"), &sums(1, 1));
    }
    totals.add(row(1, "key-0", "m", "c"), &sums(1, 1));
    let requests: u64 = totals.iter().map(|(_, sums)| sums.requests).sum();
    assert_eq!((totals.iter().count(), requests), (MAX_ROWS + 1, MAX_ROWS as u64 + 11), "nothing is lost");
    assert!(totals.iter().any(|(row, sums)| row.key == "other" && sums.requests == 10));
    let long = row(1, &"é".repeat(300), "m", "c");
    assert_eq!(long.key.len(), 256);
    assert_eq!(Row::shard(&"é".repeat(300)), Row::shard(&long.key));
}

#[test]
fn old_days_go() {
    let mut totals = Totals::default();
    totals.add(row(100, "a", "m", "c"), &sums(1, 1));
    totals.add(row(101, "a", "m", "c"), &sums(1, 1));
    let mut new = Totals::default();
    new.add(row(100 + u64::from(MAX_DAYS), "a", "m", "c"), &sums(1, 1));
    totals.merge(&new);
    assert_eq!(totals.iter().map(|(row, _)| row.day).collect::<Vec<_>>(), [101, 100 + MAX_DAYS]);
}

proptest! {
    #[test]
    fn round_trip(rows in prop::collection::vec((0_u64..9, prop::sample::select(vec!["", "a", "b", "ab"]), any::<[u64; 2]>()), 0..40)) {
        let mut totals = Totals::default();
        for (day, name, [requests, input]) in rows {
            totals.add(row(day, name, "m", "c"), &sums(requests, input));
        }
        let bytes = totals.encode();
        prop_assert_eq!(Totals::decode(&bytes), totals);
        for cut in 0..bytes.len() {
            let _ = Totals::decode(&bytes[..cut]);
        }
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Totals::decode(&bytes);
    }
}
