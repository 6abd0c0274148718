use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use sluice::keys::{Claims, IssueRequest, Role};
use sluice::limits::Limits;
use sluice::tools::ToolLists;

use super::token::claims;
use super::NOW;

const CAP: Duration = Duration::from_secs(90 * 86_400);

fn read(body: &str) -> Result<Claims, (Option<&'static str>, String)> {
    IssueRequest::read(body.as_bytes(), CAP, NOW, "random").map_err(|error| {
        assert_eq!(error.status, 400, "{body}");
        (error.param, error.message)
    })
}

#[test]
fn requests() {
    let life = |seconds: u64| Claims { exp: NOW.as_secs() + seconds, ..claims("random") };
    let cases = [
        ("", life(90 * 86_400)),
        (" {} ", life(90 * 86_400)),
        (r#"{"id":null,"models":null,"expires_in":null,"limits":null,"labels":null,"role":null}"#, life(90 * 86_400)),
        (r#"{"expires_in":1}"#, life(1)),
        (r#"{"expires_in":7776000}"#, life(90 * 86_400)),
        (r#"{"expires_in":"90d"}"#, life(90 * 86_400)),
        (r#"{"expires_in":"12h"}"#, life(43_200)),
        (r#"{"expires_in":"1500ms"}"#, life(1)),
        (r#"{"id":"a"}"#, Claims { id: "a".into(), ..life(90 * 86_400) }),
        (
            r#"{"id":"a@b","role":"admin","models":["gpt-*"],"expires_in":60,"labels":{"team":"x"},
                "tools":{"allow":["get_*"],"deny":["get_x"]},"limits":{"requests_per_minute":5,"cost_per_day":2.5}}"#,
            Claims {
                role: Role::Admin,
                models: Some(vec!["gpt-*".into()]),
                labels: [("team".into(), "x".into())].into(),
                tools: Some(ToolLists { allow: Some(vec!["get_*".into()]), deny: vec!["get_x".into()] }),
                limits: Limits { requests_per_minute: Some(5), microusd_per_day: Some(2_500_000), ..Limits::default() },
                ..claims("a@b")
            },
        ),
    ];
    for (body, want) in cases {
        assert_eq!(read(body), Ok(want), "{body}");
    }
}

#[test]
fn mistakes() {
    let id = "must be 1 to 128 ASCII characters, without spaces, `;` and `|`";
    let cases: Vec<(&str, Option<&str>, String)> = vec![
        ("{", None, "The body is not valid JSON: EOF while parsing an object at line 1 column 1.".into()),
        ("[]", None, "body: must be an object, but is a list".into()),
        (r#"{"expire_in":1}"#, None, "body.expire_in: no such field; did you mean \"expires_in\"?".into()),
        (r#"{"tools":{}}"#, Some("tools"), "body.tools: lists nothing; name the tools in `allow` or `deny`".into()),
        (
            r#"{"tools":{"allow":["a*b"]}}"#,
            Some("tools"),
            "body.tools.allow: \"a*b\": a `*` can only stand at the end".into(),
        ),
        (
            r#"{"tools":{"allowed":[]}}"#,
            Some("tools"),
            "body.tools.allowed: no such field; did you mean \"allow\"?".into(),
        ),
        (r#"{"id":7}"#, Some("id"), "body.id: must be a string, but is a number".into()),
        (r#"{"id":""}"#, Some("id"), "body.id: must not be empty".into()),
        (r#"{"id":"a b"}"#, Some("id"), format!("body.id: {id}")),
        (r#"{"id":"a;b"}"#, Some("id"), format!("body.id: {id}")),
        (r#"{"id":"a|b"}"#, Some("id"), format!("body.id: {id}")),
        (r#"{"id":"é"}"#, Some("id"), format!("body.id: {id}")),
        (r#"{"id":"a\u0000"}"#, Some("id"), format!("body.id: {id}")),
        (r#"{"id":"a\nb"}"#, Some("id"), format!("body.id: {id}")),
        (r#"{"role":"root"}"#, Some("role"), "body.role: \"root\" is none of its values; there is user, admin".into()),
        (r#"{"role":1}"#, Some("role"), "body.role: \"1\" is none of its values; there is user, admin".into()),
        (r#"{"models":"m"}"#, Some("models"), "body.models: must be a list, but is a string".into()),
        (r#"{"models":[1]}"#, Some("models"), "body.models[0]: must be a string, but is a number".into()),
        (r#"{"models":[""]}"#, Some("models"), "body.models[0]: must not be empty".into()),
        (
            r#"{"models":[]}"#,
            Some("models"),
            "body.models: must name 1 to 64 models; leave it out for all of them".into(),
        ),
        (
            r#"{"models":["a\nb"]}"#,
            Some("models"),
            "body.models: each must have 1 to 128 bytes, and no control characters".into(),
        ),
        (
            r#"{"expires_in":0}"#,
            Some("expires_in"),
            "body.expires_in: 0 is not a whole number from 1 to 4294967295".into(),
        ),
        (
            r#"{"expires_in":1.5}"#,
            Some("expires_in"),
            "body.expires_in: 1.5 is not a whole number from 1 to 4294967295".into(),
        ),
        (r#"{"expires_in":true}"#, Some("expires_in"), "body.expires_in: must be a number, but is a boolean".into()),
        (
            r#"{"expires_in":"soon"}"#,
            Some("expires_in"),
            "body.expires_in: \"soon\" is not a duration from 1ms to 365d; write it like 500ms, 30s, 2m, 12h or 90d"
                .into(),
        ),
        (r#"{"expires_in":"999ms"}"#, Some("expires_in"), "body.expires_in: must be a second or more".into()),
        (
            r#"{"expires_in":"91d"}"#,
            Some("expires_in"),
            "body.expires_in: is longer than a key may last: at most 7776000 seconds".into(),
        ),
        (
            r#"{"expires_in":7776001}"#,
            Some("expires_in"),
            "body.expires_in: is longer than a key may last: at most 7776000 seconds".into(),
        ),
        (
            r#"{"limits":{"request_per_minute":1}}"#,
            Some("limits"),
            "body.limits.request_per_minute: no such field; did you mean \"requests_per_minute\"?".into(),
        ),
        (
            r#"{"limits":{"requests_per_minute":-1}}"#,
            Some("limits"),
            "body.limits.requests_per_minute: -1 is not a whole number from 1 to 10^15".into(),
        ),
        (
            r#"{"limits":{"cost_per_day":-1}}"#,
            Some("limits"),
            "body.limits.cost_per_day: must be an amount in dollars, such as 2.5".into(),
        ),
        (r#"{"labels":["team"]}"#, Some("labels"), "body.labels: must be an object, but is a list".into()),
        (r#"{"labels":{"team":1}}"#, Some("labels"), "body.labels.team: must be a string, but is a number".into()),
        (
            r#"{"labels":{"a b":"x"}}"#,
            Some("labels"),
            "body.labels[\"a b\"]: a name must be 1 to 128 letters, digits, `_`, `-` and `.`".into(),
        ),
        (
            r#"{"labels":{"team":"\t"}}"#,
            Some("labels"),
            "body.labels.team: a value must have 1 to 128 bytes, and no control characters".into(),
        ),
    ];
    for (body, param, message) in cases {
        assert_eq!(read(body), Err((param, message)), "{body}");
    }
}

#[test]
fn too_much() {
    let labels =
        |count: usize| (0..count).map(|index| (format!("l{index}"), json!("x"))).collect::<serde_json::Map<_, _>>();
    let cases = [
        (json!({"id": "i".repeat(128)}), None),
        (json!({"id": "i".repeat(129)}), Some("id")),
        (json!({"models": vec!["m"; 64]}), None),
        (json!({"models": vec!["m"; 65]}), Some("models")),
        (json!({"models": ["m".repeat(128)]}), None),
        (json!({"models": ["m".repeat(129)]}), Some("models")),
        (json!({"models": vec!["m".repeat(128); 64]}), Some("models")),
        (json!({"labels": labels(16)}), None),
        (json!({"labels": labels(17)}), Some("labels")),
        (json!({"labels": {"l".repeat(128): "x".repeat(128)}}), None),
        (json!({"labels": {"l".repeat(129): "x"}}), Some("labels")),
        (json!({"labels": {"l": "x".repeat(129)}}), Some("labels")),
    ];
    for (body, want) in cases {
        assert_eq!(read(&body.to_string()).err().and_then(|(param, _)| param), want, "{body}");
    }
}

proptest! {
    #[test]
    fn any_body_is_accepted_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        fields in crate::generate::json_text(),
    ) {
        let _ = IssueRequest::read(&bytes, CAP, NOW, "random");
        for field in ["id", "role", "models", "expires_in", "limits", "labels"] {
            if let Ok(claims) = read(&format!("{{\"{field}\":{fields}}}")) {
                prop_assert_eq!(claims.check(), Ok(()));
            }
        }
    }
}
