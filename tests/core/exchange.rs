use std::rc::Rc;
use std::time::Duration;

use sluice::endpoint::{Dialect, Endpoint, Further};
use sluice::exchange::{Exchange, Routed};
use sluice::header_plan::RequestHeaders;
use sluice::keys::{Identity, Role};
use sluice::limits::{ActualUsage, Limits, Quota, RateHeaders, Subject};
use sluice::outcome::Outcome;
use sluice::parsed_request::read;
use sluice::pattern::Patterns;
use sluice::routing::{Ending, Table};
use sluice::usage::{Price, TokenUsage, UsageSource};

use crate::clusters::TestClusters;
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

pub fn exchange(endpoint: Endpoint, name: &str) -> Exchange {
    let body = format!(r#"{{"model":"{name}","stream":true}}"#);
    let mut exchange = Exchange::default();
    exchange.read(read(endpoint, None, body.as_bytes()).unwrap(), Vec::new());
    exchange
}

#[test]
fn a_route_goes_through_all_targets() {
    let mut exchange = exchange(Endpoint::ChatCompletions, "gpt-4o");
    let clusters = TestClusters::default();
    assert_eq!(exchange.route(&table(), &clusters).unwrap(), Routed::Ready);
    let refused = Ending::silent(Outcome::ConnectFailure);
    let route = exchange.routed().unwrap();
    assert_eq!(route.model().unwrap().name, "gpt-4o");
    assert_eq!(route.upstream().unwrap().name, "a");
    assert!(exchange.injects_usage(), "the upstream may be asked for usage");
    assert_eq!(exchange.advance(refused, &clusters), Some("b"));
    assert_eq!(exchange.advance(refused, &clusters), None, "all have been tried");
    assert_eq!(exchange.routed().unwrap().upstream().unwrap().name, "b", "the last one stays");
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
        patterns.into_iter().for_each(|patterns| exchange.identified(Rc::new(identity(patterns))));
        let error = exchange.route(&table(), &TestClusters::default()).expect_err(name);
        assert_eq!((error.status, error.param, error.code), (404, Some("model"), "model_not_found"), "{name}");
        assert_eq!(error.message, want, "{name}");
    }
    let error = Exchange::default().route(&table(), &TestClusters::default()).expect_err("unread");
    assert_eq!(error.status, 500);
}

/// Request headers that no test reads.
pub struct NoHeaders;

impl RequestHeaders for NoHeaders {
    fn read(&self, _: &mut dyn FnMut(&str, &[u8])) {}

    fn set(&mut self, _: &str, _: &[u8]) -> bool {
        true
    }

    fn remove(&mut self, _: &str) -> bool {
        true
    }
}

#[test]
fn attempts_begin() {
    let (mut exchange, clusters) = (exchange(Endpoint::ChatCompletions, "gpt-4o"), TestClusters::default());
    exchange.route(&table(), &clusters).unwrap();
    assert!(!exchange.has_begun());
    exchange.prepare(b"a", &mut NoHeaders).unwrap();
    assert!(exchange.has_begun());
    let refused = Ending::silent(Outcome::ConnectFailure);
    exchange.end_attempt(refused, &clusters);
    exchange.advance(refused, &clusters).unwrap();
    assert!(!exchange.has_begun(), "another attempt");
    exchange.prepare(b"b", &mut NoHeaders).unwrap();
    assert!(exchange.has_begun());
}

/// A dollar for a million input tokens and two for a million output tokens; the prompt counts 10 tokens.
fn priced() -> Exchange {
    let upstreams = vec![upstream("a", &[Dialect::OpenAi]), upstream("b", &[Dialect::OpenAi])];
    let mut table = Table::new(upstreams.clone());
    let mut priced = model("gpt-4o", &[], &[1, 1], &upstreams);
    priced.price = Some(Price::new(1_000_000, 2_000_000));
    table.add(priced).unwrap();
    let mut exchange = Exchange::default();
    let body = br#"{"model":"gpt-4o","max_tokens":  100 }  "#;
    exchange.read(read(Endpoint::ChatCompletions, None, body).unwrap(), Vec::new());
    assert_eq!(exchange.usage_estimate(0, 1).tokens(&Limits::default()), 110);
    exchange.route(&Rc::new(table), &TestClusters::default()).unwrap();
    exchange
}

#[test]
fn actual_usage() {
    let known = |input, output| TokenUsage { input, output, ..TokenUsage::default() };
    let reported = |tokens, microusd| ActualUsage::Reported { tokens, microusd };
    let at_least = |tokens, microusd| ActualUsage::AtLeast { tokens, microusd };
    let cases = [
        ("whole", Some(200), Some((known(7, 3), UsageSource::Reported)), reported(10, 13)),
        ("counted afterwards", Some(200), Some((known(7, 3), UsageSource::Counted)), reported(10, 13)),
        ("estimated", Some(200), Some((known(7, 3), UsageSource::Estimated)), reported(10, 13)),
        ("reported as nothing", Some(200), Some((known(0, 0), UsageSource::Reported)), reported(0, 0)),
        ("cut", Some(200), Some((known(7, 3), UsageSource::Partial)), reported(10, 13)),
        ("an error in a stream", Some(200), Some((known(0, 0), UsageSource::Partial)), reported(0, 0)),
        ("whole, nothing told", Some(200), Some((known(0, 0), UsageSource::Missing)), at_least(10, 10)),
        ("not metered", Some(200), None, at_least(10, 10)),
        ("a refusal", Some(400), None, ActualUsage::Nothing),
        ("a failure", Some(500), None, ActualUsage::Nothing),
    ];
    for (name, answered, usage, want) in cases {
        let mut exchange = priced();
        answered.into_iter().for_each(|status| exchange.answer(status, None));
        exchange.metered(usage);
        assert_eq!(exchange.actual_usage(), want, "{name}");
    }
}

#[test]
fn usage_of_an_unreadable_answer() {
    let mut exchange = priced();
    exchange.answer(200, None);
    exchange.left_unread(true);
    let known = TokenUsage { input: 7, output: 3, ..TokenUsage::default() };
    for (source, want) in [
        (UsageSource::Partial, ActualUsage::AtLeast { tokens: 10, microusd: 13 }),
        (UsageSource::Reported, ActualUsage::Reported { tokens: 10, microusd: 13 }),
    ] {
        exchange.metered(Some((known, source)));
        assert_eq!(exchange.actual_usage(), want, "{source:?}");
    }
}

#[test]
fn usage_without_an_answer() {
    let (clusters, refused) = (TestClusters::default(), Ending::silent(Outcome::ConnectFailure));
    let mut exchange = priced();
    assert_eq!(exchange.actual_usage(), ActualUsage::Nothing, "no attempt has begun");
    exchange.prepare(b"a", &mut NoHeaders).unwrap();
    assert_eq!(exchange.actual_usage(), ActualUsage::AtLeast { tokens: 10, microusd: 10 }, "the model server goes on");
    assert_eq!(exchange.advance(refused, &clusters), Some("b"));
    assert_eq!(exchange.actual_usage(), ActualUsage::Nothing, "between two attempts");
    exchange.prepare(b"b", &mut NoHeaders).unwrap();
    exchange.exhaust(Outcome::ConnectFailure);
    assert_eq!(exchange.actual_usage(), ActualUsage::Nothing, "all have failed");
    assert_eq!(Exchange::default().actual_usage(), ActualUsage::Nothing);
}

#[test]
fn the_estimate() {
    let reserved = |exchange: &Exchange, reserve_output| {
        let demand = exchange.usage_estimate(0, 1);
        demand.tokens(&Limits { reserve_output, ..Limits::default() })
    };
    assert_eq!(reserved(&Exchange::default(), None), 0);
    for (body, want) in [
        (r#"{"model":"m"}"#, 4),
        (r#"{"model":"m","max_tokens":1000}"#, 1008),
        (r#"{"model":"m","max_tokens":1000,"n":2}"#, 2010),
        (r#"{"model":"m","max_tokens":18446744073709551615,"n":9}"#, u64::MAX),
    ] {
        let mut exchange = Exchange::default();
        exchange.read(read(Endpoint::ChatCompletions, None, body.as_bytes()).unwrap(), Vec::new());
        assert_eq!(reserved(&exchange, None), want, "{body}");
        assert_eq!(reserved(&exchange, Some(7)), want.min(7 + exchange.usage_estimate(0, 1).prompt), "{body}");
    }
}

/// The number of requested images is charged, because providers sell them by the piece.
#[test]
fn images_cost_by_the_piece() {
    let upstreams = vec![upstream("a", &[Dialect::OpenAi])];
    let mut table = Table::new(upstreams.clone());
    let mut priced = model("gpt-4o", &[], &[1], &upstreams);
    priced.price = Some(Price { image: 40_000, ..Price::new(1_000_000, 2_000_000) });
    table.add(priced).unwrap();
    let table = Rc::new(table);
    let used = TokenUsage { input: 7, output: 3, ..TokenUsage::default() };
    let images = Endpoint::Further(Further::Images);
    for (endpoint, n, before, after) in
        [(images, "", 0, 0), (images, r#","n":3"#, 80_000, 80_000), (Endpoint::ChatCompletions, r#","n":3"#, 0, 0)]
    {
        let body = format!(r#"{{"model":"gpt-4o","max_tokens":0{n}}}"#);
        let mut exchange = Exchange::default();
        exchange.read(read(endpoint, None, body.as_bytes()).unwrap(), Vec::new());
        let each = if endpoint == images { 40_000 } else { 0 };
        let input = body.len().div_ceil(4) as u64;
        assert_eq!(exchange.cost_estimate(&table, 0), input + each + before, "{body}");
        exchange.route(&table, &TestClusters::default()).unwrap();
        assert_eq!(exchange.cost(&used), 13 + each + after, "{body}");
    }
}

#[test]
fn the_tightest_rates_are_reported() {
    let quota = |limit, remaining| Some(Quota { limit, remaining, reset: Duration::from_secs(1) });
    let mut exchange = Exchange::default();
    // another filter's rates for requests and tokens, and the reported rates
    let steps = [
        (None, None, None, None),
        (quota(10, 5), None, quota(10, 5), None),
        (quota(9, 5), quota(100, 50), quota(10, 5), quota(100, 50)),
        (quota(8, 4), None, quota(8, 4), quota(100, 50)),
        (None, quota(100, 0), quota(8, 4), quota(100, 0)),
        (quota(99, 98), quota(99, 98), quota(8, 4), quota(100, 0)),
    ];
    for (requests, tokens, want_requests, want_tokens) in steps {
        exchange.tell_rates(RateHeaders { requests, tokens });
        assert_eq!(exchange.rates(), RateHeaders { requests: want_requests, tokens: want_tokens });
    }
}

#[test]
fn limits_of_the_callers_models() {
    let upstreams = vec![upstream("a", &[Dialect::OpenAi])];
    let mut table = Table::new(upstreams.clone());
    let some = Limits { requests_per_minute: Some(1), ..Limits::default() };
    for (name, limits) in [("one", some), ("two", some), ("free", Limits::default()), ("other", some)] {
        let mut model = model(name, &[], &[1], &upstreams);
        model.limits = limits;
        table.add(model).unwrap();
    }
    let mut exchange = Exchange::default();
    let patterns = Patterns::new(vec!["one".into(), "t*".into(), "free".into()]);
    exchange.identified(Rc::new(Identity::new("k", Role::User, patterns)));
    exchange.report_limits(vec![(Subject::Key("k".into()), Limits::default()), (Subject::All, some)]);
    let found: Vec<Subject> = exchange.limits(&table).into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(found, [Subject::All, Subject::Model("one".into()), Subject::Model("two".into())]);
}

#[test]
fn names_that_clients_choose() {
    let upstreams = vec![upstream("a", &[Dialect::OpenAi])];
    let mut table = Table::new(upstreams.clone());
    table.add(model("gpt-*", &[], &[1], &upstreams)).unwrap();
    table.add(model("own", &["alias"], &[1], &upstreams)).unwrap();
    let table = Rc::new(table);
    let routed = |name| {
        let mut exchange = exchange(Endpoint::ChatCompletions, name);
        exchange.route(&table, &TestClusters::default()).unwrap();
        exchange
    };
    let own = routed("alias");
    assert_eq!((own.labels().1, own.chosen_name()), ("own", None));
    let mut chosen = routed("gpt-9");
    assert_eq!((chosen.labels().1, chosen.chosen_name()), ("other", Some("gpt-9")));
    chosen.tell_apart(true);
    assert_eq!(chosen.labels().1, "gpt-9");
    let answers = [(None, false), (Some(404), false), (Some(200), true)];
    for (answered, want) in answers {
        answered.into_iter().for_each(|status| chosen.answer(status, None));
        assert_eq!(chosen.has_succeeded(), want, "{answered:?}");
    }
    chosen.replace_answer(403);
    assert!(!chosen.has_succeeded());
}

#[test]
fn tokens_of_a_failed_attempt() {
    let usage = r#""usage":{"prompt_tokens":7,"completion_tokens":9}"#;
    let text = r#"{"choices":[{"message":{"content":"12345678"#; // cut there
    let event = r#"data: {"choices":[{"delta":{"content":"1234"}}]}"#;
    let counts = |input, output| Some((input, output));
    let cases = [
        (format!(r#"{{"error":{{}},{usage}}}"#), counts(7, 9)),
        (format!(r#"{{"choices":[],{usage}}}"#), counts(7, 9)),
        (text.to_owned(), counts(1, 3)),
        (format!(r#"{text}"}}}}]}}"#), counts(1, 3)),
        (format!("{event}\n\n{event}"), counts(1, 2)),
        (r#"{"error":{"message":"m"}}"#.to_owned(), None),
        (r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":0}}"#.to_owned(), None),
        ("<html>".to_owned(), None),
        (String::new(), None),
    ];
    let prompt = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"abc"}]}"#;
    let mut exchange = Exchange::default();
    exchange.read(read(Endpoint::ChatCompletions, None, prompt.as_bytes()).unwrap(), Vec::new());
    assert_eq!(exchange.failed_usage(text.as_bytes()), None, "no target");
    exchange.route(&crate::costs::price_list(), &TestClusters::default()).unwrap();
    for (answer, want) in cases {
        let found = exchange.failed_usage(answer.as_bytes());
        assert_eq!(found.map(|(tokens, _)| (tokens.input, tokens.output)), want, "{answer}");
        let cost = want.map(|(input, output)| (2 * input + 10 * output) * 1_000_000);
        assert_eq!(found.map(|(_, cost)| cost), cost, "{answer}");
    }
    exchange.answer_encoded(true);
    assert_eq!(exchange.failed_usage(text.as_bytes()), None, "nothing can be read of it");
}
