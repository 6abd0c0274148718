//! The cost of requests, by the prices of targets, models and upstreams.

use std::rc::Rc;

use sluice::endpoint::{Dialect, Endpoint};
use sluice::exchange::Exchange;
use sluice::keys::{Identity, Role};
use sluice::outcome::Outcome;
use sluice::parsed_request::read;
use sluice::pattern::Patterns;
use sluice::routing::{Ending, Table, Upstream};
use sluice::usage::{Price, TokenUsage};

use crate::clusters::TestClusters;
use crate::exchange::exchange;
use crate::routing::{model, upstream};

/// Prices per million tokens, given in dollars per token.
fn price(input: u64, output: u64) -> Option<Price> {
    let dollars = 1_000_000_000_000;
    Some(Price::new(input * dollars, output * dollars))
}

/// A model with two targets, one with its own price, and its two fallbacks.
pub fn price_list() -> Rc<Table> {
    let upstreams = vec![upstream("a", &[Dialect::OpenAi]), upstream("b", &[Dialect::OpenAi])];
    let mut table = Table::new(upstreams.clone());
    for (name, of_model, of_second) in [
        ("m", price(2, 10), price(3, 4)),
        ("free", price(5, 50), price(0, 0)),
        ("dear", price(7, 70), None),
        ("unpriced", None, None),
    ] {
        let mut model = model(name, &[], &[1, 1], &upstreams);
        model.price = of_model;
        model.targets[1].price = of_second;
        model.max_output_tokens = 100;
        table.add(model).unwrap();
    }
    table.set_fallbacks(0, vec![1], Some(2));
    Rc::new(table)
}

#[test]
fn the_highest_cost_of_a_request() {
    let prompt = r#""messages":[{"role":"user","content":"hi"}]"#;
    let all = ["m", "free", "dear"];
    // the request, the key's models; input and output at the prices that apply
    let cases: [(Endpoint, String, &[&str], fn(u64) -> u64); 7] = [
        (Endpoint::ChatCompletions, format!(r#"{{"model":"m","max_tokens":10,{prompt}}}"#), &all, |p| p * 7 + 10 * 70),
        (Endpoint::ChatCompletions, format!(r#"{{"model":"m","max_tokens":10,{prompt}}}"#), &all[..2], |p| {
            p * 5 + 10 * 50
        }),
        (Endpoint::ChatCompletions, format!(r#"{{"model":"m","max_tokens":10,{prompt}}}"#), &["m"], |p| {
            p * 2 + 10 * 10
        }),
        (Endpoint::ChatCompletions, format!(r#"{{"model":"m","max_tokens":1,{prompt}}}"#), &["m"], |p| {
            (p * 2 + 10).max(p * 3 + 4)
        }),
        (Endpoint::ChatCompletions, format!(r#"{{"model":"m","n":3,{prompt}}}"#), &["m"], |p| p * 2 + 3 * 100 * 10),
        (Endpoint::Embeddings, r#"{"model":"dear","input":"a b c d"}"#.to_owned(), &all, |p| p * 7),
        (Endpoint::ChatCompletions, format!(r#"{{"model":"unpriced",{prompt}}}"#), &all, |_| 0),
    ];
    let table = price_list();
    for (endpoint, body, models, want) in cases {
        let parsed = read(endpoint, None, body.as_bytes()).unwrap();
        let (index, prompt) = (table.find(&parsed.model).unwrap(), (parsed.text_length as u64).div_ceil(4));
        let patterns = Patterns::new(models.iter().map(|name| (*name).to_owned()).collect());
        let mut exchange = Exchange::default();
        exchange.read(parsed, Vec::new());
        exchange.identified(Rc::new(Identity::new("k", Role::User, patterns)));
        assert_eq!(exchange.cost_estimate(&table, index), want(prompt) * 1_000_000, "{body} {models:?}");
    }
}

/// The list of an upstream has the price by the name that the upstream gets, unless target or model have one.
#[test]
fn prices_in_an_upstreams_list() {
    let listed = [("named", price(1, 1)), ("priced", price(2, 2)), ("gpt-x", price(3, 3)), ("alias", price(4, 4))];
    let prices = listed.into_iter().filter_map(|(name, price)| Some((name.to_owned(), price?))).collect();
    let upstreams = [Upstream { prices, ..upstream("a", &[Dialect::OpenAi]) }];
    let mut table = Table::new(upstreams.to_vec());
    let mut with = |name: &str, of_model: Option<Price>, of_target: Option<&str>| {
        let mut model = model(name, &["alias"], &[1], &upstreams);
        if name != "named" {
            model.aliases.clear();
        }
        model.price = of_model;
        model.targets[0].model = of_target.map(str::to_owned);
        table.add(model).unwrap();
    };
    with("named", None, None);
    with("priced", price(7, 7), None);
    with("renamed", None, Some("gpt-x"));
    with("gpt-*", None, None);
    let table = Rc::new(table);
    let tokens = TokenUsage { input: 1, output: 1, ..TokenUsage::default() };
    let clusters = TestClusters::default();
    for (name, want) in [("named", 1), ("alias", 4), ("priced", 7), ("renamed", 3), ("gpt-x", 3), ("gpt-other", 0)] {
        let mut exchange = exchange(Endpoint::ChatCompletions, name);
        let index = table.find(name).unwrap();
        exchange.route(&table, &clusters).unwrap();
        assert_eq!(exchange.cost(&tokens) / 1_000_000, 2 * want, "{name}");
        assert_eq!(exchange.cost_estimate(&table, index) > 0, want > 0, "{name}");
    }
}

#[test]
fn cost_depends_on_the_target() {
    let mut exchange = exchange(Endpoint::ChatCompletions, "m");
    let clusters = TestClusters::default();
    exchange.route(&price_list(), &clusters).unwrap();
    let refused = Ending::silent(Outcome::ConnectFailure);
    let tokens = TokenUsage { input: 1, output: 1, ..TokenUsage::default() };
    let mut costs = vec![exchange.cost(&tokens) / 1_000_000];
    while exchange.advance(refused, &clusters).is_some() {
        costs.push(exchange.cost(&tokens) / 1_000_000);
    }
    assert_eq!(costs, [12, 7, 55, 0], "its targets, then the fallback's");
}
