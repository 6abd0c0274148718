//! Converse's binary streams as OpenAI's chunks, whole and at every cut.

use serde_json::{json, Value};
use sluice::eventstream::encode;
use sluice::response_gate::{Fault, Gate};

use super::chat_to_converse::{answer, usage, PAIR};
use super::reply;
use super::streams::{at_every_cut, events};

/// One message of a stream, in Bedrock's format.
pub fn message(name: &str, payload: Value) -> Vec<u8> {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    encode(&headers, payload.to_string().as_bytes())
}

fn delta(index: u64, delta: Value) -> Vec<u8> {
    message("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abcdefg"}))
}

pub fn all() -> Vec<Vec<u8>> {
    let start = |index: u64, id: &str, name: &str| {
        message(
            "contentBlockStart",
            json!({"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": id, "name": name}}}),
        )
    };
    let stop = |index: u64| message("contentBlockStop", json!({"contentBlockIndex": index}));
    vec![
        message("messageStart", json!({"role": "assistant"})),
        delta(0, json!({"reasoningContent": {"text": "hm 💭"}})),
        delta(0, json!({"reasoningContent": {"signature": "S"}})),
        stop(0),
        delta(1, json!({"reasoningContent": {"redactedContent": "UkQ="}})),
        stop(1),
        delta(2, json!({"text": ""})),
        delta(2, json!({"text": "Hé"})),
        delta(2, json!({"citation": {"title": "t"}})),
        delta(2, json!({"text": "llo"})),
        stop(2),
        start(3, "t1", "f"),
        delta(3, json!({"toolUse": {"input": "{\"a\":"}})),
        delta(3, json!({"toolUse": {"input": "1}"}})),
        stop(3),
        start(4, "t2", "g"),
        stop(4),
        message("messageStop", json!({"stopReason": "tool_use"})),
        message("metadata", json!({"usage": answer(json!([]), "")["usage"], "metrics": {"latencyMs": 5}})),
    ]
}

#[test]
fn streams() {
    let (out, gate) = at_every_cut(PAIR, &reply(), &all().concat());
    assert_eq!(gate, Gate::Commit);
    let out = events(&out);
    let deltas: Vec<&Value> =
        out.iter().filter_map(|event| event["choices"].get(0)).map(|choice| &choice["delta"]).collect();
    let thought = |index: u64, block: Value| {
        let mut block = block;
        block["index"] = json!(index);
        json!([block])
    };
    let call = |index: u64, id: &str, name: &str| json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]});
    let arguments =
        |index: u64, piece: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]});
    let want = [
        json!({"role": "assistant", "content": ""}),
        json!({"reasoning_content": "hm 💭", "thinking_blocks": thought(0, json!({"type": "thinking", "thinking": "hm 💭"}))}),
        json!({"thinking_blocks": thought(0, json!({"type": "thinking", "thinking": "", "signature": "S"}))}),
        json!({"thinking_blocks": thought(1, json!({"type": "redacted_thinking", "data": "UkQ="}))}),
        json!({"content": "Hé"}),
        json!({"content": "llo"}),
        call(0, "t1", "f"),
        arguments(0, "{\"a\":"),
        arguments(0, "1}"),
        call(1, "t2", "g"),
        arguments(1, "{}"),
        json!({}),
    ];
    assert_eq!(deltas, want.iter().collect::<Vec<_>>());
    let [.., finish, told, done] = out.as_slice() else { panic!() };
    assert_eq!(finish["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!((&told["usage"], done), (&usage(), &json!("[DONE]")));
}

/// Usage comes last; a stream that has sent its stop reason is complete without it.
#[test]
fn ends() {
    let parts = all();
    let (out, _) = at_every_cut(PAIR, &reply(), &parts[..parts.len() - 1].concat());
    assert_eq!(events(&out).last(), Some(&json!("[DONE]")));
    for cut in [parts[..5].concat(), parts[..8].concat(), [parts[..8].concat(), parts[8][..20].to_vec()].concat()] {
        let (out, gate) = at_every_cut(PAIR, &reply(), &cut);
        let out = events(&out);
        assert_eq!(
            (gate, &out.last().unwrap()["error"]["code"]),
            (Gate::Commit, &json!("upstream_stream_interrupted"))
        );
    }
    let (_, gate) = at_every_cut(PAIR, &reply(), &parts[0]);
    assert_eq!(gate, Gate::Reject(Fault::EmptyStream), "nothing has been said");
}

/// A server that stops after a text, without a stop reason.
#[test]
fn streams_without_a_stop_reason() {
    for (lenient, cut) in [(true, false), (false, false), (true, true)] {
        let mut bytes = all()[..8].concat();
        if cut {
            bytes.extend_from_slice(&all()[8][..20]);
        }
        let mut stream = PAIR.stream(&reply());
        if lenient {
            stream.may_end_without_marker();
        }
        assert_eq!(stream.chunk(&bytes, true), Gate::Commit);
        assert_eq!(stream.has_failed(), !lenient || cut);
    }
}

#[test]
fn errors_in_streams() {
    let exception = |name: &str, text: &str| {
        let headers =
            [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
        encode(&headers, json!({"message": text}).to_string().as_bytes())
    };
    let cases = [
        ("throttlingException", "Too many requests", "rate_limit_error", "throttlingException"),
        (
            "validationException",
            "Input is too long for requested model.",
            "invalid_request_error",
            "context_length_exceeded",
        ),
        ("modelStreamErrorException", "m", "server_error", "modelStreamErrorException"),
        ("internalServerException", "m", "server_error", "internalServerException"),
        ("serviceUnavailableException", "m", "server_error", "serviceUnavailableException"),
    ];
    for (name, text, kind, code) in cases {
        let (out, gate) = at_every_cut(PAIR, &reply(), &[all()[0].clone(), exception(name, text)].concat());
        assert_eq!(gate, Gate::Reject(Fault::ErrorEvent), "{name}");
        let want = json!({"error": {"message": text, "type": kind, "param": null, "code": code}});
        assert_eq!(events(&out), [want]);
        let (out, gate) = at_every_cut(PAIR, &reply(), &[all()[..8].concat(), exception(name, text)].concat());
        assert_eq!((gate, &events(&out).last().unwrap()["error"]["message"]), (Gate::Commit, &json!(text)));
    }
    let error = encode(&[(":message-type", "error"), (":error-code", "x"), (":error-message", "gone")], b"");
    let (out, _) = at_every_cut(PAIR, &reply(), &error);
    assert_eq!(events(&out)[0]["error"]["message"], "gone");
    // an invalid message, and one with a wrong checksum
    let mut broken = all().concat();
    let at = all()[..9].concat().len() + 30;
    broken[at] ^= 1;
    let (out, gate) = at_every_cut(PAIR, &reply(), &broken);
    assert_eq!(
        (gate, &events(&out).last().unwrap()["error"]["code"]),
        (Gate::Commit, &json!("upstream_answer_unreadable"))
    );
    let (_, gate) = at_every_cut(PAIR, &reply(), b"data: {\"choices\":[]}\n\n");
    assert_eq!(gate, Gate::Reject(Fault::Garbage));
}
