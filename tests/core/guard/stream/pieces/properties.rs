use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::endpoint::Endpoint;
use sluice::guard::api::Failure;
use sluice::guard::stream::{Limits, Mode, Unchecked};
use sluice::usage::Framing;

use super::super::text;
use super::{framed, shown, CARD, LIMITS, PLACEHOLDER};
use crate::generate::{chunks, json as any_json};

fn saying(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() % 3 == 0 => {
            json!(format!("{text} {PLACEHOLDER} {} {text} {CARD}.", "word ".repeat(text.len())))
        }
        Value::String(text) => json!(format!("{text} .")),
        Value::Array(values) => values.iter().map(saying).collect(),
        Value::Object(fields) => {
            const NAMES: [&str; 16] = [
                "choices",
                "delta",
                "content",
                "text",
                "type",
                "index",
                "candidates",
                "parts",
                "message",
                "arguments",
                "data",
                "output",
                "item",
                "args",
                "role",
                "input",
            ];
            fields
                .iter()
                .map(|(name, value)| {
                    let known = NAMES.get(name.len() % 24).map_or(name.clone(), |known| (*known).to_owned());
                    (known, saying(value))
                })
                .collect()
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn any_event_is_read_as_a_whole_one(
        values in vec(any_json(), 1..4),
        lengths in vec(0..90usize, 0..12),
        event in 64..300usize,
        ndjson: bool,
        pretty: bool,
        masks: bool,
    ) {
        let framing = if ndjson { Framing::Ndjson } else { Framing::Sse };
        let stream: String = values.iter().map(|value| {
            let value = saying(value);
            let value = if pretty && !ndjson { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            framed(framing, &value, "\n")
        }).collect();
        let mode = if masks { Mode::Window } else { Mode::Pass };
        let limits = Limits { unchecked: Unchecked::Pass, ..LIMITS };
        let endpoint = Endpoint::ChatCompletions;
        let (want, failures, _) = shown(endpoint, framing, mode, Limits { event: usize::MAX, ..limits }, &[stream.as_bytes()]);
        prop_assume!(failures.is_empty());
        let (got, failures, _) = shown(endpoint, framing, mode, Limits { event, ..limits }, &chunks(stream.as_bytes(), &lengths));
        if failures.is_empty() {
            prop_assert_eq!(text(&got), text(&want));
        } else {
            prop_assert_eq!(failures, [Failure::Event]);
        }
    }

    #[test]
    fn bytes_of_any_kind_pass(
        bytes in vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[],:\"\\\n\rdata 1u".to_vec())], 0..800),
        lengths in vec(0..90usize, 0..12),
        framing in prop::sample::select(vec![Framing::Sse, Framing::Ndjson, Framing::Json]),
    ) {
        for mode in [Mode::Window, Mode::Pass, Mode::Final] {
            let limits = Limits { unchecked: Unchecked::Pass, ..LIMITS };
            let (got, ..) = shown(Endpoint::ChatCompletions, framing, mode, limits, &chunks(&bytes, &lengths));
            prop_assert_eq!(&got, &bytes);
        }
    }
}
