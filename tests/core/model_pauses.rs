//! A target whose model is ejected, beside another model of the same cluster.

use std::rc::Rc;
use std::time::Duration;

use sluice::config;
use sluice::endpoint::Endpoint;
use sluice::exchange::{Exchange, Original, Routed};
use sluice::health::Blame;
use sluice::outcome::Outcome;
use sluice::parsed_request;
use sluice::routing::{Ending, Table};

use crate::clusters::TestClusters;

const CONFIG: &str = r#"{"upstreams":{"a":{},"b":{}},"models":[
    {"name":"large","strategy":"priority","targets":[{"upstream":"a","model":"large-2"},{"upstream":"b","tier":1}]},
    {"name":"small","targets":["a"]},
    {"name":"any-*","strategy":"priority","targets":["a",{"upstream":"b","tier":1}]}
]}"#;

fn table() -> Rc<Table> {
    Rc::new(config::router(CONFIG.as_bytes(), &|_| None).unwrap())
}

/// Ends a request to a model like this at its first target; returns that target's upstream.
fn call(table: &Rc<Table>, model: &str, ending: Ending, clusters: &TestClusters) -> String {
    let body = format!(r#"{{"model":"{model}"}}"#);
    let mut exchange = Exchange::new(None, Original::default());
    exchange.read(parsed_request::read(Endpoint::ChatCompletions, None, body.as_bytes()).unwrap(), body.into_bytes());
    assert_eq!(exchange.route(table, clusters), Ok(Routed::Ready), "{model}");
    let upstream = exchange.routed().unwrap().upstream().unwrap().name.clone();
    exchange.end_attempt(ending, clusters);
    upstream
}

fn limited(blame: Blame) -> Ending {
    let retry_after = Some(Duration::from_secs(20));
    Ending { retry_after, blame, ..Ending::answered(Outcome::RateLimited, 429) }
}

const SERVED: Ending = Ending::answered(Outcome::Success, 200);

#[test]
fn the_other_models_of_the_cluster_are_served_there() {
    let (table, clusters) = (table(), TestClusters::default());
    let first = |model: &str| call(&table, model, SERVED, &clusters);
    assert_eq!(call(&table, "large", limited(Blame::Model), &clusters), "a");
    assert_eq!([first("large"), first("small"), first("any-1")], ["b", "a", "a"]);
    // names that clients choose are separate, too
    assert_eq!(call(&table, "any-1", limited(Blame::Model), &clusters), "a");
    assert_eq!([first("any-1"), first("any-2"), first("small")], ["b", "a", "a"]);
    // when its time is over, one request probes it
    clusters.now.set(Duration::from_secs(21));
    assert_eq!([first("large"), first("any-1")], ["a", "a"]);
    assert_eq!(clusters.health.borrow()["a"].models_out(), 0);
}

#[test]
fn a_limit_of_the_cluster_applies_to_all_its_models() {
    let (table, clusters) = (table(), TestClusters::default());
    assert_eq!(call(&table, "large", limited(Blame::Cluster), &clusters), "a");
    assert_eq!([call(&table, "large", SERVED, &clusters), call(&table, "any-1", SERVED, &clusters)], ["b", "b"]);
    // the only target is still tried
    assert_eq!(call(&table, "small", SERVED, &clusters), "a");
}

#[test]
fn a_too_large_request_ejects_nothing() {
    let (table, clusters) = (table(), TestClusters::default());
    for _ in 0..20 {
        assert_eq!(call(&table, "large", limited(Blame::Nobody), &clusters), "a");
    }
    assert!(clusters.health.borrow().values().all(|health| health.is_well()));
}
