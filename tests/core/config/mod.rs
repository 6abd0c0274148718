mod auth;
mod beside;
mod joined;
mod label_limits;
mod router;
mod usage;
mod values;

use proptest::prelude::*;
use serde_json::Value;
use sluice::config::{self, ConfigError};

/// A protobuf message's field with bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut length = content.len();
    let mut out = vec![number << 3 | 2];
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(content);
    out
}

/// Writes a JSON object as the `google.protobuf.Struct` that Envoy passes to the filter.
fn protobuf_struct(value: &Value) -> Vec<u8> {
    let entry = |(name, value): (&String, &Value)| {
        field(1, &[field(1, name.as_bytes()), field(2, &protobuf_value(value))].concat())
    };
    value.as_object().unwrap().iter().flat_map(entry).collect()
}

fn protobuf_value(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => vec![1 << 3, 0],
        Value::Bool(flag) => vec![4 << 3, u8::from(*flag)],
        Value::Number(number) => [&[2 << 3 | 1][..], &number.as_f64().unwrap().to_le_bytes()].concat(),
        Value::String(text) => field(3, text.as_bytes()),
        Value::Object(_) => field(5, &protobuf_struct(value)),
        Value::Array(values) => {
            field(6, &values.iter().flat_map(|value| field(1, &protobuf_value(value))).collect::<Vec<_>>())
        }
    }
}

/// The error of a refused configuration.
fn refusal<T>(name: &str, result: Result<T, ConfigError>) -> String {
    match result {
        Ok(_) => panic!("{name}: accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_filter_without_settings() {
    for text in ["", " \n", "{}", " { } "] {
        assert_eq!(config::none("attempt", text.as_bytes()), Ok(()), "{text:?}");
    }
    let mistakes = [
        (r#"{"x":1}"#, "attempt.x: no such field; there is none"),
        (r#"{"a b":1}"#, r#"attempt["a b"]: no such field; there is none"#),
        ("[]", "attempt: must be an object, but is a list"),
        ("null", "attempt: must be an object, but is nothing"),
        ("3", "attempt: must be an object, but is a number"),
        ("{", "attempt: neither a google.protobuf.Struct nor JSON (EOF while parsing an object at line 1 column 1)"),
        ("keys: []", "attempt: neither a google.protobuf.Struct nor JSON (expected value at line 1 column 1)"),
    ];
    for (text, want) in mistakes {
        assert_eq!(refusal(text, config::none("attempt", text.as_bytes())), want, "{text}");
    }
}

#[test]
fn broken_structs() {
    let deep = (0..200).fold(Value::Null, |inner, _| serde_json::json!({ "a": inner }));
    let cases: &[(&str, Vec<u8>)] = &[
        ("a length beyond the end", vec![0x0a, 0x05, 0x0a]),
        ("a length beyond all ends", [&[0x0a][..], &[0xff; 9], &[0x01]].concat()),
        ("an endless varint", [&[0x0a][..], &[0xff; 12]].concat()),
        ("another message", field(2, b"x")),
        ("a group", vec![0x0b]),
        ("a name that is no UTF-8", field(1, &field(1, b"\xff"))),
        ("a cut number", field(1, &[field(1, b"a"), field(2, &[0x11, 0, 0])].concat())),
        ("nested too deep", protobuf_struct(&deep)),
    ];
    for (name, bytes) in cases {
        let message = refusal(name, config::none("attempt", bytes));
        assert!(message.starts_with("attempt: neither a google.protobuf.Struct nor JSON ("), "{name}: {message}");
    }
    let unknown = protobuf_struct(&serde_json::json!({ "x": 1 }));
    assert_eq!(refusal("x", config::none("attempt", &unknown)), "attempt.x: no such field; there is none");
}

proptest! {
    #[test]
    fn any_bytes_are_accepted_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = config::auth(&bytes, &|_| None);
        let _ = config::router(&bytes, &|_| None);
    }
}
