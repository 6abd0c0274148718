use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::codec::SharedRecord;
use sluice::endpoint::{Dialect, Endpoint};
use sluice::exchange::Exchange;
use sluice::outcome::Outcome;
use sluice::parsed_request::read;
use sluice::recent_requests::{EndedRequest, Kept, RecentRequests, Watched, MAX_REQUESTS, WATCH};
use sluice::record::{Json, Record};
use sluice::routing::{Ending, Table};

use crate::clusters::TestClusters;
use crate::routing::{model, upstream};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ended(seconds: u64, status: u16) -> EndedRequest {
    let record = Record::<Json>::of_stranger("none", status).into_bytes();
    EndedRequest::of_stranger(status, at(seconds), record)
}

fn list(requests: impl IntoIterator<Item = EndedRequest>) -> RecentRequests {
    let mut kept = Kept::default();
    requests.into_iter().for_each(|ended| kept.add(ended));
    let list = kept.take();
    assert!(kept.is_empty());
    list
}

fn shown(list: &RecentRequests) -> Vec<Value> {
    let mut shown: Value = serde_json::from_str(&list.list()).unwrap();
    assert_eq!((&shown["object"], &shown["scope"]), (&json!("list"), &json!("envoy")));
    shown["data"].take().as_array().unwrap().clone()
}

fn times(list: &RecentRequests) -> Vec<f64> {
    shown(list).iter().map(|request| request["ended_at"].as_f64().unwrap()).collect()
}

#[test]
fn what_is_told_of_a_request() {
    let clusters = TestClusters::default();
    let upstreams = vec![upstream("a", &[Dialect::OpenAi]), upstream("b", &[Dialect::OpenAi])];
    let mut table = Table::new(upstreams.clone());
    table.add(model("m", &["n"], &[1, 1], &upstreams)).unwrap();
    let body = br#"{"model":"n","stream":true,"messages":[{"role":"user","content":"a secret"}]}"#;
    let mut exchange = Exchange::default();
    exchange.arrived(0, false, at(100));
    exchange.read(read(Endpoint::ChatCompletions, None, body).unwrap(), body.to_vec());
    exchange.route(&Rc::new(table), &clusters).unwrap();
    exchange.end_attempt(Ending::silent(Outcome::Timeout), &clusters);
    exchange.advance(Ending::silent(Outcome::Timeout), &clusters);
    exchange.answer(200, Some(Outcome::Success));
    let record = Record::<Json>::of(&exchange, 200).into_bytes();
    let list = list([EndedRequest::of(&exchange, 200, Duration::from_millis(100_250), record)]);
    let want = json!({
        "ended_at": 100.25, "ended_at_rfc3339": "1970-01-01T00:01:41Z", "status": 200, "stream": true, "duration_ms": 250,
        "picked_by": "weighted", "key": "anonymous", "model": "m", "requested_model": "n", "upstream_model": "n",
        "cluster": "b", "attempts": 2,
        "outcomes": "a=timeout, b=success",
    });
    assert_eq!(shown(&list), [want]);
}

#[test]
fn why_a_target_was_picked() {
    let upstreams = vec![upstream("a", &[Dialect::OpenAi]), upstream("b", &[Dialect::OpenAi])];
    let mut table = Table::new(upstreams.clone());
    table.add(model("m", &[], &[1, 1], &upstreams)).unwrap();
    let table = Rc::new(table);
    let routed = |clusters: &TestClusters| {
        let mut exchange = Exchange::default();
        exchange.read(read(Endpoint::ChatCompletions, None, br#"{"model":"m","messages":[]}"#).unwrap(), Vec::new());
        exchange.route(&table, clusters).unwrap();
        exchange.routed().unwrap().picked_by()
    };
    let clusters = TestClusters::default();
    assert_eq!(routed(&clusters), "weighted");
    clusters.eject("a", 60);
    clusters.eject("b", 60);
    clusters.now.set(at(61));
    assert_eq!(routed(&clusters), "probe", "their time is over");
}

#[test]
fn the_newest_are_kept() {
    let many = list((0..300).map(|second| ended(second, 200)));
    assert_eq!(times(&many), (100..300).rev().map(f64::from).collect::<Vec<_>>());
    let mut merged = list([ended(150, 500), ended(400, 500)]);
    merged.merge(&many);
    let merged_times = times(&merged);
    assert_eq!((merged_times.len(), merged_times[0], merged_times[199]), (MAX_REQUESTS, 400.0, 102.0));
    assert_eq!(merged_times.iter().filter(|time| **time == 150.0).count(), 2, "of another worker, at the same time");
    assert_eq!(RecentRequests::parse(&merged.encode()), Some(merged));
}

#[test]
fn a_record_without_bounds_is_left_out() {
    let huge = EndedRequest { record: [&b",\"sluice\":{"[..], &[b'x'; 5000], b"}"].concat(), ..ended(1, 200) };
    let other = EndedRequest { record: b"no record".to_vec(), ..ended(2, 200) };
    for request in shown(&list([huge, other])) {
        assert_eq!(request["status"], 200);
        assert_eq!(request.get("model"), None);
    }
}

#[test]
fn watching() {
    let first = Watched::default().extended(at(1000)).unwrap();
    assert!(first.is_on(at(1000)) && first.is_on(at(1119)) && !first.is_on(at(1120)));
    assert_eq!(first.extended(at(1059)), None, "the workers need not be told each time");
    assert_eq!(first.extended(at(1061)), Some(Watched(1061 + WATCH.as_secs())));
    assert_eq!(Watched::parse(&first.encode()), Some(first));
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [vec![1], bytes].concat();
        if let Some(list) = RecentRequests::parse(&bytes) {
            prop_assert_eq!(&list.encode(), &bytes);
        }
        let _ = Watched::parse(&bytes);
    }
}
