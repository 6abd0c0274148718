//! Rare cases: calls for unknown contexts, failing host calls, clients that leave at any time.

use std::time::Duration;

use super::envoy::{chat, completion, configuration, Envoy, Step, KEY};
use super::requests::{metric, started};
use super::{host, in_new_vm, value, Refuses};
use crate::exports::*;
use crate::registry;
use crate::types::Action;

#[test]
fn unknown_contexts_are_not_served_and_do_no_harm() {
    in_new_vm(|| {
        let envoy = started();
        for context in [0, 3, 77, u32::MAX] {
            assert_eq!(proxy_on_request_headers(context, 3, 0), Action::Pause);
            assert_eq!(proxy_on_request_body(context, 10, 1), Action::Pause);
            assert_eq!(proxy_on_response_headers(context, 3, 0), Action::Continue);
            assert_eq!(proxy_on_response_body(context, 10, 1), Action::Continue);
            proxy_on_response_trailers(context, 1);
            proxy_on_tick(context);
            proxy_on_http_call_response(context, 99, 1, 5, 0);
            proxy_on_grpc_receive(context, 99, 5);
            proxy_on_grpc_close(context, 99, 14);
            proxy_on_log(context);
            proxy_on_delete(context);
        }
        assert_eq!(envoy.chat(&chat("still there", false), |_| (200, completion("yes"))).status, 200);
    });
}

#[test]
fn without_a_configuration_nothing_passes() {
    in_new_vm(|| {
        let mut wrong = configuration();
        wrong["router"]["models"] = serde_json::json!([]);
        drop(Envoy::start("auth+router+usage", &wrong));
        let (call, step) = Envoy.begin("/v1/chat/completions", KEY, &[]);
        let step = if matches!(step, Step::Held) { Envoy.body(call, &chat("hello", false), true) } else { step };
        assert!(matches!(step, Step::Answered(ref answer) if answer.status >= 400), "{step:?}");
    });
}

/// Whatever the host refuses at any time, a request gets an answer or an error, the upstream sees no other key, and
/// nothing is left behind.
#[test]
fn host_calls_that_fail() {
    let refusals = [
        Refuses { properties: true, ..Refuses::default() },
        Refuses { headers: true, ..Refuses::default() },
        Refuses { bodies: true, ..Refuses::default() },
        Refuses { shared: true, ..Refuses::default() },
    ];
    for refuses in refusals {
        for from in 0..4 {
            in_new_vm(|| refused(refuses, from));
        }
    }
}

fn refused(refuses: Refuses, from: u8) {
    let envoy = started();
    let refuse_at = |point: u8| host(|host| host.refuses = if point >= from { refuses } else { Refuses::default() });
    refuse_at(0);
    let (call, step) = envoy.begin("/v1/chat/completions", KEY, &[]);
    refuse_at(1);
    let step = if matches!(step, Step::Answered(_)) { step } else { envoy.body(call, &chat("hi", false), true) };
    refuse_at(2);
    if !matches!(step, Step::Answered(_)) {
        if let Ok(attempt) = envoy.attempt(call) {
            assert_ne!(value(&attempt.headers, "authorization"), Some("Bearer sk-demo-user"));
            refuse_at(3);
            let step = envoy.respond(&attempt, 200, "application/json");
            if matches!(step, Step::Held) {
                envoy.send(&attempt, &completion("hi"), true);
            }
            envoy.end_attempt(&attempt);
        }
    }
    envoy.end(call);
    host(|host| host.refuses = Refuses::default());
    assert!(registry::is_idle(), "{refuses:?} from {from}");
    envoy.wait(Duration::from_secs(1));
    assert_eq!(metric("llm_in_flight"), 0, "{refuses:?} from {from}");
    assert_eq!(envoy.chat(&chat("next", false), |_| (200, completion("yes"))).status, 200);
}

/// The client leaves at each point of a request's life: before its attempt ends, or after it.
#[test]
fn clients_that_leave() {
    for point in 0..6 {
        for attempt_first in [true, false] {
            in_new_vm(|| leave(point, attempt_first));
        }
    }
}

fn leave(point: u8, attempt_first: bool) {
    let envoy = started();
    let (call, _) = envoy.begin("/v1/chat/completions", KEY, &[]);
    let mut under_way = None;
    if point > 0 {
        envoy.body(call, &chat("hi", true)[..9], false);
    }
    if point > 1 {
        envoy.body(call, &chat("hi", true)[9..], true);
    }
    if point > 2 {
        under_way = envoy.attempt(call).ok();
    }
    if let Some(attempt) = &under_way {
        if point > 3 {
            envoy.respond(attempt, 200, "text/event-stream");
        }
        if point > 4 {
            envoy.send(attempt, b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n", false);
        }
    }
    if attempt_first {
        under_way.iter().for_each(|attempt| envoy.end_attempt(attempt));
        envoy.end(call);
    } else {
        envoy.end(call);
        under_way.iter().for_each(|attempt| envoy.end_attempt(attempt));
    }
    assert!(registry::is_idle(), "left at {point}");
    envoy.wait(Duration::from_secs(1));
    assert_eq!(metric("llm_in_flight"), 0, "left at {point}");
}
