use sluice::config;
use sluice::keys::Auth;
use sluice::limits::{Limits, Subject};

use super::refusal;

fn auth(label_limits: &str) -> Result<Auth, config::ConfigError> {
    let hash = "0".repeat(64);
    let text = format!(r#"{{"keys":[{{"id":"one","hash":"sha256:{hash}"}}],"label_limits":{label_limits}}}"#);
    config::auth(text.as_bytes(), &|_| None)
}

#[test]
fn limits_of_labels() {
    let found = auth(
        r#"[{"label":"team","value":"b","limits":{"requests_per_day":2}},
            {"label":"team","value":"a","limits":{"cost_per_month":500,"warn_at":80}},
            {"label":"app","value":"a","limits":{"concurrency":3}}]"#,
    )
    .unwrap();
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let team = Limits { microusd_per_month: Some(500_000_000), warn_at: Some(80), ..Limits::default() };
    let app = Limits { concurrency: Some(3), ..Limits::default() };
    let cases = [
        (vec![], vec![]),
        (vec![label("team", "c"), label("b", "team"), label("tea", "ma")], vec![]),
        (vec![label("team", "a")], vec![(Subject::Label("team".into(), "a".into()), team)]),
        (
            vec![label("app", "a"), label("env", "b"), label("team", "a")],
            vec![(Subject::Label("app".into(), "a".into()), app), (Subject::Label("team".into(), "a".into()), team)],
        ),
    ];
    for (labels, want) in cases {
        assert_eq!(found.label_limits.of(&labels).collect::<Vec<_>>(), want, "{labels:?}");
    }
    assert!(auth("[]").unwrap().label_limits.is_empty());
}

#[test]
fn mistakes() {
    let entry = |rest: &str| format!(r#"[{{"label":"team","value":"a",{rest}}}]"#);
    let cases = [
        ("{}".to_owned(), "label_limits: must be a list, but is an object"),
        (entry(r#""limit":{}"#), "label_limits[0].limit: no such field; did you mean \"limits\"?"),
        (r#"[{"value":"a","limits":{}}]"#.to_owned(), "label_limits[0].label: missing"),
        (r#"[{"label":"team","limits":{}}]"#.to_owned(), "label_limits[0].value: missing"),
        (r#"[{"label":"team","value":"a"}]"#.to_owned(), "label_limits[0].limits: missing"),
        (entry(r#""limits":{}"#), "label_limits[0]: has no limit; set one in `limits`, such as cost_per_month"),
        (
            entry(r#""limits":{"cost_per_year":1}"#),
            "label_limits[0].limits.cost_per_year: no such field; did you mean \"cost_per_day\"?",
        ),
        (
            r#"[{"label":"the team","value":"a","limits":{"requests_per_day":1}}]"#.to_owned(),
            "label_limits[0]: is no label: a name must be 1 to 128 letters, digits, `_`, `-` and `.`",
        ),
        (
            r#"[{"label":"t","value":"a","limits":{"concurrency":1}},{"label":"t","value":"a","limits":{"concurrency":2}}]"#.to_owned(),
            "label_limits[1]: a second entry for the label \"t\" with the value \"a\"",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(refusal(&text, auth(&text)), format!("auth.{want}"), "{text}");
    }
    let one = |index: usize| format!(r#"{{"label":"t","value":"v{index}","limits":{{"concurrency":1}}}}"#);
    let many: Vec<String> = (0..10_001).map(one).collect();
    assert_eq!(refusal("many", auth(&format!("[{}]", many.join(",")))), "auth.label_limits: must be at most 10000");
}
