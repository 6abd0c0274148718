//! The ledger: at the start, and for revoked keys. The ledger's answers are the test's.

use std::time::Duration;

use serde_json::{json, Value};
use sluice::fleet::write_windows;
use sluice::limits::{Amounts, PastUsage, Subject};

use super::envoy::{chat, configuration, Call, Envoy, Step, KEY};
use super::{host, in_new_vm, Answer};

const NOTHING: &str = r#"{"instance":"one","last":0,"changes":[]}"#;
/// A limit, of which the ledger knows that a part is used.
const DAY: u64 = 1000;

fn settings() -> Value {
    let mut settings = configuration();
    settings["auth"]["ledger"] = json!({"cluster": "ledger", "start_timeout": "2s"});
    settings["auth"]["keys"][0]["limits"] = json!({"tokens_per_day": DAY});
    settings["auth"]["keys"][0]["role"] = "admin".into();
    settings
}

/// An Envoy with a cluster of this name.
fn started(cluster: &str) -> Envoy {
    let envoy = Envoy::start("auth+router+usage", &settings()).unwrap();
    host(|host| host.service = Some(cluster.to_owned()));
    envoy
}

/// An Envoy whose ledger has told this usage at the start.
fn seeded(used: u64) -> Envoy {
    let envoy = started("ledger");
    envoy.tick();
    tell(&envoy, "GET /revocations?after=0&instance=", 200, NOTHING);
    tell_windows(&envoy, used);
    envoy
}

fn tell(envoy: &Envoy, line: &str, status: u16, body: &str) {
    assert_eq!(envoy.callout().expect("a call").line(), line);
    envoy.answer_callout(status, body.as_bytes());
}

fn tell_windows(envoy: &Envoy, used: u64) {
    let (now, mut past) = (host(|host| host.now), PastUsage::default());
    past.add_hour(now, now, Amounts { tokens: used, ..Amounts::default() });
    assert_eq!(envoy.callout().expect("a call").line(), "GET /windows");
    envoy.answer_callout(200, &write_windows(now, &[(Subject::Key("alice".into()), past)]));
}

fn ask(envoy: &Envoy) -> (Call, Step) {
    let (call, step) = envoy.begin("/v1/chat/completions", KEY, &[]);
    match step {
        Step::Held => (call, envoy.body(call, &chat("hello", false), true)),
        other => (call, other),
    }
}

fn command(envoy: &Envoy, method: &str, path: &str) -> (Call, Step) {
    let (call, step) = envoy.begin(path, KEY, &[(":method", method)]);
    match step {
        Step::Held => (call, envoy.body(call, b"", true)),
        other => (call, other),
    }
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn remaining(envoy: &Envoy) -> Value {
    let (call, step) = command(envoy, "GET", "/gateway/limits");
    let Step::Answered(answer) = step else { panic!("{step:?}") };
    envoy.end(call);
    body(&answer)["subjects"][0]["limits"]["tokens_per_day"]["remaining"].clone()
}

fn logged(part: &str) -> bool {
    host(|host| host.log.iter().any(|line| line.contains(part)))
}

#[test]
fn requests_wait_for_the_ledger_and_count_on_from_its_usage() {
    in_new_vm(|| {
        let envoy = started("ledger");
        let (call, step) = ask(&envoy);
        assert!(matches!(step, Step::Held), "{step:?}");
        envoy.wait(Duration::from_millis(500));
        assert!(!envoy.goes_on(call));
        tell(&envoy, "GET /revocations?after=0&instance=", 200, NOTHING);
        assert!(!envoy.goes_on(call));
        tell_windows(&envoy, 600);
        assert!(envoy.goes_on(call));
        envoy.end(call);
        envoy.wait(Duration::from_millis(100));
        assert_eq!(remaining(&envoy), DAY - 600);
        let (call, step) = command(&envoy, "GET", "/gateway/usage");
        let Step::Answered(answer) = step else { panic!("{step:?}") };
        assert_eq!(body(&answer)["limits_seeded_by"], "ledger", "{}", answer.told());
        assert_eq!(body(&answer)["since"], 1_800_000_000);
        envoy.end(call);
    });
}

#[test]
fn the_filters_loaded_again_do_not_count_twice() {
    in_new_vm(|| {
        seeded(600);
        let shared = host(|host| std::mem::take(&mut host.shared));
        // a new VM of the same Envoy
        in_new_vm(|| {
            let envoy = Envoy::start("auth+router+usage", &settings()).unwrap();
            host(|host| (host.shared, host.service) = (shared, Some("ledger".to_owned())));
            let (call, step) = ask(&envoy);
            assert!(matches!(step, Step::Passed), "it has been told already: {step:?}");
            envoy.end(call);
            envoy.wait(Duration::from_millis(300));
            tell(&envoy, "GET /revocations?after=0&instance=one", 200, NOTHING);
            assert!(envoy.callout().is_none(), "no question about usage");
            assert_eq!(remaining(&envoy), DAY - 600);
        });
    });
}

#[test]
fn what_was_counted_before_the_answer_stays() {
    in_new_vm(|| {
        let envoy = started("ledger");
        let (call, _) = ask(&envoy);
        envoy.wait(Duration::from_millis(2100));
        assert!(envoy.goes_on(call), "the time is over");
        envoy.end(call);
        // the answers come late
        while let Some(callout) = envoy.callout() {
            assert_eq!(callout.line(), "GET /revocations?after=0&instance=", "no question about usage");
            envoy.answer_callout(200, NOTHING.as_bytes());
        }
        assert_eq!(remaining(&envoy), DAY);
    });
}

#[test]
fn nothing_waits_longer_than_the_timeout() {
    // the cluster, and the answer to each question, if there is one
    #[allow(clippy::type_complexity)]
    let cases: [(&str, Option<(u16, &[u8])>); 9] = [
        ("other", None),
        ("ledger", None),
        ("ledger", Some((0, b""))),
        ("ledger", Some((503, b"no healthy upstream"))),
        ("ledger", Some((401, b"{}"))),
        ("ledger", Some((200, b""))),
        ("ledger", Some((200, b"<html>"))),
        ("ledger", Some((200, br#"{"instance":"one","last":-1,"changes":[]}"#))),
        ("ledger", Some((200, NOTHING.as_bytes()))), // no answer about the usage
    ];
    for (cluster, answer) in cases {
        in_new_vm(|| {
            let envoy = started(cluster);
            let (call, step) = ask(&envoy);
            assert!(matches!(step, Step::Held), "{step:?}");
            let mut waited = 0;
            while !envoy.goes_on(call) {
                waited += 50;
                assert!(waited <= 2050, "{answer:?}: it still waits");
                envoy.wait(Duration::from_millis(50));
                if let (Some((status, body)), Some(_)) = (answer, envoy.callout()) {
                    envoy.answer_callout(status, body);
                }
            }
            assert!(waited >= 2000, "{answer:?}: it has waited for {waited} ms only");
            assert!(logged("has not told the usage within 2s"), "{answer:?}");
            envoy.end(call);
            assert_eq!(remaining(&envoy), DAY);
            let (call, step) = command(&envoy, "GET", "/gateway/usage");
            let Step::Answered(answer) = step else { panic!("{step:?}") };
            assert_eq!(body(&answer)["limits_seeded_by"], Value::Null);
            envoy.end(call);
        });
    }
}

#[test]
fn a_key_that_was_revoked_elsewhere_is_refused() {
    in_new_vm(|| {
        let envoy = started("ledger");
        let (waiting, _) = ask(&envoy);
        envoy.tick();
        let revoked = r#"{"instance":"one","last":4,"changes":[{"id":"alice","revocation":{"at":1,"before":null,"until":null}}]}"#;
        tell(&envoy, "GET /revocations?after=0&instance=", 200, revoked);
        tell_windows(&envoy, 1);
        assert_eq!(envoy.reply(waiting).expect("it was revoked while it waited").status, 401);
        envoy.end(waiting);
        let (call, step) = ask(&envoy);
        let Step::Answered(answer) = step else { panic!("{step:?}") };
        assert_eq!(answer.status, 401);
        envoy.end(call);
        envoy.wait(Duration::from_millis(300));
        let restored = r#"{"instance":"one","last":5,"changes":[{"id":"alice","revocation":null}]}"#;
        tell(&envoy, "GET /revocations?after=4&instance=one", 200, restored);
        envoy.tick();
        let (call, step) = ask(&envoy);
        assert!(matches!(step, Step::Passed), "{step:?}");
        envoy.end(call);
    });
}

#[test]
fn a_revocation_is_told_to_the_ledger() {
    in_new_vm(|| {
        let envoy = seeded(0);
        let (call, step) = command(&envoy, "DELETE", "/gateway/keys/a%2Fb");
        assert!(matches!(step, Step::Held), "{step:?}");
        let told = envoy.callout().unwrap();
        assert_eq!(told.line(), "PUT /revocations/a%2Fb");
        assert_eq!(told.body, r#"{"at":1800000000000,"before":1800000001000,"until":null}"#);
        envoy.answer_callout(200, br#"{"last":1}"#);
        let answer = envoy.reply(call).unwrap();
        assert_eq!((answer.status, &body(&answer)["spread"]), (200, &json!(true)), "{}", answer.told());
        envoy.end(call);
        let (call, _) = command(&envoy, "POST", "/gateway/keys/a%2Fb/restore");
        assert_eq!(envoy.callout().unwrap().line(), "DELETE /revocations/a%2Fb?at=1800000000000");
        envoy.answer_callout(200, br#"{"last":1}"#);
        assert_eq!(body(&envoy.reply(call).unwrap())["spread"], true);
        envoy.end(call);
        envoy.wait(Duration::from_millis(3000));
        assert_eq!(envoy.callout().unwrap().line(), "GET /revocations?after=0&instance=one", "nothing is sent twice");
    });
}

#[test]
fn what_the_ledger_could_not_be_told_is_sent_when_it_is_back() {
    in_new_vm(|| {
        let envoy = seeded(0);
        host(|host| host.service = None);
        let (call, step) = command(&envoy, "DELETE", "/gateway/keys/bob");
        let Step::Answered(answer) = step else { panic!("{step:?}") };
        assert_eq!(body(&answer)["spread"], false);
        envoy.end(call);
        host(|host| host.service = Some("ledger".to_owned()));
        for answer in [Some((503, "")), Some((200, "")), None] {
            let (call, step) = command(&envoy, "DELETE", &format!("/gateway/keys/{answer:?}"));
            assert!(matches!(step, Step::Held), "{step:?}");
            while envoy.callout().is_some_and(|callout| callout.line().starts_with("GET")) {
                envoy.answer_callout(0, b"");
            }
            match answer {
                Some((status, body)) => envoy.answer_callout(status, body.as_bytes()),
                None => envoy.wait(Duration::from_millis(1600)),
            }
            assert_eq!(body(&envoy.reply(call).unwrap())["spread"], false, "{answer:?}");
            envoy.end(call);
        }
        host(|host| host.callouts.clear());
        let mut told = Vec::new();
        for _ in 0..200 {
            envoy.wait(Duration::from_millis(50));
            if let Some(callout) = envoy.callout() {
                told.extend(Some(callout.line()).filter(|line| line.starts_with("PUT")));
                envoy.answer_callout(200, NOTHING.as_bytes());
            }
        }
        told.sort();
        let names = ["None", "Some%28%28200%2C%20%22%22%29%29", "Some%28%28503%2C%20%22%22%29%29", "bob"];
        assert_eq!(told, names.map(|name| format!("PUT /revocations/{name}")));
    });
}

#[test]
fn without_a_ledger_nothing_waits_and_nothing_is_asked() {
    in_new_vm(|| {
        let envoy = Envoy::start("auth+router+usage", &configuration()).unwrap();
        host(|host| host.service = Some("ledger".to_owned()));
        let (call, step) = ask(&envoy);
        assert!(matches!(step, Step::Passed), "{step:?}");
        envoy.end(call);
        envoy.wait(Duration::from_secs(1));
        assert!(envoy.callout().is_none());
    });
}
