use std::time::Duration;

use serde_json::{json, Value};
use sluice::config::Node;

use super::refusal;

#[test]
fn whole_numbers() {
    let cases = [("1", 1), ("3", 3), ("3.0", 3), ("1e+06", 1_000_000), ("1E6", 1_000_000), ("10.0e1", 100)];
    for (text, want) in cases {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(Node::root("n", &value).integer(1, 1_000_000), Ok(want), "{text}");
    }
    let mistakes = [
        ("0", "n: 0 is not a whole number from 1 to 1000000"),
        ("-3", "n: -3 is not a whole number from 1 to 1000000"),
        ("2.5", "n: 2.5 is not a whole number from 1 to 1000000"),
        ("1000001", "n: 1000001 is not a whole number from 1 to 1000000"),
        ("18446744073709551616", "n: 18446744073709552000 is not a whole number from 1 to 1000000"),
        ("\"3\"", "n: must be a number, but is a string"),
        ("null", "n: must be a number, but is nothing"),
        ("[3]", "n: must be a number, but is a list"),
    ];
    for (text, want) in mistakes {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(refusal(text, Node::root("n", &value).integer(1, 1_000_000)), want, "{text}");
    }
}

#[test]
fn durations() {
    let cases = [
        ("500ms", 500),
        ("1ms", 1),
        ("30s", 30_000),
        ("0.5s", 500),
        ("2m", 120_000),
        ("1.5h", 5_400_000),
        ("8760h", 31_536_000_000),
        ("1d", 86_400_000),
        ("0.5d", 43_200_000),
        ("365d", 31_536_000_000),
    ];
    for (text, milliseconds) in cases {
        let value = json!(text);
        assert_eq!(Node::root("d", &value).duration(), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in [
        "30", "s", "0s", "-1s", "0.1ms", "1 s", "1s ", "1D", "366d", "1S", "1e3s", "1.2.3s", ".s", "8761h", "infs",
        "1µs",
    ] {
        let value = json!(text);
        let want = format!("d: {text:?} is not a duration from 1ms to 365d; write it like 500ms, 30s, 2m, 12h or 90d");
        assert_eq!(refusal(text, Node::root("d", &value).duration()), want, "{text}");
    }
    let value = json!(30);
    assert_eq!(
        refusal("a number", Node::root("d", &value).duration()),
        "d: must be a duration such as 500ms, 30s or 2m, but is a number"
    );
}

#[test]
fn the_nearest_name_is_suggested() {
    let known = [("weight", 0), ("upstream", 1), ("model", 2)];
    let cases = [
        ("wieght", "\"wieght\" is none of its values; did you mean \"weight\"?"),
        ("weigh", "\"weigh\" is none of its values; did you mean \"weight\"?"),
        ("upstreams", "\"upstreams\" is none of its values; did you mean \"upstream\"?"),
        ("modle", "\"modle\" is none of its values; did you mean \"model\"?"),
        ("zzz", "\"zzz\" is none of its values; there is weight, upstream, model"),
        ("", "must not be empty"),
        ("Model", "\"Model\" is none of its values; did you mean \"model\"?"),
    ];
    for (text, want) in cases {
        let value = json!(text);
        assert_eq!(refusal(text, Node::root("c", &value).choice(&known)), format!("c: {want}"), "{text}");
    }
    let value = json!("model");
    assert_eq!(Node::root("c", &value).choice(&known), Ok(2));
}
