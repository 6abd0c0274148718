//! All attempts share one header map: an attempt's headers must not reach the next attempt's upstream.

use std::cell::Cell;
use std::collections::BTreeMap;

use sluice::config;
use sluice::exchange::{Exchange, Original, Prepared, Unprepared};
use sluice::forwarding::KeptBack;
use sluice::header_plan::RequestHeaders;
use sluice::outcome::Outcome;
use sluice::parsed_request;
use sluice::routing::Ending;
use sluice::{endpoint::Endpoint, routing::Table};
use std::rc::Rc;

use crate::clusters::TestClusters;

/// The host's header map; several lines of one name are separated by `|`. It refuses changes of the names in `refused`.
#[derive(Clone, Default)]
struct Map {
    headers: BTreeMap<String, String>,
    reads: Cell<usize>,
    refused: Option<&'static str>,
}

impl RequestHeaders for Map {
    fn read(&self, see: &mut dyn FnMut(&str, &[u8])) {
        self.reads.set(self.reads.get() + 1);
        self.headers.iter().for_each(|(name, value)| value.split('|').for_each(|value| see(name, value.as_bytes())));
    }

    fn set(&mut self, name: &str, value: &[u8]) -> bool {
        self.headers.insert(name.to_owned(), String::from_utf8(value.to_vec()).unwrap());
        self.refused != Some(name)
    }

    fn remove(&mut self, name: &str) -> bool {
        self.headers.remove(name);
        self.refused != Some(name)
    }
}

const CONFIG: &str = r#"{
    "upstreams": {
        "plain": {"forward_headers": ["X-Te*", "cookie"]},
        "azure": {"host": "azure.test", "base_path": "/openai/deployments/{model}", "query": "api-version=1",
                  "credential": {"env": "AZURE", "header": "api-key"}, "headers": {"x-team": "azure", "x-own": "1"}},
        "openai": {"host": "openai.test", "credential": {"env": "OPENAI"}, "headers": {"x-team": "openai"}}
    },
    "models": [{"name": "m", "targets": [
        {"upstream": "azure", "model": "east", "weight": 100}, {"upstream": "openai", "model": "gpt", "weight": 10},
        {"upstream": "plain", "weight": 1}
    ]}]
}"#;
/// The client's headers; Envoy's route has added a line to one of them, and removed another.
const CLIENTS: [(&str, &str); 6] = [
    ("accept", "text/event-stream"),
    ("cookie", "a=1|b=2"),
    ("openai-organization", "org"),
    ("x-gone", "client"),
    ("x-team", "client"),
    ("x-test", "1|2"),
];
const BODY: &[u8] = br#"{"model":"m"}"#;

fn exchange() -> (Exchange, Map) {
    exchange_with(&CLIENTS)
}

/// The same for a request of which these headers are not forwarded.
fn exchange_with(kept: &[(&str, &str)]) -> (Exchange, Map) {
    let secret = |name: &str| Some(format!("{}-secret", name.to_lowercase()));
    let table: Rc<Table> = Rc::new(config::router(CONFIG.as_bytes(), &secret).unwrap());
    let path = "/v1/chat/completions?a=b";
    let mut kept_back = KeptBack::default();
    for (name, value) in kept {
        value.split('|').for_each(|value| kept_back.take_in(name.as_bytes(), value.as_bytes()));
    }
    let original = Original { authority: "gateway".into(), path: path.into(), length: Some(BODY.len()), kept_back };
    let mut exchange = Exchange::new(None, original);
    exchange.read(parsed_request::read(Endpoint::ChatCompletions, None, BODY).unwrap(), Vec::new());
    exchange.route(&table, &TestClusters::default()).unwrap();
    let sent = [(":authority", "gateway"), (":path", path), ("content-length", "13"), ("x-gone", "client|route")];
    let headers = sent
        .into_iter()
        .chain(CLIENTS.into_iter().filter(|(name, _)| *name != "x-gone"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    (exchange, Map { headers, ..Map::default() })
}

/// After each attempt the headers are the client's and this target's, with nothing of earlier targets.
#[test]
fn attempts_leave_nothing_behind() {
    let wanted: [(&str, &[(&str, &str)]); 3] = [
        (
            "azure",
            &[
                (":authority", "azure.test"),
                (":path", "/openai/deployments/east/chat/completions?api-version=1&a=b"),
                ("accept", "text/event-stream"),
                ("api-key", "azure-secret"),
                ("content-length", "16"),
                ("x-gone", "route"),
                ("x-own", "1"),
                ("x-team", "azure"),
            ],
        ),
        (
            "openai",
            &[
                (":authority", "openai.test"),
                (":path", "/v1/chat/completions?a=b"),
                ("accept", "text/event-stream"),
                ("authorization", "Bearer openai-secret"),
                ("content-length", "15"),
                ("x-gone", "route"),
                ("x-team", "openai"),
            ],
        ),
        (
            "plain",
            &[
                (":authority", "plain"), // the cluster's name
                (":path", "/v1/chat/completions?a=b"),
                ("accept", "text/event-stream"),
                ("content-length", "13"),
                ("cookie", "a=1; b=2"),
                ("x-gone", "route"),
                ("x-team", "client"),
                ("x-test", "1, 2"),
            ],
        ),
    ];
    let (mut exchange, mut map) = exchange();
    for (index, (cluster, want)) in wanted.into_iter().enumerate() {
        if index > 0 {
            assert_eq!(advance(&mut exchange), Some(cluster.to_owned()));
        }
        let reads = map.reads.take();
        assert!(reads <= 1, "{reads} reads");
        let Prepared::Rewrite(body) = exchange.prepare(cluster.as_bytes(), &mut map).unwrap() else { panic!() };
        assert_eq!(map.headers["content-length"], body.length().to_string(), "{cluster}");
        let found: Vec<(&str, &str)> =
            map.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, want, "{cluster}");
    }
    assert_eq!(advance(&mut exchange), None, "all have been tried");
}

/// After a refused connection.
fn advance(exchange: &mut Exchange) -> Option<String> {
    exchange.advance(Ending::silent(Outcome::ConnectFailure), &TestClusters::default()).map(str::to_owned)
}

#[test]
fn nothing_goes_to_an_unchosen_cluster() {
    let (mut exchange, mut map) = exchange();
    let before = map.headers.clone();
    assert_eq!(exchange.prepare(b"openai", &mut map).unwrap_err(), Unprepared::OtherCluster);
    assert_eq!(map.headers, before, "no credential is written");
    let mut unrouted = Exchange::new(None, Original::default());
    assert_eq!(unrouted.prepare(b"azure", &mut map).unwrap_err(), Unprepared::NotRouted);
}

#[test]
fn a_refused_header_stops_the_attempt() {
    for refused in [":authority", ":path", "content-length", "api-key", "x-team"] {
        let (mut exchange, mut map) = exchange();
        map.refused = Some(refused);
        assert_eq!(exchange.prepare(b"azure", &mut map).unwrap_err(), Unprepared::HeaderRefused, "{refused}");
    }
}

/// An SDK's request has no header that must be removed, so nothing is read.
#[test]
fn forwarded_headers_cost_nothing() {
    let (mut exchange, mut map) = exchange_with(&[]);
    exchange.prepare(b"azure", &mut map).unwrap();
    exchange.advance(Ending::silent(Outcome::ConnectFailure), &TestClusters::default()).unwrap();
    map.reads.set(0);
    exchange.prepare(b"openai", &mut map).unwrap();
    exchange.advance(Ending::silent(Outcome::ConnectFailure), &TestClusters::default()).unwrap();
    exchange.prepare(b"plain", &mut map).unwrap();
    assert_eq!(map.reads.get(), 0);
}

/// A model name that would leave its path is unknown, whatever pattern it matches.
#[test]
fn no_model_leaves_its_path() {
    let table = r#"{"upstreams": {"a": {"base_path": "/models/{model}"}},
        "models": [{"name": "*", "targets": ["a"]}, {"name": "org/*", "targets": ["a"]}]}"#;
    let table: Rc<Table> = Rc::new(config::router(table.as_bytes(), &|_| None).unwrap());
    for (name, want) in [
        ("..", None),
        (".", None),
        ("org/../../admin", None),
        (r"org\\..\\admin", None),
        ("a/b?c#d;e", Some("/models/a%2Fb%3Fc%23d%3Be/chat/completions")),
        ("%2e%2e/x", Some("/models/%252e%252e%2Fx/chat/completions")),
    ] {
        let original = Original { path: "/v1/chat/completions".into(), ..Original::default() };
        let mut exchange = Exchange::new(None, original);
        let body = format!(r#"{{"model":"{name}"}}"#);
        exchange.read(parsed_request::read(Endpoint::ChatCompletions, None, body.as_bytes()).unwrap(), Vec::new());
        let routed = exchange.route(&table, &TestClusters::default());
        assert_eq!(routed.is_ok(), want.is_some(), "{name}");
        if let Some(want) = want {
            let mut map = Map::default();
            exchange.prepare(b"a", &mut map).unwrap();
            assert_eq!(map.headers[":path"], want, "{name}");
        }
    }
}
