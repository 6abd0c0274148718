//! The kind of a prompt: by rules from any body, and by any answer of a service. The first byte chooses the endpoint.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::config::router;
use sluice::embeddings;
use sluice::endpoint::Endpoint;
use sluice::intake::choose_model;
use sluice::kinds::{classified, Opening, Vectors, MAX_OPENING};
use sluice::parsed_request;

const ROUTER: &[u8] = br#"{"upstreams":{"one":{}},"models":[{"name":"m","targets":["one"],"defaults":{"temperature":0}},
    {"name":"auto","choose":{"by":"embedding","upstream":"one","model":"e","otherwise":"m","kinds":[
        {"name":"code","model":"m","examples":["e","f"],"match":[{"regex":"(?i)\\bcode\\b|(a+)+b"},{"tools":true,"images":true}]},
        {"name":"long","model":"m","examples":["g"],"match":[{"language":["de","ja"],"min_length":9},{"max_length":2}]}]}}]}"#;
const ENDPOINTS: [Endpoint; 6] = [
    Endpoint::ChatCompletions,
    Endpoint::Completions,
    Endpoint::Responses,
    Endpoint::Messages,
    Endpoint::GenerateContent,
    Endpoint::OllamaChat,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else { return };
    let endpoint = ENDPOINTS[usize::from(*first) % ENDPOINTS.len()];
    let table = router(ROUTER, &|_| None).unwrap();
    let choose = table.models()[table.find("auto").unwrap()].choose.as_deref().unwrap();
    let opening = Opening::of(endpoint, body);
    assert!(opening.text.len() <= MAX_OPENING);
    if let Some(kind) = choose.by_rules(&opening) {
        let path_model = (endpoint == Endpoint::GenerateContent).then(|| "auto".to_owned());
        if let Ok(parsed) = parsed_request::read(endpoint, path_model, body) {
            if let Ok(prepared) = choose_model(&parsed, body.to_vec(), &choose.kinds[kind].model, &table) {
                assert_eq!(prepared.parsed.model, "m");
            }
        }
    }
    // the same bytes as a service's answer
    assert!(classified(choose, body).flatten().is_none_or(|kind| kind < choose.kinds.len()));
    if let Ok(found) = embeddings::read(200, body, 3) {
        let mut vectors = Vectors::default();
        vectors.add(choose, found.clone());
        assert!(vectors.missing(choose).is_empty());
        assert!(found.iter().all(|vector| vectors.nearest(vector, 0.0).is_none_or(|kind| kind < 2)));
    }
});
