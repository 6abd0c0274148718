use serde_json::{json, Value};
use sluice::config::router;
use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::parsed_request;
use sluice::prompts::{expand, refers, MAX_REFERENCE};

fn library() -> std::rc::Rc<sluice::prompts::Library> {
    let settings = json!({
        "upstreams": {"one": {}},
        "models": [{"name": "m", "targets": ["one"]}],
        "prompts": {
            "greeting": {"en": "Greet {{ name }}.", "de": "Begrüße {{ name }}."},
            "rules": {"de": "Sei \"kurz\"."},
        },
    });
    let table = router(settings.to_string().as_bytes(), &|_| None).unwrap();
    table.paths().library.clone().unwrap()
}

/// The body after its reference has been replaced; `None`: the reference is not the gateway's.
fn expanded(endpoint: Endpoint, body: &Value) -> Result<Option<Value>, ApiError> {
    let text = body.to_string();
    let parsed = parsed_request::read(endpoint, None, text.as_bytes()).unwrap();
    let place = parsed.layout.reference.expect("a reference");
    let found = expand(&library(), endpoint, text.as_bytes(), place)?;
    Ok(found.map(|found| serde_json::from_slice(&found.body).unwrap()))
}

const CHAT: Endpoint = Endpoint::ChatCompletions;

#[test]
fn what_requests_become() {
    let user = |text: &str| json!({"role": "user", "content": text});
    let ada = json!({"name": "greeting", "variables": {"name": "Ada"}});
    let cases = [
        (
            "alone: the user's message",
            CHAT,
            json!({"model": "m", "prompt": ada, "stream": true}),
            json!({"model": "m", "messages": [user("Greet Ada.")], "stream": true}),
        ),
        (
            "before messages: the system's",
            CHAT,
            json!({"prompt": ada, "model": "m", "messages": [user("Hi")]}),
            json!({"model": "m", "messages": [{"role": "system", "content": "Greet Ada."}, user("Hi")]}),
        ),
        (
            "by id, in a language, in a role",
            CHAT,
            json!({"model": "m", "messages": [user("Hi")], "prompt": {"id": "greeting", "language": "DE-at", "role": "developer", "variables": {"name": "\"Ada\""}}}),
            json!({"model": "m", "messages": [{"role": "developer", "content": "Begrüße \"Ada\"."}, user("Hi")]}),
        ),
        (
            "the only language",
            CHAT,
            json!({"model": "m", "prompt": {"name": "rules"}}),
            json!({"model": "m", "messages": [user("Sei \"kurz\".")]}),
        ),
        (
            "Anthropic: system",
            Endpoint::Messages,
            json!({"model": "m", "max_tokens": 5, "messages": [user("Hi")], "prompt": {"name": "rules"}}),
            json!({"model": "m", "max_tokens": 5, "messages": [user("Hi")], "system": "Sei \"kurz\"."}),
        ),
        (
            "Anthropic: before system",
            Endpoint::Messages,
            json!({"model": "m", "max_tokens": 5, "system": "Be kind.", "messages": [user("Hi")], "prompt": {"name": "rules"}}),
            json!({"model": "m", "max_tokens": 5, "messages": [user("Hi")], "system": "Sei \"kurz\".\n\nBe kind."}),
        ),
        (
            "Anthropic: before blocks of system",
            Endpoint::Messages,
            json!({"model": "m", "max_tokens": 5, "system": [{"type": "text", "text": "a"}], "messages": [user("Hi")], "prompt": {"name": "rules"}}),
            json!({"model": "m", "max_tokens": 5, "messages": [user("Hi")], "system": [{"type": "text", "text": "Sei \"kurz\"."}, {"type": "text", "text": "a"}]}),
        ),
        (
            "Anthropic: alone",
            Endpoint::Messages,
            json!({"model": "m", "max_tokens": 5, "prompt": {"name": "rules"}}),
            json!({"model": "m", "max_tokens": 5, "messages": [user("Sei \"kurz\".")]}),
        ),
        (
            "Ollama",
            Endpoint::OllamaChat,
            json!({"model": "m", "prompt": {"name": "rules"}, "messages": []}),
            json!({"model": "m", "messages": [user("Sei \"kurz\".")]}),
        ),
        (
            "Responses: alone",
            Endpoint::Responses,
            json!({"model": "m", "prompt": {"id": "rules"}}),
            json!({"model": "m", "input": "Sei \"kurz\"."}),
        ),
        (
            "Responses: before an input",
            Endpoint::Responses,
            json!({"model": "m", "prompt": {"id": "rules"}, "input": "Hi", "instructions": "Be kind."}),
            json!({"model": "m", "input": "Hi", "instructions": "Sei \"kurz\".\n\nBe kind."}),
        ),
    ];
    for (name, endpoint, body, want) in cases {
        assert!(refers(endpoint));
        let found = expanded(endpoint, &body).unwrap_or_else(|error| panic!("{name}: {error:?}")).expect(name);
        assert_eq!(found, want, "{name}");
    }
}

#[test]
fn what_is_not_the_gateways_goes_on() {
    let body = json!({"model": "m", "prompt": {"id": "pmpt_123", "version": "2", "variables": {"name": {"type": "input_text"}}}});
    assert_eq!(expanded(Endpoint::Responses, &body), Ok(None));
    let long = json!({"model": "m", "prompt": {"id": "rules", "variables": {"x": "x".repeat(MAX_REFERENCE)}}});
    assert_eq!(expanded(Endpoint::Responses, &long), Ok(None));
    // completions have their own `prompt`
    assert!(!refers(Endpoint::Completions) && !refers(Endpoint::OllamaGenerate));
    let text = br#"{"model":"m","prompt":"text"}"#;
    assert_eq!(parsed_request::read(CHAT, None, text).unwrap().layout.reference, None);
}

#[test]
fn mistakes_name_their_field() {
    let ada = json!({"name": "Ada"});
    let cases = [
        (json!({"name": "other"}), "prompt.name", "prompt_not_found"),
        (json!({}), "prompt.name", "invalid_prompt"),
        (json!({"name": 1}), "prompt.name", "invalid_prompt"),
        (json!({"name": "greeting", "id": "greeting"}), "prompt.id", "invalid_prompt"),
        (json!({"name": "greeting", "version": "2"}), "prompt.version", "invalid_prompt"),
        (json!({"name": "greeting", "language": "fr", "variables": ada}), "prompt.language", "prompt_not_found"),
        (json!({"name": "greeting", "language": 1}), "prompt.language", "invalid_prompt"),
        (json!({"name": "greeting", "role": "assistant"}), "prompt.role", "invalid_prompt"),
        (json!({"name": "greeting"}), "prompt.variables", "invalid_prompt"),
        (json!({"name": "greeting", "variables": []}), "prompt.variables", "invalid_prompt"),
        (json!({"name": "greeting", "variabels": ada}), "prompt", "invalid_prompt"),
        (json!({"name": "greeting", "variables": {"x": "x".repeat(MAX_REFERENCE)}}), "prompt", "invalid_prompt"),
    ];
    for (reference, field, code) in cases {
        let error = expanded(CHAT, &json!({"model": "m", "prompt": reference})).unwrap_err();
        assert_eq!((error.status, error.param, error.code), (400, Some(field), code), "{reference}: {}", error.message);
        assert!(!error.message.contains("Ada"), "{}", error.message);
    }
    let error = expanded(CHAT, &json!({"model": "m", "prompt": {"name": "greeting"}})).unwrap_err();
    assert!(error.message.contains("`name` is missing"), "{}", error.message);
}
