//! A request's route: every target once, ejected ones stay out, fallbacks, deadline and budget.

use std::rc::Rc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::config;
use sluice::endpoint::Endpoint;
use sluice::exchange::{Exchange, Original, Routed, Unprepared};
use sluice::keys::{Identity, Role};
use sluice::outcome::Outcome;
use sluice::parsed_request;
use sluice::pattern::Patterns;
use sluice::routing::{Ending, Table};

use crate::clusters::TestClusters;
use crate::exchange::NoHeaders;

const REFUSED: Ending = Ending::silent(Outcome::ConnectFailure);
const SERVED: Ending = Ending::answered(Outcome::Success, 200);

/// A table with the upstreams a to f, these models, and these further fields.
fn table(models: &str, fields: &str) -> Rc<Table> {
    let text = format!(
        r#"{{"upstreams":{{"a":{{}},"b":{{}},"c":{{}},"d":{{}},"e":{{}},"f":{{}}}},"models":[{models}]{fields}}}"#
    );
    Rc::new(config::router(text.as_bytes(), &|_| None).unwrap())
}

const ABC: &str = r#"{"name":"m","targets":[{"upstream":"a"},{"upstream":"b"},{"upstream":"c"}]}"#;

fn exchange() -> Exchange {
    let body = br#"{"model":"m"}"#;
    let mut exchange = Exchange::new(None, Original::default());
    exchange.read(parsed_request::read(Endpoint::ChatCompletions, None, body).unwrap(), body.to_vec());
    exchange
}

fn current(exchange: &Exchange) -> String {
    exchange.routed().unwrap().upstream().unwrap().name.clone()
}

/// Makes every attempt end like this; returns the upstreams in the order of attempts.
fn exhaust(exchange: &mut Exchange, ending: Ending, clusters: &TestClusters) -> Vec<String> {
    let mut tried = vec![current(exchange)];
    loop {
        exchange.end_attempt(ending, clusters);
        match exchange.advance(ending, clusters) {
            Some(cluster) => tried.push(cluster.to_owned()),
            None => return tried,
        }
    }
}

#[test]
fn ejected_targets_are_not_tried() {
    let cases: [(&str, &[(&str, u64)], u64, &[&str]); 4] = [
        ("all healthy", &[], 0, &["a", "b", "c"]),
        ("one out: it is tried when nothing else is left", &[("b", 9)], 0, &["a", "c", "b"]),
        ("all out: the one that comes back soonest first", &[("a", 9), ("b", 3), ("c", 5)], 0, &["b", "c", "a"]),
        ("half-open: this request probes it", &[("c", 3)], 4, &["c", "a", "b"]),
    ];
    for (name, ejected, later, want) in cases {
        let clusters = TestClusters::default();
        ejected.iter().for_each(|(cluster, seconds)| clusters.eject(cluster, *seconds));
        clusters.now.set(Duration::from_secs(later));
        let mut exchange = exchange();
        assert_eq!(exchange.route(&table(ABC, ""), &clusters).unwrap(), Routed::Ready);
        assert_eq!(exhaust(&mut exchange, REFUSED, &clusters), want, "{name}");
        assert_eq!(clusters.under_way(), 0, "{name}");
    }
}

/// Healthy fallbacks come before ejected targets. Of these, the one that returns soonest comes first, whichever model
/// it serves.
#[test]
fn fallbacks_come_before_ejected_targets() {
    let models = r#"
        {"name":"m","fallbacks":["second","third"],"targets":[{"upstream":"a"},{"upstream":"b"}]},
        {"name":"second","targets":[{"upstream":"c"},{"upstream":"d"}]},
        {"name":"third","targets":[{"upstream":"e"}]}"#;
    let all: &[(&str, u64)] = &[("a", 9), ("b", 8), ("c", 5), ("d", 7), ("e", 2)];
    let cases: [(&str, &[(&str, u64)], u64, &str, &[&str]); 10] = [
        ("all healthy", &[], 0, "", &["a", "b", "c", "d", "e"]),
        ("one out", &[("a", 9)], 0, "", &["b", "c", "d", "e", "a"]),
        ("all of the model out", &[("a", 9), ("b", 3)], 0, "", &["c", "d", "e", "b", "a"]),
        ("and a fallback", &[("a", 9), ("b", 3), ("c", 5), ("d", 7)], 0, "", &["e", "b", "c", "d", "a"]),
        ("everything", all, 0, "", &["e", "c", "d", "b", "a"]),
        ("at the same time", &[("a", 5), ("b", 5), ("c", 5), ("d", 5), ("e", 5)], 0, "", &["a", "b", "c", "d", "e"]),
        ("this request probes its own", &[("a", 3), ("b", 9)], 4, "", &["a", "c", "d", "e", "b"]),
        ("it probes a fallback", &[("a", 9), ("b", 8), ("c", 3)], 4, "", &["c", "d", "e", "b", "a"]),
        (
            "half may be out",
            &[("a", 9), ("b", 3)],
            0,
            r#","ejection":{"max_ejected_percent":50}"#,
            &["b", "c", "d", "e", "a"],
        ),
        ("one attempt each", all, 0, r#","retry":{"max_attempts":1}"#, &["e", "c", "b"]),
    ];
    for (name, ejected, later, fields, want) in cases {
        let clusters = TestClusters::default();
        ejected.iter().for_each(|(cluster, seconds)| clusters.eject(cluster, *seconds));
        clusters.now.set(Duration::from_secs(later));
        let mut exchange = exchange();
        assert_eq!(exchange.route(&table(models, fields), &clusters).unwrap(), Routed::Ready);
        assert_eq!(exhaust(&mut exchange, REFUSED, &clusters), want, "{name}");
        assert_eq!(clusters.under_way(), 0, "{name}");
    }
    let clusters = TestClusters::default();
    all.iter()
        .filter(|(cluster, _)| ["a", "b"].contains(cluster))
        .for_each(|(cluster, seconds)| clusters.eject(cluster, *seconds));
    let mut limited = exchange();
    limited.identified(Rc::new(Identity::new("k", Role::User, Patterns::new(vec!["m".into(), "third".into()]))));
    limited.route(&table(models, ""), &clusters).unwrap();
    assert_eq!(exhaust(&mut limited, REFUSED, &clusters), ["e", "b", "a"], "none that the key may not use");
    let clusters = TestClusters::default();
    for cluster in ["a", "b"] {
        let _ = clusters.health.borrow_mut().entry(cluster.into()).or_default().eject(None, Duration::ZERO);
    }
    clusters.eject("e", 9);
    let mut by_hand = exchange();
    by_hand.route(&table(models, ""), &clusters).unwrap();
    assert_eq!(exhaust(&mut by_hand, REFUSED, &clusters), ["c", "d", "e"], "never what an operator has taken out");
}

#[test]
fn one_request_probes_and_the_others_stay_away() {
    let table = table(ABC, "");
    let clusters = TestClusters::default();
    clusters.eject("b", 3);
    clusters.now.set(Duration::from_secs(4));
    let mut requests: Vec<Exchange> = (0..7).map(|_| exchange()).collect();
    requests.iter_mut().for_each(|exchange| assert_eq!(exchange.route(&table, &clusters).unwrap(), Routed::Ready));
    let at_b = requests.iter().filter(|exchange| current(exchange) == "b").count();
    assert_eq!(at_b, 1);
    let probe = requests.iter_mut().find(|exchange| current(exchange) == "b").unwrap();
    probe.end_attempt(SERVED, &clusters);
    let mut after = exchange();
    after.route(&table, &clusters).unwrap();
    assert!(clusters.health.borrow()["b"].cluster.reason().is_none(), "it is back");
}

#[test]
fn manually_ejected_targets_are_tried_last() {
    let table = table(ABC, "");
    let by_hand = |clusters: &TestClusters, cluster: &str| {
        let _ = clusters.health.borrow_mut().entry(cluster.into()).or_default().eject(None, Duration::ZERO);
    };
    let clusters = TestClusters::default();
    by_hand(&clusters, "b");
    let mut some = exchange();
    some.route(&table, &clusters).unwrap();
    assert_eq!(exhaust(&mut some, REFUSED, &clusters), ["a", "c"], "not for a retry");
    ["a", "c"].iter().for_each(|cluster| by_hand(&clusters, cluster));
    let mut all = exchange();
    all.route(&table, &clusters).unwrap();
    assert_eq!(exhaust(&mut all, REFUSED, &clusters), ["a"], "rather than not at all");
}

/// A retry that the budget refuses must not keep a probe's lease.
#[test]
fn a_refused_retry_releases_the_probe() {
    let table = table(ABC, r#","retry":{"budget":{"percent":0,"min_per_second":0}}"#);
    let clusters = TestClusters::default();
    let mut poor = exchange();
    poor.route(&table, &clusters).unwrap();
    clusters.eject("b", 1);
    clusters.now.set(Duration::from_secs(2));
    assert_eq!(exhaust(&mut poor, REFUSED, &clusters), ["a"]);
    let mut next = exchange();
    next.route(&table, &clusters).unwrap();
    assert_eq!(current(&next), "b", "the probe");
}

#[test]
fn max_ejected_percent() {
    let clusters = TestClusters::default();
    for cluster in ["a", "b"] {
        clusters.eject(cluster, if cluster == "a" { 5 } else { 9 });
    }
    let first = |percent: u32| {
        let table = table(ABC, &format!(r#","ejection":{{"max_ejected_percent":{percent}}}"#));
        let mut exchange = exchange();
        exchange.route(&table, &clusters).unwrap();
        current(&exchange)
    };
    assert_eq!(first(100), "c");
    assert_eq!(first(66), "a", "one of three may be out: the one that comes back soonest is let in");
    assert_eq!(first(0), "a", "nothing may be out");
}

#[test]
fn retry_on() {
    let table = table(ABC, r#","retry":{"on":[429,"connect"],"max_attempts":2}"#);
    let ending = Ending::answered;
    let cases = [
        (ending(Outcome::RateLimited, 429), 2),
        (REFUSED, 2),
        (ending(Outcome::ServerError, 503), 1),
        (ending(Outcome::ClientError, 400), 1),
        (ending(Outcome::Abandoned, 0), 1),
    ];
    for (ending, want) in cases {
        let clusters = TestClusters::default();
        let mut exchange = exchange();
        exchange.route(&table, &clusters).unwrap();
        assert_eq!(exhaust(&mut exchange, ending, &clusters).len(), want, "{ending:?}");
    }
}

#[test]
fn fallbacks() {
    let models = r#"
        {"name":"m","fallbacks":["second","third"],"context_length_fallback":"long","targets":[{"upstream":"a"}]},
        {"name":"second","targets":[{"upstream":"b"},{"upstream":"c","model":"own"}]},
        {"name":"third","fallbacks":["m"],"targets":[{"upstream":"d"}]},
        {"name":"long","targets":[{"upstream":"e"}]}"#;
    let table = table(models, "");
    let clusters = TestClusters::default();
    let mut all = exchange();
    all.route(&table, &clusters).unwrap();
    assert_eq!(
        exhaust(&mut all, REFUSED, &clusters),
        ["a", "b", "c", "d"],
        "in order, each once, none of a fallback's own"
    );
    assert_eq!(all.attempts(), "a=connect_failure, b=connect_failure, c=connect_failure, d=connect_failure");

    let mut limited = exchange();
    let own = Patterns::new(vec!["m".into(), "third".into()]);
    limited.identified(Rc::new(Identity::new("k", Role::User, own)));
    limited.route(&table, &clusters).unwrap();
    assert_eq!(exhaust(&mut limited, REFUSED, &clusters), ["a", "d"], "none that the key may not use");

    let mut long = exchange();
    long.route(&table, &clusters).unwrap();
    let too_long = Ending::answered(Outcome::ClientError, 400);
    long.end_attempt(too_long, &clusters);
    assert_eq!(long.advance(too_long, &clusters), None, "its own fault");
    assert_eq!(long.advance_for_context(&clusters), Some("e"));
    assert_eq!(long.labels().1, "long");
    assert_eq!(long.advance_for_context(&clusters), None, "once");

    let mut named = exchange();
    named.route(&self::table(models, ""), &clusters).unwrap();
    for (upstream, want) in [("a", "m"), ("b", "second"), ("c", "own"), ("d", "third")] {
        let route = named.routed().unwrap();
        assert_eq!(route.model_name(route.place(), "m"), Some(want), "{upstream}");
        named.end_attempt(REFUSED, &clusters);
        named.advance(REFUSED, &clusters);
    }
}

#[test]
fn deadline() {
    let table = table(ABC, r#","retry":{"deadline":"10s"}"#);
    let clusters = TestClusters::default();
    clusters.now.set(Duration::from_secs(100));
    let mut exchange = exchange();
    exchange.route(&table, &clusters).unwrap();
    assert_eq!(exchange.routed().unwrap().deadline(), Some(Duration::from_secs(110)));
    clusters.now.set(Duration::from_secs(109));
    exchange.end_attempt(REFUSED, &clusters);
    assert!(exchange.advance(REFUSED, &clusters).is_some());
    clusters.now.set(Duration::from_secs(110));
    exchange.end_attempt(REFUSED, &clusters);
    assert_eq!(exchange.advance(REFUSED, &clusters), None);
}

#[test]
fn slots() {
    let models = r#"{"name":"m","strategy":{"name":"first_available","queue_timeout":"2s"},
        "targets":[{"upstream":"a"},{"upstream":"b","slots":2}]}"#;
    let table = table(models, "");
    let clusters = TestClusters::default();
    let mut requests: Vec<Exchange> = (0..3).map(|_| exchange()).collect();
    let names: Vec<String> = requests
        .iter_mut()
        .map(|exchange| {
            assert_eq!(exchange.route(&table, &clusters).unwrap(), Routed::Ready);
            current(exchange)
        })
        .collect();
    assert_eq!(names, ["a", "b", "b"]);
    let mut waiting = exchange();
    assert_eq!(waiting.route(&table, &clusters).unwrap(), Routed::Queue(Duration::from_secs(2)));
    requests[0].end_attempt(SERVED, &clusters);
    assert_eq!(waiting.route(&table, &clusters).unwrap(), Routed::Ready);
}

#[test]
fn every_end_releases_its_slot_once() {
    let table = table(ABC, "");
    let clusters = TestClusters::default();
    let mut never_sent = exchange();
    never_sent.route(&table, &clusters).unwrap();
    never_sent.close(&clusters);
    assert_eq!((clusters.under_way(), clusters.ended.borrow().len()), (0, 0), "an attempt that was not made is none");

    let mut left = exchange();
    left.route(&table, &clusters).unwrap();
    let cluster = current(&left);
    left.prepare(cluster.as_bytes(), &mut NoHeaders).unwrap();
    left.close(&clusters);
    assert_eq!(clusters.under_way(), 1, "the attempt ends by itself");
    left.end_attempt(Ending::silent(Outcome::Abandoned), &clusters);
    left.end_attempt(REFUSED, &clusters);
    assert_eq!(clusters.ended.borrow_mut().drain(..).map(|(_, outcome)| outcome).collect::<Vec<_>>(), ["abandoned"]);

    for (interrupted, close_first, want) in
        [(false, false, "success"), (false, true, "success"), (true, false, "interrupted"), (true, true, "interrupted")]
    {
        let mut whole = exchange();
        whole.route(&table, &clusters).unwrap();
        whole.prepare(current(&whole).as_bytes(), &mut NoHeaders).unwrap();
        whole.answer(200, Some(Outcome::Success));
        if interrupted {
            whole.interrupt();
        }
        if close_first {
            whole.close(&clusters);
        }
        whole.end_whole(200, &clusters);
        whole.close(&clusters);
        assert_eq!(clusters.ended.borrow_mut().drain(..).map(|(_, outcome)| outcome).collect::<Vec<_>>(), [want]);
        assert_eq!(clusters.under_way(), 0);
    }
}

#[test]
fn the_last_failure_is_reported() {
    let mut exchange = exchange();
    exchange.route(&table(ABC, ""), &TestClusters::default()).unwrap();
    exchange.exhaust(Outcome::Timeout);
    let unprepared = exchange.prepare(b"a", &mut NoHeaders).unwrap_err();
    assert_eq!(unprepared, Unprepared::Exhausted(Outcome::Timeout));
}

proptest! {
    /// For any ejections and failures: each target is tried once, and all counts are balanced.
    #[test]
    fn each_target_is_tried_once(
        weights in vec(1..1000u32, 1..=6),
        ejected in vec(0..20u64, 6),
        now in 0..20u64,
        percent in 0..=100u32,
    ) {
        let names = ["a", "b", "c", "d", "e", "f"];
        let targets: Vec<String> = weights
            .iter()
            .zip(names)
            .map(|(weight, name)| format!(r#"{{"upstream":"{name}","weight":{weight}}}"#))
            .collect();
        let model = format!(r#"{{"name":"m","targets":[{}]}}"#, targets.join(","));
        let table = table(&model, &format!(r#","ejection":{{"max_ejected_percent":{percent}}}"#));
        let clusters = TestClusters::default();
        for (name, seconds) in names.iter().zip(ejected).filter(|(_, seconds)| *seconds > 0) {
            clusters.eject(name, seconds);
        }
        clusters.now.set(Duration::from_secs(now));
        let mut exchange = exchange();
        exchange.route(&table, &clusters).unwrap();
        let mut tried = exhaust(&mut exchange, REFUSED, &clusters);
        tried.sort_unstable();
        prop_assert_eq!(tried, &names[..weights.len()]);
        prop_assert_eq!(clusters.under_way(), 0);
    }
}
