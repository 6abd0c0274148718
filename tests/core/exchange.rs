use std::rc::Rc;

use sluice::endpoint::{Dialect, Endpoint};
use sluice::exchange::{Exchange, Routed};
use sluice::facts::read;
use sluice::keys::{Identity, Role};
use sluice::outcome::Outcome;
use sluice::pattern::Patterns;
use sluice::routing::{Ending, Table};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::fleet::TestFleet;
use crate::routing::{model, upstream};

fn table() -> Rc<Table> {
    let mut silent = upstream("b", &[Dialect::OpenAi, Dialect::Ollama]);
    silent.include_usage = false;
    let upstreams = vec![upstream("a", &[Dialect::OpenAi]), silent];
    let mut table = Table::new(upstreams.clone());
    table.add(model("gpt-4o", &[], &[1, 1], &upstreams)).unwrap();
    table.add(model("llama", &[], &[1], &upstreams)).unwrap();
    Rc::new(table)
}

fn exchange(endpoint: Endpoint, name: &str) -> Exchange {
    let body = format!(r#"{{"model":"{name}","stream":true}}"#);
    let mut exchange = Exchange::default();
    exchange.facts = Some(read(endpoint, None, body.as_bytes()).unwrap());
    exchange
}

#[test]
fn a_route_goes_through_all_targets() {
    let mut exchange = exchange(Endpoint::ChatCompletions, "gpt-4o");
    let fleet = TestFleet::default();
    assert_eq!(exchange.route(&table(), &fleet).unwrap(), Routed::Ready);
    let refused = Ending::silent(Outcome::ConnectFailure);
    let route = exchange.route.as_ref().unwrap();
    assert_eq!(route.model().unwrap().name, "gpt-4o");
    assert_eq!(route.upstream().unwrap().name, "a");
    assert!(exchange.injects_usage(), "the upstream may be asked for usage");
    assert_eq!(exchange.advance(refused, &fleet), Some("b"));
    assert_eq!(exchange.advance(refused, &fleet), None, "all have been tried");
    assert_eq!(exchange.route.as_ref().unwrap().upstream().unwrap().name, "b", "the last one stays");
    assert!(!exchange.injects_usage(), "this upstream must not be asked");
}

#[test]
fn no_route() {
    let all = "The model `gpt-5` does not exist or you do not have access to it. Models you can use: gpt-4o, llama.";
    let some = "The model `gpt-5` does not exist or you do not have access to it. Models you can use: llama.";
    let none = "The model `gpt-5` does not exist or you do not have access to it. Models you can use: none.";
    let dialect = "The model `llama` is not served in the ollama dialect, only in: openai.";
    let chat = Endpoint::ChatCompletions;
    let cases = [
        ("unknown, without auth", chat, "gpt-5", None, all),
        ("unknown, with a pattern", chat, "gpt-5", Some(vec!["ll*".to_owned()]), some),
        ("unknown, with no pattern", chat, "gpt-5", Some(vec![]), none),
        ("another dialect", Endpoint::OllamaChat, "llama", None, dialect),
    ];
    for (name, endpoint, model, patterns, want) in cases {
        let mut exchange = exchange(endpoint, model);
        let identity = |patterns| Identity::new("k", Role::User, Patterns::new(patterns));
        exchange.identity = patterns.map(|patterns| Rc::new(identity(patterns)));
        let error = exchange.route(&table(), &TestFleet::default()).expect_err(name);
        assert_eq!((error.status, error.param, error.code), (404, Some("model"), "model_not_found"), "{name}");
        assert_eq!(error.message, want, "{name}");
    }
    let error = Exchange::default().route(&table(), &TestFleet::default()).expect_err("unread");
    assert_eq!(error.status, 500);
}
