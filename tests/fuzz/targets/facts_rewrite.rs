//! An accepted body is rewritten as serde_json would do it, in any number of chunks.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{json, Value};
use sluice::endpoint::Endpoint;
use sluice::parsed_request::{read, UsageOption};
use sluice::rewrite::{injects_usage, BodyRewrite};

const TARGET: &str = "target/\"model\"";

fuzz_target!(|input: (u8, &[u8])| {
    let (size, body) = input;
    let Ok(parsed) = read(Endpoint::ChatCompletions, None, body) else {
        return;
    };
    let mut rewrite = BodyRewrite::plan(&parsed, TARGET, true);
    let length = rewrite.length();
    let mut rewritten = Vec::new();
    for chunk in body.chunks(usize::from(size) + 1) {
        match rewrite.chunk(chunk, false).expect("the same body") {
            Some(replaced) => rewritten.extend_from_slice(&replaced),
            None => rewritten.extend_from_slice(chunk),
        }
    }
    assert_eq!(rewrite.chunk(b"", true), Ok(None));
    assert!(rewrite.chunk(b"x", true).is_err(), "a longer body");
    assert_eq!(rewritten.len(), length);

    let again = read(Endpoint::ChatCompletions, None, &rewritten).expect("what was written can be read");
    assert_eq!(again.model, TARGET);
    assert_eq!(again.stream, parsed.stream);
    assert!(!parsed.stream || again.layout.usage_option == UsageOption::Asked);

    // serde_json refuses some accepted bodies (lone surrogates, huge numbers, its lower depth limit)
    let Ok(mut want) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    want["model"] = TARGET.into();
    if injects_usage(&parsed) {
        match &mut want["stream_options"] {
            Value::Object(options) => drop(options.insert("include_usage".into(), true.into())),
            other => *other = json!({ "include_usage": true }),
        }
    }
    assert_eq!(serde_json::from_slice::<Value>(&rewritten).expect("JSON"), want);
});
