//! What comes in the wrong phase of an exchange.

use std::rc::Rc;

use sluice::endpoint::{Dialect, Endpoint};
use sluice::exchange::{Exchange, Unprepared};
use sluice::gateway::Command;
use sluice::outcome::Outcome;
use sluice::parsed_request::read;
use sluice::routing::{Ending, Table};

use crate::clusters::TestClusters;
use crate::exchange::NoHeaders;
use crate::routing::{model, upstream};

fn table() -> Rc<Table> {
    let upstreams = vec![upstream("a", &[Dialect::OpenAi])];
    let mut table = Table::new(upstreams.clone());
    table.add(model("gpt-4o", &[], &[1], &upstreams)).unwrap();
    Rc::new(table)
}

fn chat() -> Exchange {
    let mut exchange = Exchange::default();
    exchange.read(read(Endpoint::ChatCompletions, None, br#"{"model":"gpt-4o"}"#).unwrap(), Vec::new());
    exchange
}

#[test]
fn what_comes_in_the_wrong_phase_changes_nothing() {
    let tell = |exchange: &mut Exchange| {
        exchange.answer(200, Some(Outcome::Success));
        exchange.answer_encoded(true);
        exchange.replace_answer(403);
        exchange.interrupt();
        exchange.mark_invalid();
        exchange.connect_failed("refused".to_owned());
        exchange.exhaust(Outcome::Timeout);
        exchange.end_whole(200, &TestClusters::default());
        exchange.meter_provider();
    };
    let is_untold = |exchange: &Exchange| {
        exchange.answered().is_none()
            && exchange.replaced().is_none()
            && exchange.passing().is_none()
            && exchange.connect_failure().is_none()
            && exchange.provider_meter().is_none()
            && !(exchange.is_encoded() || exchange.is_interrupted() || exchange.was_invalid())
    };
    let mut asking = Exchange::default();
    asking.commanded(Command::Keys, b"{}".to_vec());
    for (name, mut exchange) in [("arrived", Exchange::default()), ("asking", asking), ("read", chat())] {
        tell(&mut exchange);
        assert!(is_untold(&exchange), "{name}");
        assert_eq!(exchange.prepare(b"a", &mut NoHeaders).unwrap_err(), Unprepared::NotRouted, "{name}");
        assert_eq!(exchange.advance(Ending::silent(Outcome::Timeout), &TestClusters::default()), None, "{name}");
    }
    let mut routed = chat();
    routed.route(&table(), &TestClusters::default()).unwrap();
    routed.commanded(Command::Keys, Vec::new());
    assert!(routed.command().is_none(), "it is a request for a model");
    tell(&mut routed);
    assert!(!is_untold(&routed));
    let mut asking = Exchange::default();
    asking.commanded(Command::Keys, Vec::new());
    asking.read(read(Endpoint::ChatCompletions, None, br#"{"model":"m"}"#).unwrap(), Vec::new());
    assert!(asking.parsed().is_none(), "it is a command");
    assert!(asking.route(&table(), &TestClusters::default()).is_err());
}
