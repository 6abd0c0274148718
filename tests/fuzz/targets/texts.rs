//! Requests to the text endpoints, and answers that they get: the first byte chooses.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sluice::config::router;
use sluice::prompts::Kind;
use sluice::texts::{read, TextRequest};

const SETTINGS: &[u8] = br#"{"upstreams":{"one":{}},"models":[{"name":"m","targets":["one"]}],"builtin":{"model":"m"}}"#;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else { return };
    let library = router(SETTINGS, &|_| None).unwrap().paths().library.clone().unwrap();
    let kind = Kind::ALL[usize::from(*first) % Kind::ALL.len()];
    match read(kind, body, &library, library.texts().unwrap(), *first > 127) {
        Ok(TextRequest::Chat(chat, task)) => {
            let chat: serde_json::Value = serde_json::from_slice(&chat).unwrap();
            assert!(chat["messages"].is_array());
            if let Some(answer) = task.answer(body, Duration::ZERO) {
                serde_json::from_slice::<serde_json::Value>(&answer).unwrap();
            }
        }
        Ok(TextRequest::Several(mut batch)) => {
            while let Some((place, part)) = batch.next_text() {
                assert!(matches!(
                    read(kind, &part, &library, library.texts().unwrap(), true),
                    Ok(TextRequest::Chat(..))
                ));
                batch.answered(place, 200, body);
            }
            let (_, answer) = batch.answer(Duration::ZERO);
            assert!(batch.is_complete() && std::str::from_utf8(&answer).is_ok());
        }
        Err(error) => assert_eq!(error.status, 400),
    }
});
