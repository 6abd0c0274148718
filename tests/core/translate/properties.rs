//! For any contents of a request, an answer or a stream, the output is JSON, and does not depend on the cuts.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::translate::Pair;
use sluice::usage::Framing;

use super::converse_streams::message;
use super::streams::run;
use super::{reply, target};
use crate::generate::{json, json_like};

/// Objects with the dialects' fields and arbitrary values.
fn known() -> impl Strategy<Value = Value> {
    let names = [
        "messages",
        "role",
        "content",
        "type",
        "text",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "choices",
        "delta",
        "index",
        "finish_reason",
        "usage",
        "candidates",
        "parts",
        "functionCall",
        "args",
        "message",
        "content_block",
        "stop_reason",
        "thinking",
        "signature",
        "input",
        "tools",
        "tool_choice",
        "response_format",
        "system",
        "error",
        "call_id",
        "output",
        "encrypted_content",
        "summary",
        "thinking_blocks",
        "reasoning_content",
        "refusal",
        "output",
        "toolUse",
        "toolUseId",
        "reasoningContent",
        "reasoningText",
        "stopReason",
        "contentBlockIndex",
        "start",
    ];
    let words = [
        "user",
        "assistant",
        "tool",
        "text",
        "tool_use",
        "tool_result",
        "image_url",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "text_delta",
        "input_json_delta",
        "function_call",
        "function_call_output",
        "reasoning",
        "input_text",
        "input_image",
        "custom",
        "namespace",
        "stop",
        "{}",
        "",
    ];
    let leaf = prop_oneof![
        3 => prop::sample::select(words.to_vec()).prop_map(Value::from),
        1 => (0_u64..3).prop_map(Value::from),
        1 => json(),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        let fields = vec((prop::sample::select(names.to_vec()), inner.clone()), 0..6);
        prop_oneof![
            1 => vec(inner, 0..4).prop_map(Value::Array),
            3 => fields.prop_map(|fields| Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        ]
    })
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok()
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn requests_and_answers_come_out_as_json(messages in vec(known(), 0..4), other in known()) {
        let mut request = other.clone();
        if let Some(fields) = request.as_object_mut() {
            fields.insert("messages".to_owned(), json!(messages));
            fields.insert("input".to_owned(), json!(messages));
        }
        for pair in Pair::ALL {
            for model in ["claude-3-haiku", "claude-sonnet-4-6", "gemini-3-pro", "amazon.nova-2-lite-v1:0"] {
                if let Ok(translated) = pair.request(request.to_string().as_bytes(), &target(model, true)) {
                    prop_assert!(is_json(&translated.body), "{}", String::from_utf8_lossy(&translated.body));
                }
            }
            if let Ok(answer) = pair.answer(other.to_string().as_bytes(), &reply()) {
                prop_assert!(is_json(&answer.body));
            }
            prop_assert!(is_json(&pair.error(400, other.to_string().as_bytes())));
        }
    }

    #[test]
    fn streams_do_not_depend_on_cuts(events in vec(known(), 0..6), garbage in json_like(), size in 1_usize..40) {
        let mut bytes: Vec<u8> = events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into_bytes();
        bytes.extend_from_slice(&garbage);
        let names = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];
        let mut binary: Vec<u8> =
            events.iter().zip(names.iter().cycle()).flat_map(|(event, name)| message(name, event.clone())).collect();
        binary.extend_from_slice(&garbage);
        for pair in Pair::ALL {
            let bytes = if pair.framing() == Framing::EventStream { &binary } else { &bytes };
            let want = run(pair, &reply(), bytes, bytes.len().max(1));
            prop_assert_eq!(&run(pair, &reply(), bytes, size), &want);
            let text = String::from_utf8(want.0).unwrap();
            for data in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
                prop_assert!(is_json(data.as_bytes()), "{}", data);
            }
        }
    }
}
