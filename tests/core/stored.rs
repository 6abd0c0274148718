//! Follow-up requests go to the upstream that stores the response, and nowhere else.

use std::rc::Rc;
use std::time::Duration;

use sluice::codec::{Forgettable, SharedRecord};
use sluice::config;
use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::exchange::{Exchange, Original, Routed};
use sluice::keys::{Identity, Role};
use sluice::outcome::Outcome;
use sluice::parsed_request::{self, ParsedRequest};
use sluice::pattern::Patterns;
use sluice::routing::{Ending, Table};
use sluice::stored::{named, StoredId, StoringCluster, TablePart};
use sluice::usage::{TokenUsage, UsageSource};

use crate::clusters::TestClusters;

const CONFIG: &str = r#"{"upstreams":{"a":{},"b":{},"c":{}},"models":[
    {"name":"m","strategy":"priority","targets":["a",{"upstream":"b","tier":1}],"fallbacks":["n"]},
    {"name":"n","targets":["c"]}
]FIELDS}"#;

fn table(fields: &str) -> Rc<Table> {
    Rc::new(config::router(CONFIG.replace("FIELDS", fields).as_bytes(), &|_| None).unwrap())
}

fn exchange(key: &str, endpoint: Endpoint, body: &str) -> Exchange {
    let identity = Identity::new(key, Role::User, Patterns::any());
    let mut exchange = Exchange::new(Some(Rc::new(identity)), Original::default());
    exchange.read(parsed_request::read(endpoint, None, body.as_bytes()).unwrap(), body.as_bytes().to_vec());
    exchange
}

/// The request's first target, or why it has none.
fn first(table: &Rc<Table>, exchange: &mut Exchange, clusters: &TestClusters) -> Result<String, ApiError> {
    assert_eq!(exchange.route(table, clusters)?, Routed::Ready);
    Ok(exchange.routed().unwrap().upstream().unwrap().name.clone())
}

fn follow_up(model: &str, id: &str) -> String {
    format!(r#"{{"model":"{model}","previous_response_id":"{id}","input":"and then?"}}"#)
}

fn store(clusters: &TestClusters, key: &str, id: &str, cluster: &str) {
    let until = clusters.now.get() + Duration::from_secs(60);
    clusters.stored.borrow_mut().add(
        StoredId::of(key, id),
        StoringCluster::of(cluster),
        "m",
        until,
        clusters.now.get(),
    );
}

#[test]
fn follow_ups_go_to_the_storing_upstream() {
    let (table, clusters) = (table(""), TestClusters::default());
    store(&clusters, "alice", "resp_1", "b");
    store(&clusters, "alice", "conv_1", "b");
    let to = |key: &str, body: &str| first(&table, &mut exchange(key, Endpoint::Responses, body), &clusters).unwrap();
    assert_eq!(to("alice", &follow_up("m", "resp_1")), "b");
    assert_eq!(to("alice", r#"{"model":"m","input":"x","conversation":"conv_1"}"#), "b");
    assert_eq!(to("alice", r#"{"model":"m","input":"x","conversation":{"id":"conv_1"}}"#), "b");
    // unknown ids, those of other keys, and other endpoints are routed as ever
    assert_eq!(to("alice", &follow_up("m", "resp_2")), "a");
    assert_eq!(to("bob", &follow_up("m", "resp_1")), "a");
    let chat = r#"{"model":"m","messages":[],"previous_response_id":"resp_1"}"#;
    assert_eq!(first(&table, &mut exchange("alice", Endpoint::ChatCompletions, chat), &clusters).unwrap(), "a");
    clusters.now.set(Duration::from_secs(61));
    assert_eq!(to("alice", &follow_up("m", "resp_1")), "a", "its time is over");
}

#[test]
fn follow_ups_have_no_fallback() {
    let (table, clusters) = (table(""), TestClusters::default());
    store(&clusters, "alice", "resp_1", "b");
    // a model at another upstream
    let error =
        first(&table, &mut exchange("alice", Endpoint::Responses, &follow_up("n", "resp_1")), &clusters).unwrap_err();
    assert_eq!(
        (error.status, error.code, error.param),
        (400, "previous_response_not_found", Some("previous_response_id"))
    );
    // the client gets the failure
    let mut failing = exchange("alice", Endpoint::Responses, &follow_up("m", "resp_1"));
    assert_eq!(first(&table, &mut failing, &clusters).unwrap(), "b");
    let failed = Ending::answered(Outcome::ServerError, 500);
    failing.end_attempt(failed, &clusters);
    assert_eq!(failing.advance(failed, &clusters), None);
    // ejected
    clusters.eject("b", 9);
    let error =
        first(&table, &mut exchange("alice", Endpoint::Responses, &follow_up("m", "resp_1")), &clusters).unwrap_err();
    assert_eq!((error.status, error.code), (503, "stored_response_unavailable"));
    assert_eq!(error.retry_after, Some(Duration::from_secs(9)));
    // half-open: the request may be the probe
    clusters.now.set(Duration::from_secs(10));
    let mut probe = exchange("alice", Endpoint::Responses, &follow_up("m", "resp_1"));
    assert_eq!(first(&table, &mut probe, &clusters).unwrap(), "b");
}

#[test]
fn a_configuration_without_its_upstream() {
    let clusters = TestClusters::default();
    store(&clusters, "alice", "resp_1", "gone");
    let error = first(&table(""), &mut exchange("alice", Endpoint::Responses, &follow_up("m", "resp_1")), &clusters);
    assert_eq!(error.unwrap_err().code, "previous_response_not_found");
    // switched off, nothing is known
    let off = table(r#","stored_responses":false"#);
    let to = first(&off, &mut exchange("alice", Endpoint::Responses, &follow_up("m", "resp_1")), &clusters);
    assert_eq!((to.as_deref(), off.remembers_responses()), (Ok("a"), None));
    assert_eq!(table(r#","stored_responses":"2h""#).remembers_responses(), Some(Duration::from_secs(7200)));
    let single = r#"{"upstreams":{"a":{}},"models":[{"name":"m","targets":["a"]}]}"#;
    let single = config::router(single.as_bytes(), &|_| None).unwrap();
    assert!(single.remembers_responses().is_some(), "there is no choice, but ids belong to keys");
}

#[test]
fn ids_in_answers() {
    let (table, clusters) = (table(""), TestClusters::default());
    let body = r#"{"model":"m","input":"x","conversation":"conv_1"}"#;
    let mut exchange = exchange("alice", Endpoint::Responses, body);
    first(&table, &mut exchange, &clusters).unwrap();
    let stored: Vec<StoredId> = exchange.stores("resp_9").collect();
    assert_eq!(stored, [StoredId::of("alice", "resp_9"), StoredId::of("alice", "conv_1")]);
    assert_eq!(exchange.storing_cluster(), Some(StoringCluster::of("a")));
    assert!(exchange.splice(false).is_some() && exchange.splice(true).is_none());
}

#[test]
fn the_table_is_bounded() {
    let at = Duration::from_secs;
    let mut part = TablePart::default();
    for number in 0..1000 {
        part.add(StoredId::of("k", &number.to_string()), StoringCluster::of("a"), "gpt-4o", at(10_000 + number), at(1));
    }
    assert!(part.encode().len() <= 16 << 10);
    assert_eq!(part.find(StoredId::of("k", "999"), at(2)), Some((StoringCluster::of("a"), "gpt-4o")));
    assert_eq!(part.find(StoredId::of("k", "1"), at(2)), None, "the one that ends first has gone");
    assert_eq!(TablePart::decode(&part.encode()), part);
    assert_eq!(TablePart::decode(b"junk"), TablePart::default());
    part.add(StoredId::of("k", "999"), StoringCluster::of("b"), "m", at(20_000), at(2));
    assert_eq!(part.find(StoredId::of("k", "999"), at(3)), Some((StoringCluster::of("b"), "m")));
    // conversation names come from clients, and may be long
    for number in 0..1000 {
        part.add(StoredId::of("k", &number.to_string()), StoringCluster::of("a"), &"m".repeat(256), at(30_000), at(3));
    }
    assert!(part.encode().len() <= 16 << 10);
    assert_eq!(TablePart::decode(&part.encode()), part);
    for cut in 0..part.encode().len() {
        TablePart::decode(part.encode().get(..cut).unwrap());
    }
}

/// A request for a stored response by a key.
fn by_id(key: &str, role: Role, id: &str) -> Exchange {
    let mut exchange = Exchange::new(Some(Rc::new(Identity::new(key, role, Patterns::any()))), Original::default());
    exchange.read(ParsedRequest::of_stored("m".into(), id.into(), false, b"").unwrap(), Vec::new());
    exchange
}

#[test]
fn a_response_by_its_id() {
    let (table, clusters) = (table(""), TestClusters::default());
    store(&clusters, "alice", "resp_1", "b");
    let to = |key: &str, role, id: &str| {
        first(&table, &mut by_id(key, role, id), &clusters).map_err(|error| (error.status, error.code))
    };
    assert_eq!(to("alice", Role::User, "resp_1").as_deref(), Ok("b"));
    assert_eq!(to("root", Role::Admin, "resp_1").as_deref(), Ok("b"), "an administrator reads any");
    let unknown = Err((404, "response_not_found"));
    assert_eq!(to("bob", Role::User, "resp_1"), unknown, "another key does not");
    assert_eq!(to("alice", Role::User, "resp_2"), unknown);
    // nothing is generated, and no other target is tried
    let mut failing = by_id("alice", Role::User, "resp_1");
    assert_eq!(first(&table, &mut failing, &clusters).unwrap(), "b");
    let seen = (TokenUsage { input: 5, output: 7, ..TokenUsage::default() }, UsageSource::Reported);
    assert_eq!(failing.completed(seen, Some(9)), Some((TokenUsage::default(), UsageSource::Reported)));
    assert!(failing.splice(false).is_none());
    let failed = Ending::answered(Outcome::ServerError, 500);
    failing.end_attempt(failed, &clusters);
    assert_eq!(failing.advance(failed, &clusters), None);
    // ejected, removed from the configuration, or `stored_responses` is off
    clusters.eject("b", 9);
    assert_eq!(to("alice", Role::User, "resp_1"), Err((503, "stored_response_unavailable")));
    store(&clusters, "alice", "resp_3", "gone");
    assert_eq!(to("alice", Role::User, "resp_3"), unknown);
    store(&clusters, "alice", "resp_4", "c");
    assert_eq!(to("alice", Role::User, "resp_4"), unknown, "that upstream does not serve the model");
    let off = self::table(r#","stored_responses":false"#);
    let error = first(&off, &mut by_id("alice", Role::User, "resp_1"), &clusters).unwrap_err();
    assert_eq!((error.status, error.param), (404, Some("response_id")));
}

#[test]
fn further_ids() {
    for body in ["", "{}", " {}\n"] {
        let parsed = ParsedRequest::of_stored("m".into(), "resp_1".into(), false, body.as_bytes()).unwrap();
        assert_eq!((parsed.layout.length, parsed.uses_tokens()), (body.len(), false));
    }
    assert_eq!(ParsedRequest::of_stored("m".into(), "resp_1".into(), true, b"{\"a\":1}").unwrap_err().status, 400);
}

#[test]
fn ids_that_requests_name() {
    let cases = [
        (r#"{"previous_response_id":"a"}"#, vec!["a"]),
        (r#"{"conversation":{"id":"c","x":1},"previous_response_id":"a"}"#, vec!["a", "c"]),
        (r#"{"conversation":"c"}"#, vec!["c"]),
        (r#"{"conversation":null,"previous_response_id":7}"#, vec![]),
        (r#"{"input":{"previous_response_id":"a"}}"#, vec![]),
        (r#"{"previous_response_id":""}"#, vec![]),
        ("[", vec![]),
    ];
    for (body, want) in cases {
        assert_eq!(named(body.as_bytes()).0, want, "{body}");
    }
}
