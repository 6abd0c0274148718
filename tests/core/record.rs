use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::config::Joined;
use sluice::endpoint::{Dialect, Endpoint};
use sluice::exchange::{ChosenKind, Exchange};
use sluice::guard::checks::Flag;
use sluice::keys::{Identity, Role};
use sluice::kinds::Found;
use sluice::outcome::Outcome;
use sluice::parsed_request::read;
use sluice::pattern::Patterns;
use sluice::record::{Json, Record, Struct};
use sluice::routing::{Ending, Table, Upstream};
use sluice::usage::{Framing, Price, ResponseDetails, TokenUsage, UsageSource};
use sluice::wire_names::NONE;

use crate::clusters::TestClusters;
use crate::routing::{model, upstream};

const FIELDS: [&str; 38] = [
    "key",
    "model",
    "cluster",
    "attempts",
    "outcomes",
    "requested_model",
    "request_model",
    "operation",
    "span_name",
    "conversation",
    "provider",
    "response_model",
    "stream",
    "max_tokens",
    "temperature",
    "time_to_first_chunk",
    "server_address",
    "server_port",
    "response_id",
    "finish_reasons",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "source",
    "cost_microusd",
    "time_to_first_token_ms",
    "kind",
    "virtual_model",
    "prompt",
    "guard_flags",
    "guard_blocked",
    "label_team",
];

/// A record's fields, read by the configuration's reader, which reads the same message.
fn fields(record: Record<Struct>) -> Value {
    let names = [&FIELDS[..], &["error"]].concat();
    let texts = Joined::parse("record", &record.into_bytes()).unwrap().split(&names).unwrap();
    let shown = names.iter().zip(texts).filter(|(_, text)| !text.is_empty());
    shown.map(|(name, text)| ((*name).to_owned(), serde_json::from_slice::<Value>(&text).unwrap())).collect()
}

/// The same as in the access log. (JSON from a `Struct` has doubles for numbers.)
fn logged(record: Record<Json>) -> Value {
    let line = [b"{\"status\":200".to_vec(), record.into_bytes(), b"}".to_vec()].concat();
    let mut logged = serde_json::from_slice::<Value>(&line).unwrap()["sluice"].take();
    for value in logged.as_object_mut().unwrap().values_mut().filter(|value| value.is_u64()) {
        *value = json!(value.as_f64());
    }
    logged
}

/// The recorded values in either form.
fn shown(exchange: &Exchange, status: u16) -> Value {
    let shown = fields(Record::of(exchange, status));
    assert_eq!(logged(Record::of(exchange, status)), shown);
    shown
}

fn traced(exchange: &Exchange) -> Value {
    fields(Record::of(exchange, 200).for_traces(exchange, None))
}

fn stranger(status: u16) -> Value {
    let shown = fields(Record::of_stranger(NONE, status));
    assert_eq!(logged(Record::of_stranger(NONE, status)), shown);
    shown
}

fn table() -> Rc<Table> {
    let upstreams = vec![upstream("a", &[Dialect::OpenAi]), upstream("b", &[Dialect::OpenAi])];
    let mut table = Table::new(upstreams.clone());
    let mut priced = model("gpt-*", &[], &[1, 1], &upstreams);
    priced.price = Some(Price { cached_input: 1_000_000, ..Price::new(2_000_000, 10_000_000) });
    table.add(priced).unwrap();
    Rc::new(table)
}

fn chat(name: &str) -> Exchange {
    let body = json!({ "model": name, "messages": [{ "role": "user", "content": "a secret" }] }).to_string();
    let mut exchange = Exchange::default();
    exchange.read(read(Endpoint::ChatCompletions, None, body.as_bytes()).unwrap(), Vec::new());
    exchange.tell_apart(true);
    exchange
}

#[test]
fn labels_of_the_key() {
    let mut exchange = chat("gpt-4o");
    let labels = vec![("team".to_owned(), "a \"team\"".to_owned())];
    exchange.identified(Rc::new(Identity { labels, ..Identity::new("alice", Role::User, Patterns::any()) }));
    let shown = shown(&exchange, 200);
    assert_eq!((&shown["key"], &shown["label_team"]), (&json!("alice"), &json!("a \"team\"")));
}

#[test]
fn a_missing_last_event_is_no_error_if_usual_for_the_server() {
    for (ended_without_marker, error) in [(false, Some("interrupted")), (true, None)] {
        let mut exchange = chat("gpt-4o");
        exchange.route(&table(), &TestClusters::default()).unwrap();
        exchange.metered(Some((TokenUsage::default(), UsageSource::Partial)));
        if ended_without_marker {
            exchange.end_without_marker();
        }
        assert_eq!(shown(&exchange, 200).get("error").and_then(|error| error.as_str()), error);
    }
}

#[test]
fn a_request_that_was_answered() {
    let clusters = TestClusters::default();
    let mut exchange = chat("gpt-4o");
    exchange.arrived(0, false, Duration::from_secs(100));
    exchange.route(&table(), &clusters).unwrap();
    exchange.end_attempt(Ending::silent(Outcome::Timeout), &clusters);
    exchange.advance(Ending::silent(Outcome::Timeout), &clusters);
    exchange.answer(200, Some(Outcome::Success));
    exchange.first_bytes(Duration::from_millis(100_250));
    let tokens = TokenUsage { input: 1000, cached_input: 400, output: 100, ..TokenUsage::default() };
    exchange.metered(Some((tokens, UsageSource::Reported)));
    let mut want = json!({
        "key": "anonymous", "model": "gpt-4o", "cluster": "b", "attempts": 2.0, "outcomes": "a=timeout, b=success",
        "input_tokens": 1000.0, "cached_input_tokens": 400.0, "output_tokens": 100.0, "source": "reported",
        "cost_microusd": 2600.0, "time_to_first_token_ms": 250.0,
    });
    assert_eq!(shown(&exchange, 200), want);
    exchange.metered(Some((TokenUsage::default(), UsageSource::Partial)));
    for (field, value) in [("input_tokens", 0.0), ("output_tokens", 0.0), ("cost_microusd", 0.0)] {
        want[field] = json!(value);
    }
    want["source"] = json!("partial");
    want["error"] = json!("interrupted");
    want.as_object_mut().unwrap().remove("cached_input_tokens");
    assert_eq!(shown(&exchange, 200), want, "a stream that was cut");
    let traced = traced(&exchange);
    let more =
        [("request_model", "gpt-4o"), ("operation", "chat"), ("provider", "openai"), ("response_model", "gpt-4o")];
    more.into_iter().for_each(|(field, value)| want[field] = json!(value));
    want["stream"] = json!("false");
    want["span_name"] = json!("chat gpt-4o");
    assert_eq!(traced, want, "the same for traces");
}

#[test]
fn the_kind_of_a_prompt() {
    let mut exchange = chat("gpt-4o");
    let found = Found::Rules;
    exchange.set_kind(ChosenKind { virtual_model: "auto".to_owned(), kind: "code".to_owned(), found });
    let shown = shown(&exchange, 200);
    assert_eq!((&shown["kind"], &shown["virtual_model"]), (&json!("code"), &json!("auto")));
}

#[test]
fn what_only_traces_are_told() {
    let clusters = TestClusters::default();
    let upstreams = vec![Upstream { host: Some("api.example.com:8443".into()), ..upstream("a", &[Dialect::OpenAi]) }];
    let mut table = Table::new(upstreams.clone());
    table.add(model("m", &[], &[1], &upstreams)).unwrap();
    let body = json!({"model": "m", "stream": true, "max_tokens": 50, "n": 2, "temperature": 0.25, "messages": []});
    let mut exchange = Exchange::default();
    exchange.arrived(0, false, Duration::from_secs(100));
    exchange.read(read(Endpoint::ChatCompletions, None, body.to_string().as_bytes()).unwrap(), Vec::new());
    exchange.route(&Rc::new(table), &clusters).unwrap();
    exchange.first_bytes(Duration::from_millis(101_050));
    let mut answer = ResponseDetails::new(Framing::Json);
    answer.chunk(br#"{"id":"c-1","choices":[{"finish_reason":"stop"}]}"#, true);
    let shown = fields(Record::of(&exchange, 200).for_traces(&exchange, Some(&answer)));
    for (field, want) in [
        ("span_name", json!("chat m")),
        ("stream", json!("true")),
        ("max_tokens", json!(50.0)),
        ("temperature", json!("0.25")),
        ("time_to_first_chunk", json!("1.05")),
        ("server_address", json!("api.example.com")),
        ("server_port", json!("8443")),
        ("response_id", json!("c-1")),
        ("finish_reasons", json!("stop")),
    ] {
        assert_eq!(shown[field], want, "{field}");
    }
}

#[test]
fn the_conversation_that_a_client_names() {
    let record = || Record::of_stranger("none", 200);
    assert_eq!(fields(record().in_conversation(Some("c-7")))["conversation"], "c-7");
    assert_eq!(fields(record().in_conversation(Some(&"é".repeat(1000))))["conversation"], "é".repeat(100));
    assert!(fields(record().in_conversation(None)).get("conversation").is_none());
    assert_eq!(fields(Record::<Struct>::of_stranger("none", 401).for_unnamed_span())["span_name"], "request");
}

#[test]
fn findings_of_checks() {
    let flag = |check: &str, category: &str| Flag { check: check.into(), category: category.into() };
    let mut exchange = Exchange::default();
    assert_eq!(exchange.flags(), None);
    for _ in 0..100 {
        exchange.flag(vec![flag("tox", "hate"), flag("pii", "EMAIL_ADDRESS")]);
    }
    assert_eq!(exchange.flags().as_deref(), Some("tox:hate, pii:EMAIL_ADDRESS"), "each once");
    exchange.block(Some(flag("tox", "violence")));
    let record = shown(&exchange, 200);
    assert_eq!(record["guard_flags"], "tox:hate, pii:EMAIL_ADDRESS");
    assert_eq!(record["guard_blocked"], "tox:violence");
    exchange.flag((0..100).map(|number| flag("tox", &number.to_string())).collect());
    assert_eq!(exchange.flags().unwrap().split(", ").count(), 16, "whatever a service makes up");
}

#[test]
fn errors() {
    let cases = [(0, json!("client_disconnected")), (200, Value::Null), (304, Value::Null), (404, json!("404"))];
    for (status, want) in cases {
        assert_eq!(shown(&Exchange::default(), status)["error"], want, "{status}");
        assert_eq!(stranger(status)["error"], want, "{status}");
    }
    let want = json!({ "key": "none", "model": "none", "cluster": "none", "attempts": 0.0, "error": "401" });
    assert_eq!(stranger(401), want);
}

#[test]
fn operations() {
    let cases = [
        (Endpoint::Responses, "chat", "openai"),
        (Endpoint::Completions, "text_completion", "openai"),
        (Endpoint::Embeddings, "embeddings", "openai"),
        (Endpoint::Messages, "chat", "anthropic"),
        (Endpoint::OllamaGenerate, "text_completion", "ollama"),
        (Endpoint::StreamGenerateContent, "generate_content", "gcp.gemini"),
    ];
    for (endpoint, operation, provider) in cases {
        let mut exchange = Exchange::default();
        let model = matches!(endpoint, Endpoint::StreamGenerateContent).then(|| "m".to_owned());
        exchange.read(read(endpoint, model, br#"{"model":"m"}"#).unwrap(), Vec::new());
        let shown = traced(&exchange);
        assert_eq!((&shown["operation"], &shown["provider"]), (&json!(operation), &json!(provider)), "{endpoint:?}");
    }
}

proptest! {
    /// Any model name of a client: one field, cut between characters.
    #[test]
    fn any_name(name in prop::collection::vec(any::<char>(), 1..200)) {
        let mut exchange = chat("m");
        let mut parsed = exchange.parsed().unwrap().clone();
        parsed.model = name.iter().collect();
        exchange.read(parsed, Vec::new());
        let want: String = name.iter().take(100).collect();
        prop_assert_eq!(&shown(&exchange, 200)["requested_model"], &json!(want));
    }
}
