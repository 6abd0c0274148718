//! Bodies that get the model of their kind.

use serde_json::{json, Value};
use sluice::config::router;
use sluice::endpoint::Endpoint;
use sluice::intake::{choose_model, Unprepared};
use sluice::parsed_request;

use super::{root, rules, table, CHAT};

#[test]
fn the_chosen_model_is_written_into_the_body() {
    let table = table(rules(json!([{"name": "x", "model": "large", "match": {"tools": true}}])));
    let cases = [
        (CHAT, r#"{"model":"auto","x":1}"#, "small", r#"{"temperature":0,"model":"small","x":1}"#),
        (CHAT, r#"{"model": "auto"}"#, "large", r#"{"model": "large"}"#),
        (CHAT, r#"{"model":"auto","model":"auto"}"#, "large", r#"{"model":"large","model":"large"}"#),
        (Endpoint::GenerateContent, r#"{"contents":[]}"#, "large", r#"{"contents":[]}"#),
        (Endpoint::GenerateContent, r#"{"model":"models/auto"}"#, "large", r#"{"model":"large"}"#),
    ];
    for (endpoint, body, model, want) in cases {
        let in_path = (endpoint != CHAT).then(|| "auto".to_owned());
        let parsed = parsed_request::read(endpoint, in_path, body.as_bytes()).unwrap();
        let prepared = choose_model(&parsed, body.as_bytes().to_vec(), model, &table).unwrap();
        assert_eq!(String::from_utf8(prepared.body).unwrap(), want);
        assert_eq!((prepared.parsed.model.as_str(), prepared.changed), (model, want != body));
    }
}

#[test]
fn the_chosen_model_may_want_the_body_checked() {
    let cases = [
        (Value::Null, Value::Null, Value::Null, "passes"),
        (Value::Null, Value::Null, "on".into(), "refused"),
        (Value::Null, Value::Null, "warn".into(), "warned"),
        ("off".into(), "on".into(), Value::Null, "refused"),
        ("warn".into(), Value::Null, "on".into(), "refused"),
        // it was checked before
        (Value::Null, "warn".into(), Value::Null, "passes"),
        ("on".into(), Value::Null, "on".into(), "passes"),
        ("on".into(), Value::Null, "warn".into(), "passes"),
        (Value::Null, "on".into(), "off".into(), "passes"),
    ];
    for (own, all, chosen, want) in cases {
        let mut root = root(rules(json!([{"name": "x", "model": "large", "match": {"tools": true}}])));
        for (place, mode) in [("/models/1", chosen), ("/models/3", own), ("", all)] {
            if !mode.is_null() {
                root.pointer_mut(place).unwrap()["validate"] = mode;
            }
        }
        let table = router(root.to_string().as_bytes(), &|_| None).unwrap();
        let body = br#"{"model":"auto","messages":[{"role":"bot"}]}"#;
        let parsed = parsed_request::read(CHAT, None, body).unwrap();
        let got = match choose_model(&parsed, body.to_vec(), "large", &table) {
            Ok(prepared) if prepared.invalid.is_some() => "warned",
            Ok(_) => "passes",
            Err(Unprepared::Invalid(invalid)) => {
                assert_eq!((invalid.model.as_str(), invalid.problem.path().as_str()), ("large", "messages[0].role"));
                "refused"
            }
            Err(Unprepared::Refused(error)) => panic!("{error:?}"),
        };
        assert_eq!(got, want, "{root}");
    }
}
