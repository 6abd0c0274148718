//! All attempts share one header map: what one of them wrote must not reach the next one's upstream.

use std::collections::BTreeMap;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use sluice::config;
use sluice::exchange::{Exchange, Original, Prepared, Unprepared};
use sluice::facts;
use sluice::header_plan::RequestHeaders;
use sluice::outcome::Outcome;
use sluice::routing::Ending;
use sluice::{endpoint::Endpoint, routing::Table};
use std::rc::Rc;

use crate::fleet::TestFleet;

/// The host's header map; refuses what is named in `refused`.
#[derive(Clone, Default)]
struct Map {
    headers: BTreeMap<String, String>,
    refused: Option<&'static str>,
}

impl RequestHeaders for Map {
    fn get(&self, name: &str) -> Option<String> {
        self.headers.get(name).cloned()
    }

    fn set(&mut self, name: &str, value: &str) -> bool {
        self.headers.insert(name.to_owned(), value.to_owned());
        self.refused != Some(name)
    }

    fn remove(&mut self, name: &str) -> bool {
        self.headers.remove(name);
        self.refused != Some(name)
    }
}

const CONFIG: &str = r#"{
    "upstreams": {
        "plain": {},
        "azure": {"host": "azure.test", "base_path": "/openai/deployments/{model}", "query": "api-version=1",
                  "credential": {"env": "AZURE", "header": "api-key"}, "headers": {"x-team": "azure", "x-own": "1"}},
        "openai": {"host": "openai.test", "credential": {"env": "OPENAI"}, "headers": {"x-team": "openai"}}
    },
    "models": [{"name": "m", "targets": [
        {"upstream": "azure", "model": "east", "weight": 100}, {"upstream": "openai", "model": "gpt", "weight": 10},
        {"upstream": "plain", "weight": 1}
    ]}]
}"#;
const BODY: &[u8] = br#"{"model":"m"}"#;

fn exchange() -> (Exchange, Map) {
    let secret = |name: &str| Some(format!("{}-secret", name.to_lowercase()));
    let table: Rc<Table> = Rc::new(config::router(CONFIG.as_bytes(), &secret).unwrap());
    let path = "/v1/chat/completions?a=b";
    let original =
        Original { authority: "gateway".into(), path: path.into(), length: Some(BODY.len()), ..Original::default() };
    let mut exchange = Exchange::new(None, original);
    exchange.facts = Some(facts::read(Endpoint::ChatCompletions, None, BODY).unwrap());
    exchange.route(&table, &TestFleet::default()).unwrap();
    let sent = [(":authority", "gateway"), (":path", path), ("content-length", "13"), ("x-team", "client")];
    let headers = sent.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (exchange, Map { headers, refused: None })
}

/// After each turn the headers are the client's, and this target's: nothing of the targets before.
#[test]
fn turns_leave_nothing_behind() {
    let wanted: [(&str, &[(&str, &str)]); 3] = [
        (
            "azure",
            &[
                (":authority", "azure.test"),
                (":path", "/openai/deployments/east/chat/completions?a=b&api-version=1"),
                ("api-key", "azure-secret"),
                ("content-length", "16"),
                ("x-own", "1"),
                ("x-team", "azure"),
            ],
        ),
        (
            "openai",
            &[
                (":authority", "openai.test"),
                (":path", "/v1/chat/completions?a=b"),
                ("authorization", "Bearer openai-secret"),
                ("content-length", "15"),
                ("x-team", "openai"),
            ],
        ),
        (
            "plain",
            &[
                (":authority", "gateway"),
                (":path", "/v1/chat/completions?a=b"),
                ("content-length", "13"),
                ("x-team", "client"),
            ],
        ),
    ];
    let (mut exchange, mut map) = exchange();
    for (index, (cluster, want)) in wanted.into_iter().enumerate() {
        if index > 0 {
            assert_eq!(advance(&mut exchange), Some(cluster.to_owned()));
        }
        let Prepared::Rewrite(body) = exchange.prepare(cluster.as_bytes(), &mut map).unwrap() else { panic!() };
        assert_eq!(map.headers["content-length"], body.length().to_string(), "{cluster}");
        let found: Vec<(&str, &str)> =
            map.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, want, "{cluster}");
    }
    assert_eq!(advance(&mut exchange), None, "all have been tried");
}

/// After a connection that was refused.
fn advance(exchange: &mut Exchange) -> Option<String> {
    exchange.advance(Ending::silent(Outcome::ConnectFailure), &TestFleet::default()).map(str::to_owned)
}

#[test]
fn nothing_goes_to_a_stranger() {
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
