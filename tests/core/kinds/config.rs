//! Mistakes in the configuration of virtual models.

use serde_json::{json, Value};
use sluice::config::router;

use super::{root, rules};

#[test]
fn mistakes_are_refused_with_their_path() {
    let at = "router.models[3].choose";
    let kind = |fields: Value| {
        let mut kind = json!({"name": "x", "model": "large"});
        kind.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        rules(json!([kind]))
    };
    let good = json!({"match": {"tools": true}});
    let with = |fields: Value| {
        let mut choose = kind(good.clone());
        choose.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        choose
    };
    let cases = [
        (json!({}), ".by: missing"),
        (with(json!({"by": "chance"})), ".by: \"chance\" is none of its values"),
        (with(json!({"kinds": []})), ".kinds: a model has 1 to 32 kinds, this one 0"),
        (with(json!({"upstream": "one"})), ".upstream: rules ask nobody"),
        (with(json!({"threshold": 0.5})), ".threshold: belongs to `by: embedding`"),
        (with(json!({"timeout": "1m"})), ".timeout: must be 30s or less"),
        (with(json!({"otherwise": "none"})), ".otherwise: no model \"none\""),
        (with(json!({"otherwise": "auto"})), ".otherwise: chooses a model itself"),
        (with(json!({"by": "llm", "model": "t"})), ".kinds[0]: `description` is missing"),
        (with(json!({"by": "embedding", "model": "t"})), ".kinds[0]: `examples` is missing"),
        (kind(json!({"match": {}})), ".kinds[0].match: a rule needs a condition"),
        (kind(json!({})), ".kinds[0]: `match` is missing"),
        (
            kind(json!({"match": {"min_length": 9, "max_length": 8}})),
            ".kinds[0].match: `max_length` is less than `min_length`",
        ),
        (kind(json!({"match": {"regex": "("}})), ".kinds[0].match.regex: is not a regular expression"),
        (kind(json!({"match": [{"language": "xx"}]})), ".kinds[0].match[0].language: \"xx\" is none of its values"),
        (
            kind(json!({"match": {"tools": true}, "name": "otherwise"})),
            ".kinds[0].name: is what prompts without a kind have",
        ),
        (
            kind(json!({"match": {"tools": true}, "model": "larg"})),
            ".kinds[0].model: no model \"larg\"; did you mean \"large\"?",
        ),
        (kind(json!({"match": {"tools": true}, "model": "any-*"})), ".kinds[0].model: no model"),
        (
            rules(
                json!([{"name": "x", "model": "large", "match": {"tools": true}}, {"name": "X", "model": "large", "match": {"tools": true}}]),
            ),
            ".kinds[1]: a second kind \"X\"",
        ),
        (
            json!({"by": "llm", "upstream": "two", "model": "t", "otherwise": "small", "kinds": [{"name": "x", "model": "large", "description": "d"}]}),
            ".upstream: no upstream \"two\"",
        ),
        (
            json!({"by": "llm", "upstream": "claude", "model": "t", "otherwise": "small", "kinds": [{"name": "x", "model": "large", "description": "d"}]}),
            ".upstream: upstream \"claude\" does not speak the openai dialect",
        ),
        (
            json!({"by": "llm", "upstream": "one", "otherwise": "small", "kinds": [{"name": "x", "model": "large", "description": "d"}]}),
            ".model: missing",
        ),
    ];
    for (choose, want) in cases {
        let error = router(root(choose).to_string().as_bytes(), &|_| None).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{at}{want}")), "{error}\n{want}");
    }
    let mut many = root(json!({"by": "embedding", "upstream": "one", "model": "e", "otherwise": "small",
        "kinds": [{"name": "x", "model": "large", "examples": ["e"]}]}));
    for number in 1..9 {
        assert!(router(many.to_string().as_bytes(), &|_| None).is_ok(), "{number}");
        let mut next = many["models"][3].clone();
        next["name"] = format!("auto{number}").into();
        many["models"].as_array_mut().unwrap().push(next);
    }
    let error = router(many.to_string().as_bytes(), &|_| None).unwrap_err().to_string();
    assert!(error.starts_with("router.models[11].choose.by: at most 8 models choose by embedding"), "{error}");
    let mut both = root(kind(good.clone()));
    both["models"][3]["targets"] = json!(["one"]);
    let mut fallback = root(kind(good));
    fallback["models"][0]["fallbacks"] = json!(["auto"]);
    for (root, want) in [
        (both, "router.models[3].targets: no such field"),
        (fallback, "router.models[0].fallbacks[0]: has no targets of its own"),
    ] {
        let error = router(root.to_string().as_bytes(), &|_| None).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
}
