use sluice::config::{ConfigError, Joined};

const AUTH: &str = r#""auth":{"keys":[{"id":"alice"},{"id":"team-a"}],"users":[{"name":"bob"}]}"#;
const ROUTER: &str = r#""router":{"models":[{"name":"gpt-4o","aliases":["large"]},{"name":"llama-*"}]}"#;

fn agree(settings: &str) -> Result<(), ConfigError> {
    Joined::parse("auth+guard+router+usage", settings.as_bytes())?.agree()
}

/// The error for a check with these fields, beside the settings of other filters.
fn said(others: &[&str], check: &str) -> Option<String> {
    let guard = format!(r#""guard":{{"checks":[{{"name":"first"}},{{{check}}}]}}"#);
    let settings = format!("{{{}}}", [others, &[guard.as_str()]].concat().join(","));
    agree(&settings).err().map(|error| error.to_string())
}

#[test]
fn known_names() {
    for check in [
        "",
        r#""models":null"#,
        r#""models":["gpt-4o"],"keys":["alice"]"#,
        r#""models":["large","gpt-*","*","llama-3","llama-3*"],"keys":["bob","team-*","*"]"#,
    ] {
        assert_eq!(said(&[AUTH, ROUTER], check), None, "{check}");
    }
    for settings in
        ["", "{}", r#"{"guard":null}"#, r#"{"guard":{}}"#, r#"{"guard":{"checks":null},"auth":{},"router":{}}"#]
    {
        assert_eq!(agree(settings), Ok(()), "{settings}");
    }
}

#[test]
fn unknown_names() {
    for (check, want) in [
        (
            r#""models":["gpt-4o","gpt-4"]"#,
            r#"guard.checks[1].models[1]: no model "gpt-4", so that nothing is checked by it; did you mean "gpt-4o"?"#,
        ),
        (
            r#""models":["claude-*"]"#,
            r#"guard.checks[1].models[0]: no model "claude-*", so that nothing is checked by it; there is gpt-4o, large, llama-*"#,
        ),
        (
            r#""keys":["alcie"]"#,
            r#"guard.checks[1].keys[0]: no key "alcie", so that nothing is checked by it; did you mean "alice"?"#,
        ),
        (
            r#""keys":["squad-*"]"#,
            r#"guard.checks[1].keys[0]: no key "squad-*", so that nothing is checked by it; there is alice, team-a, bob"#,
        ),
    ] {
        assert_eq!(said(&[AUTH, ROUTER], check).as_deref(), Some(want));
    }
}

/// Names that the other filters' settings cannot confirm are not judged.
#[test]
fn unverifiable_names() {
    let check = r#""models":["gpt-5"],"keys":["zoe"]"#;
    assert_eq!(said(&[], check), None);
    assert!(said(&[ROUTER], check).is_some_and(|said| said.contains("gpt-5")));
    for way in [r#""virtual_keys":{}"#, r#""oidc":{}"#] {
        let auth = AUTH.replace("{\"keys\"", &format!("{{{way},\"keys\""));
        assert_eq!(said(&[&auth], check), None, "{way}");
    }
}

#[test]
fn long_lists_are_cut() {
    let keys: Vec<String> = (0..1000).map(|number| format!(r#"{{"id":"employee-{number}"}}"#)).collect();
    let auth = format!(r#""auth":{{"keys":[{}]}}"#, keys.join(","));
    let said = said(&[&auth], r#""keys":["bob"]"#).unwrap_or_default();
    assert!(said.ends_with("employee-18, employee-19 and 980 more"), "{said}");
}

#[test]
fn checks_cover_what_a_virtual_model_may_choose() {
    let router = r#""router":{"models":[{"name":"small"},{"name":"large"},{"name":"auto","choose":
        {"kinds":[{"model":"large"}],"otherwise":"small"}}]}"#;
    for check in ["", r#""models":["*"]"#, r#""models":["auto","small","large"]"#] {
        assert_eq!(said(&[router], check), None, "{check}");
    }
    for (models, want) in [
        (r#"["large"]"#, r#""auto" may choose "large", which this check would not see in a request; add "auto""#),
        (r#"["auto","large"]"#, r#""auto" may choose "small", under whose name its answers are checked; add "small""#),
    ] {
        let error = said(&[router], &format!(r#""models":{models}"#));
        assert_eq!(error, Some(format!("guard.checks[1].models: {want}")));
    }
}
