//! An exchange whose answer reports no tokens.

use std::rc::Rc;

use sluice::endpoint::{Dialect, Endpoint};
use sluice::exchange::{Exchange, MAX_KEPT_BODY};
use sluice::gateway::Command;
use sluice::outcome::Outcome;
use sluice::parsed_request::read;
use sluice::routing::{Credential, Table};
use sluice::usage::{Counter, TokenUsage, UsageSource, COUNT_TIMEOUT};

use crate::clusters::TestClusters;
use crate::routing::{model, upstream};

/// An exchange with a finished answer of this kind, whose server can count tokens.
fn silent(body: &str, usage: Option<(TokenUsage, UsageSource)>) -> Exchange {
    let mut server = upstream("a", &[Dialect::OpenAi]);
    server.host = Some("there".to_owned());
    server.credential = Some(Credential::new(None, "sk-theirs"));
    server.headers = vec![("x-own".to_owned(), "1".to_owned())];
    server.usage.count = Some(Counter { path: "/tokenize".to_owned(), timeout: COUNT_TIMEOUT });
    let mut table = Table::new(vec![server.clone()]);
    table.add(model("gpt-4o", &[], &[1], &[server])).unwrap();
    let mut exchange = Exchange::default();
    exchange.read(read(Endpoint::ChatCompletions, None, body.as_bytes()).unwrap(), body.as_bytes().to_vec());
    exchange.route(&Rc::new(table), &TestClusters::default()).unwrap();
    exchange.answer(200, Some(Outcome::Success));
    exchange.metered(usage);
    exchange
}

const CHAT: &str = r#"{"model":"gpt-4o","messages":[{"content":"Hi"}]}"#;
const GUESS: TokenUsage = TokenUsage {
    input: 1,
    output: 9,
    cached_input: 0,
    cache_write_input: 0,
    cache_write_1h_input: 0,
    reasoning_output: 0,
    audio_input: 0,
    audio_output: 0,
    image_input: 0,
    image_output: 0,
};

#[test]
fn the_server_is_asked_to_count() {
    let exchange = silent(CHAT, Some((GUESS, UsageSource::Estimated)));
    let call = exchange.count_call().unwrap();
    assert_eq!((call.cluster, call.timeout), ("a", COUNT_TIMEOUT));
    assert_eq!(
        call.headers,
        [
            (":method", "POST"),
            (":path", "/tokenize"),
            (":authority", "there"),
            ("content-type", "application/json"),
            ("authorization", "Bearer sk-theirs"),
            ("x-own", "1"),
        ]
    );
    assert_eq!(call.body, CHAT.as_bytes());
}

#[test]
fn nothing_else_is_counted() {
    let long = format!(r#"{{"model":"gpt-4o","messages":[{{"content":"{}"}}]}}"#, "x".repeat(MAX_KEPT_BODY));
    let cases = [
        ("reported", CHAT, Some((GUESS, UsageSource::Reported))),
        ("partial", CHAT, Some((GUESS, UsageSource::Partial))),
        ("missing", CHAT, Some((GUESS, UsageSource::Missing))),
        ("no answer", CHAT, None),
        ("too long", &long, Some((GUESS, UsageSource::Estimated))),
        ("no prompt", r#"{"model":"gpt-4o"}"#, Some((GUESS, UsageSource::Estimated))),
    ];
    for (name, body, usage) in cases {
        let mut exchange = silent(body, usage);
        assert!(exchange.count_call().is_none(), "{name}");
        if !exchange.counts_prompt() {
            exchange.counted(Some(7));
            assert_eq!(exchange.usage(), usage, "{name}: nothing is ever put in the place of what was reported");
        }
    }
}

#[test]
fn a_count_replaces_the_estimate() {
    let cases =
        [(Some(7), (TokenUsage { input: 7, ..GUESS }, UsageSource::Counted)), (None, (GUESS, UsageSource::Estimated))];
    for (count, want) in cases {
        let mut exchange = silent(CHAT, Some((GUESS, UsageSource::Estimated)));
        exchange.counted(count);
        assert_eq!(exchange.usage(), Some(want));
    }
}

#[test]
fn usage_of_an_answer_without_a_report() {
    let metered = (TokenUsage::default(), UsageSource::Missing);
    let mut exchange = silent(CHAT, None);
    let estimate = TokenUsage { input: 1, output: 2, ..TokenUsage::default() };
    assert_eq!(exchange.completed(metered, Some(2)), Some((estimate, UsageSource::Estimated)));
    assert_eq!(exchange.completed(metered, None), Some(metered), "an error has no text");
    exchange.answer_encoded(true);
    assert_eq!(exchange.completed(metered, Some(2)), Some(metered), "nobody could read it");
    let mut asking = Exchange::default();
    asking.commanded(Command::Usage, Vec::new());
    assert_eq!(asking.completed(metered, Some(2)), None, "the gateway itself has answered");
}
