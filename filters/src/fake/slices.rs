//! Large bodies under the guard: their texts are extracted, searched and rewritten in slices, beside other requests.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::envoy::{chat, completion, configuration, Attempt, Call, Envoy, Step, KEY};
use super::requests::metric;
use super::{host, in_new_vm};
use crate::registry;

/// Each look at the clock takes this long, so that a slice is as short as can be.
const PACE: Duration = Duration::from_millis(10);

fn started() -> Envoy {
    let mut settings = configuration();
    settings["guard"] = json!({"checks": [
        {"name": "hide", "api": "patterns", "phase": ["request"], "action": "restore"},
        {"name": "mask", "api": "patterns", "phase": ["response"], "action": "mask"},
    ]});
    let envoy = Envoy::start("auth+guard+router+usage", &settings).unwrap();
    host(|host| host.pace = PACE);
    envoy
}

/// A text of about this size that belongs to one request.
fn text(number: usize, size: usize) -> String {
    let own = format!("request-{number}- user{number}@example.com ");
    own.clone() + &"\\\"a\n".repeat(size / 4) + &own
}

/// A request and its state.
struct Running {
    call: Call,
    number: usize,
    size: usize,
    sent: bool,
    attempt: Option<Attempt>,
    responded: bool,
    answered: bool,
    done: bool,
}

impl Running {
    fn begin(envoy: &Envoy, number: usize, size: usize) -> Running {
        let (call, step) = envoy.begin("/v1/chat/completions", KEY, &[]);
        assert!(matches!(step, Step::Held), "the body is awaited: {step:?}");
        Running { call, number, size, sent: false, attempt: None, responded: false, answered: false, done: false }
    }

    /// The next event for it.
    fn step(&mut self, envoy: &Envoy) {
        let own = format!("request-{}-", self.number);
        if !self.sent {
            self.sent = true;
            let step = envoy.body(self.call, &chat(&text(self.number, self.size), false), true);
            assert_eq!(matches!(step, Step::Passed), self.size < 1000, "{step:?}");
        } else if self.answered {
            self.leave(envoy);
        } else if let Some(attempt) = &self.attempt {
            let mut answer = Vec::new();
            if !self.responded {
                self.responded = true;
                envoy.respond(attempt, 200, "application/json");
                let text = text(self.number, self.size).replace("user", "USER_IN_ANSWER") + " <EMAIL_ADDRESS_1>";
                match envoy.send(attempt, &completion(&text), true) {
                    Step::Answered(at_once) => answer.extend(at_once.body),
                    other => panic!("{other:?}"),
                }
            }
            answer.extend(envoy.answer_so_far(self.call));
            if !answer.is_empty() {
                let answer = String::from_utf8(answer).unwrap();
                assert!(answer.contains(&own), "another request's answer");
                assert!(!answer.contains("USER_IN_ANSWER"), "it is masked");
                assert!(answer.contains(&format!(" user{}@example.com\"", self.number)), "it is restored");
                self.answered = true;
            }
        } else if envoy.goes_on(self.call) || self.size < 1000 {
            let attempt = envoy.attempt(self.call).unwrap_or_else(|answer| panic!("{}", answer.told()));
            let body = String::from_utf8_lossy(&attempt.body);
            assert!(body.contains(&own), "another request's body");
            assert!(!body.contains("example.com"), "it is hidden");
            assert!(body.contains(&format!(r#""model":"gpt-{}""#, attempt.cluster)), "{}", attempt.cluster);
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
            self.attempt = Some(attempt);
        }
    }

    fn leave(&mut self, envoy: &Envoy) {
        envoy.end(self.call);
        self.attempt.take().iter().for_each(|attempt| envoy.end_attempt(attempt));
        self.done = true;
    }
}

fn run_all(sizes: &[usize], order: &[(usize, u8)]) {
    let envoy = started();
    let mut running: Vec<_> =
        sizes.iter().enumerate().map(|(number, size)| Running::begin(&envoy, number, *size)).collect();
    let count = running.len();
    for (index, event) in order {
        let one = &mut running[index % count];
        match event {
            0..=4 => envoy.wait(Duration::from_millis(50)),
            // the client leaves
            9 if !one.done && index % 3 == 0 => one.leave(&envoy),
            _ if !one.done => one.step(&envoy),
            _ => {}
        }
    }
    for _ in 0..2000 {
        if running.iter().all(|one| one.done) {
            break;
        }
        running.iter_mut().filter(|one| !one.done).for_each(|one| one.step(&envoy));
        envoy.wait(Duration::from_millis(50));
    }
    assert!(running.iter().all(|one| one.done), "all have ended");
    assert!(registry::is_idle());
    host(|host| host.pace = Duration::ZERO);
    envoy.wait(Duration::from_secs(1));
    assert_eq!(metric("llm_in_flight"), 0);
    assert_eq!(crate::budget::promised(), 0);
}

#[test]
fn one_large_body() {
    in_new_vm(|| run_all(&[200_000], &[]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order(
        sizes in proptest::collection::vec(prop_oneof![Just(100_usize), 80_000..200_000_usize], 2..5),
        order in proptest::collection::vec((0..6_usize, 0..10_u8), 0..80),
    ) {
        in_new_vm(|| run_all(&sizes, &order));
    }
}
