//! A body is read as its model's configuration wants it: checked, with the default model, and with the model's settings. The
//! first byte chooses the endpoint.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sluice::config::router;
use sluice::endpoint::Endpoint;
use sluice::intake::{prepare, Unprepared};
use sluice::validation::validate;

const ROUTER: &[u8] = br#"{"upstreams":{"one":{}},"default_model":"m","validate":"on","models":[
    {"name":"m","targets":["one"],"defaults":{"temperature":0.5,"max_tokens":9},"overrides":{"system":"s","chat":{"x":{"y":1}}}},
    {"name":"warned","targets":["one"],"validate":"warn","defaults":{"system":"s","stream":true}},
    {"name":"*","targets":["one"],"validate":"off","overrides":{"seed":1,"system":"s"}}]}"#;
const ENDPOINTS: [Endpoint; 7] = [
    Endpoint::ChatCompletions,
    Endpoint::Completions,
    Endpoint::Responses,
    Endpoint::Messages,
    Endpoint::GenerateContent,
    Endpoint::OllamaChat,
    Endpoint::OllamaGenerate,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else { return };
    let endpoint = ENDPOINTS[usize::from(*first) % ENDPOINTS.len()];
    let table = router(ROUTER, &|_| None).unwrap();
    let path_model = (endpoint == Endpoint::GenerateContent).then(|| "m".to_owned());
    let is_json = serde_json::from_slice::<Value>(body).is_ok();
    match prepare(endpoint, path_model, body.to_vec(), &table) {
        Ok(prepared) => {
            assert!(prepared.changed || prepared.body == body);
            assert!(!prepared.parsed.model.is_empty());
            if is_json {
                serde_json::from_slice::<Value>(&prepared.body).expect("JSON");
            }
            // what has the settings keeps them
            let path_model = prepared.parsed.named_in_path.then(|| prepared.parsed.model.clone());
            if let Ok(again) = prepare(endpoint, path_model, prepared.body.clone(), &table) {
                assert_eq!(String::from_utf8_lossy(&again.body), String::from_utf8_lossy(&prepared.body));
            }
        }
        Err(Unprepared::Invalid(invalid)) => {
            assert_eq!(Some(&invalid.problem), validate(endpoint, body).as_ref());
            assert_eq!(invalid.problem.error().status, 400);
        }
        Err(Unprepared::Refused(error)) => assert!((400..500).contains(&error.status)),
    }
});
