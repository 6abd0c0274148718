//! Many concurrent requests with callbacks in any order: each gets its own answer, with its own target's key.

use std::time::Duration;

use proptest::prelude::*;

use super::envoy::{chat, completion, Attempt, Call, Envoy, Step, KEY};
use super::requests::{metric, started};
use super::{in_new_vm, value};
use crate::registry;

/// A request and its state.
struct Running {
    call: Call,
    name: String,
    body: Vec<u8>,
    attempt: Option<Attempt>,
    responded: bool,
    /// The number of its attempts that fail first.
    failures: u8,
    answered: bool,
    done: bool,
}

impl Running {
    fn begin(envoy: &Envoy, number: usize, failures: u8) -> Running {
        let (call, step) = envoy.begin("/v1/chat/completions", KEY, &[]);
        assert!(matches!(step, Step::Held), "the body is awaited: {step:?}");
        let name = format!("request-{number}-");
        let body = chat(&name, false);
        Running { call, name, body, attempt: None, responded: false, failures, answered: false, done: false }
    }

    /// The next event for it.
    fn step(&mut self, envoy: &Envoy) {
        if !self.body.is_empty() {
            let rest = self.body.split_off(self.body.len().min(40));
            let part = std::mem::replace(&mut self.body, rest);
            let step = envoy.body(self.call, &part, self.body.is_empty());
            assert_eq!(matches!(step, Step::Passed), self.body.is_empty(), "{step:?}");
            return;
        }
        if self.answered {
            self.attempt.take().iter().for_each(|attempt| envoy.end_attempt(attempt));
            envoy.end(self.call);
            self.done = true;
            return;
        }
        let Some(attempt) = &self.attempt else {
            let attempt = envoy.attempt(self.call).unwrap_or_else(|answer| panic!("{}", answer.told()));
            let key = format!("Bearer key-of-{}", attempt.cluster);
            assert_eq!(value(&attempt.headers, "authorization"), Some(key.as_str()));
            assert!(String::from_utf8_lossy(&attempt.body).contains(&self.name), "another request's body");
            self.attempt = Some(attempt);
            self.responded = false;
            return;
        };
        let step = match (self.responded, self.failures) {
            (false, 1..) => {
                self.failures -= 1;
                envoy.respond(attempt, 500, "application/json")
            }
            (false, 0) => envoy.respond(attempt, 200, "application/json"),
            (true, _) => envoy.send(attempt, &completion(&self.name), true),
        };
        self.responded = true;
        match step {
            Step::Held => {}
            Step::Retried => self.attempt = None,
            Step::Answered(answer) => {
                assert_eq!(answer.status, 200, "{}", answer.told());
                assert!(answer.text().contains(&self.name), "another request's answer");
                self.answered = true;
            }
            Step::Passed => panic!("an answer is an answer"),
        }
    }
}

fn run_all(failures: &[u8], order: &[(usize, u8)]) {
    let envoy = started();
    let mut running: Vec<Running> =
        failures.iter().enumerate().map(|(number, failures)| Running::begin(&envoy, number, *failures)).collect();
    let count = running.len();
    let rest = (0..count).flat_map(|index| std::iter::repeat_n((index, 1), 40));
    for (index, event) in order.iter().copied().chain(rest) {
        let one = &mut running[index % count];
        match event {
            0 => envoy.tick(),
            // the client leaves
            9 if !one.done && index % 5 == 0 => {
                envoy.end(one.call);
                one.attempt.take().iter().for_each(|attempt| envoy.end_attempt(attempt));
                one.done = true;
            }
            _ if !one.done => one.step(&envoy),
            _ => {}
        }
    }
    assert!(running.iter().all(|one| one.done));
    assert!(registry::is_idle());
    envoy.wait(Duration::from_secs(1));
    assert_eq!(metric("llm_in_flight"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order(
        failures in proptest::collection::vec(0..2_u8, 2..8),
        order in proptest::collection::vec((0..8_usize, 0..10_u8), 0..150),
    ) {
        in_new_vm(|| run_all(&failures, &order));
    }
}
