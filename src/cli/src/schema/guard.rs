//! The fields of `guard`.

use serde_json::{json, Value};

use super::parts::{fields, one_of, reference, whole};

/// A field of `guard`.
pub fn guard(name: &str) -> Value {
    match name {
        "checks" => json!({"type": "array", "items": reference("check")}),
        "stream" => fields(&["mode", "characters", "time", "overlap"], |name| match name {
            "mode" => one_of(["window", "final"]),
            "characters" => whole(1, 100_000),
            "overlap" => whole(0, 100_000),
            _ => reference("duration"),
        }),
        "cache" => fields(&["time", "entries"], |name| match name {
            "entries" => whole(0, 100_000),
            _ => reference("duration"),
        }),
        "max_in_flight" => whole(1, 10_000),
        "max_text" => reference("size"),
        _ => json!({}),
    }
}

/// How long a check cuts texts.
pub fn pieces() -> Value {
    fields(&["characters", "overlap"], |name| match name {
        "characters" => whole(50, 100_000),
        _ => whole(0, 50_000),
    })
}
