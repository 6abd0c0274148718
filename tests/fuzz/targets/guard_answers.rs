//! Whatever a guard's service answers, there is a reading for each text, or a failure; and the changes that a service
//! makes to a text give its text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::guard::api::{
    read, Api, ClassificationServer, Moderations, Pieces, Presidio, Reading, TextClassification, Thresholds,
};

fuzz_target!(|input: (u8, &str, &str)| {
    // the first byte chooses the API
    let (kind, text, answer) = input;
    let texts = [text, "and another"];
    let api = api(kind);
    let count = api.batch_size().min(2);
    if let Ok(readings) = read(&api, &texts[..count], 200, answer.as_bytes()) {
        assert_eq!(readings.readings().len(), count);
        for (reading, text) in readings.readings().iter().zip(texts) {
            for finding in reading.findings() {
                assert!(text.get(finding.span.clone()).is_some_and(|found| !found.is_empty()));
            }
        }
    }
    if !text.is_empty() {
        changes(text, answer);
    }
});

fn changes(text: &str, into: &str) {
    let answer = format!(
        r#"{{"action":"GUARDRAIL_INTERVENED","texts":[{}]}}"#,
        serde_json::to_string(into).expect("a text can be written")
    );
    let readings = read(&Api::GenericGuardrail(None), &[text], 200, answer.as_bytes());
    let Some(reading) = readings.as_ref().ok().and_then(|readings| readings.readings().first()) else {
        return; // it is too long
    };
    let mut changed = text.to_owned();
    if let Reading::Found(findings) = reading {
        for finding in findings.iter().rev() {
            changed.replace_range(finding.span.clone(), finding.replacement.as_deref().unwrap_or_default());
        }
    }
    assert_eq!(changed, into);
}

fn api(kind: u8) -> Api {
    let thresholds = vec![("M".to_owned(), 0.5)];
    let classification = |server| {
        Api::TextClassification(TextClassification {
            server,
            thresholds: thresholds.clone(),
            batch_size: 32,
            pieces: Pieces::default(),
        })
    };
    match kind % 7 {
        0 => Api::Moderations(Moderations::default()),
        1 => Api::Moderations(Moderations { model: None, thresholds: Thresholds::All(0.5) }),
        2 => Api::Presidio(Presidio::default()),
        3 => Api::ChatClassifier("m".to_owned()),
        4 => classification(ClassificationServer::Tei),
        5 => classification(ClassificationServer::Vllm { model: None, labels: vec!["B".to_owned(), "M".to_owned()] }),
        _ => Api::GenericGuardrail(None),
    }
}
