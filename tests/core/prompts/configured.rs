use serde_json::{json, Value};
use sluice::config::router;
use sluice::prompts::{Kind, Library, Variables, BUILTIN};

fn settings(prompts: Value, builtin: Value) -> Value {
    json!({
        "upstreams": {"one": {}},
        "models": [{"name": "gpt-4o", "targets": ["one"]}, {"name": "claude-*", "targets": ["one"]}],
        "prompts": prompts,
        "builtin": builtin,
    })
}

fn library(prompts: Value, builtin: Value) -> Option<std::rc::Rc<Library>> {
    let table = router(settings(prompts, builtin).to_string().as_bytes(), &|_| None).unwrap();
    table.paths().library.clone()
}

#[test]
fn off_unless_configured() {
    assert!(library(Value::Null, Value::Null).is_none());
    let only_prompts = library(json!({"a": {"en": "x"}}), Value::Null).unwrap();
    assert_eq!(only_prompts.endpoint("/builtin/translate"), None);
    let both = library(json!({"a": {"en": "x"}}), json!({})).unwrap();
    assert_eq!(both.endpoint("/builtin/translate"), Some(Kind::Translation));
    assert_eq!(both.endpoint("/builtin/other"), None);
}

#[test]
fn defaults_and_settings() {
    let defaults = library(Value::Null, json!({})).unwrap();
    let texts = defaults.texts().unwrap();
    assert_eq!((texts.max_texts, texts.parallel, texts.timeout.as_secs()), (100, 8, 120));
    assert_eq!((texts.model.as_deref(), texts.cluster.as_str(), defaults.language()), (None, "sluice-self", "en"));
    let all = json!({"model": "claude-x", "language": "pt-BR", "max_texts": 5, "parallel": 2, "timeout": "5s", "cluster": "me"});
    let own = library(Value::Null, all).unwrap();
    let texts = own.texts().unwrap();
    assert_eq!((texts.max_texts, texts.parallel, texts.timeout.as_secs()), (5, 2, 5));
    assert_eq!((texts.model.as_deref(), texts.cluster.as_str(), own.language()), (Some("claude-x"), "me", "pt-br"));
}

#[test]
fn every_endpoint_has_its_prompt_in_each_language() {
    let library = library(Value::Null, json!({})).unwrap();
    let variables = json!({"number_of_questions": 2, "target_language": "en", "user_query": "Q", "article_type": "",
        "question_str": "Q", "question_prompt": "", "doc_name_in_answer": false});
    for kind in Kind::ALL {
        for language in ["en", "de", "pl"] {
            assert!(BUILTIN.iter().any(|(name, tag, _)| (*name, *tag) == (kind.name(), language)));
            let text = library.render(kind.name(), Some(language), variables.as_object().unwrap()).unwrap();
            assert!(text.len() > 50 && !text.contains("{{") && !text.contains("\n\n"), "{text}");
        }
    }
}

#[test]
fn own_prompts_replace_built_in_ones() {
    let library = library(json!({"simplify_text": {"de": "Kurz."}}), json!({})).unwrap();
    let text = |language| library.render("simplify_text", Some(language), &Variables::new()).unwrap();
    assert_eq!(text("de"), "Kurz.");
    assert!(text("en").contains("plain English"));
}

#[test]
fn mistakes() {
    let cases = [
        (json!({"a": {"en": "x\n{% if %}"}}), json!({}), "router.prompts.a.en: line 2: "),
        (json!({"a": {"en": ""}}), json!({}), "router.prompts.a.en: must not be empty"),
        (json!({"a": {}}), json!({}), "router.prompts.a: needs 1 to 50 languages"),
        (json!({"a": "x"}), json!({}), "router.prompts.a: must be an object"),
        (json!({"a b": {"en": "x"}}), json!({}), "router.prompts[\"a b\"]: a prompt's name"),
        (json!({"a": {"e": "x"}}), json!({}), "router.prompts.a.e: \"e\" is not a language"),
        (json!({"a": {"en": "x", "EN": "x"}}), json!({}), "is there twice"),
        (json!({}), json!({"model": "gpt-4"}), "router.builtin.model: no model \"gpt-4\"; did you mean \"gpt-4o\"?"),
        (json!({}), json!({"modell": "x"}), "router.builtin.modell: no such field"),
        (json!({}), json!({"language": "english language"}), "router.builtin.language: "),
        (json!({}), json!({"max_texts": 0}), "router.builtin.max_texts: "),
        (json!({}), json!({"parallel": 65}), "router.builtin.parallel: "),
        (json!({}), json!({"timeout": 5}), "router.builtin.timeout: "),
    ];
    for (prompts, builtin, want) in cases {
        let text = settings(prompts, builtin).to_string();
        let error = router(text.as_bytes(), &|_| None).unwrap_err().to_string();
        assert!(error.contains(want), "{error} instead of {want}");
    }
}
