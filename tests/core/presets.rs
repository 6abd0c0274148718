//! A model's defaults and overrides, written into bodies of every dialect.

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::config::router;
use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::intake::{prepare, Prepared, Unprepared};
use sluice::routing::Table;

fn table(model: Value, default_model: Option<&str>) -> Table {
    let mut first = json!({"name": "m", "targets": ["one"]});
    first.as_object_mut().unwrap().extend(model.as_object().unwrap().clone());
    let mut root = json!({
        "upstreams": {"one": {"dialects": ["openai", "anthropic", "gemini", "ollama"]}},
        "models": [first, {"name": "plain", "targets": ["one"]}]
    });
    if let Some(name) = default_model {
        root["default_model"] = name.into();
    }
    router(root.to_string().as_bytes(), &|_| None).unwrap()
}

fn read(table: &Table, endpoint: Endpoint, body: &str) -> Result<Prepared, ApiError> {
    let in_path = matches!(endpoint, Endpoint::GenerateContent | Endpoint::StreamGenerateContent);
    prepare(endpoint, in_path.then(|| "m".to_owned()), body.as_bytes().to_vec(), table).map_err(|error| match error {
        Unprepared::Refused(error) => error,
        Unprepared::Invalid(invalid) => panic!("{invalid:?}"),
    })
}

fn written(settings: Value, endpoint: Endpoint, body: &str) -> String {
    let prepared = read(&table(settings, None), endpoint, body).unwrap_or_else(|error| panic!("{error:?}: {body}"));
    let text = String::from_utf8(prepared.body).unwrap();
    assert_eq!(prepared.changed, text != body, "{body}");
    serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    text
}

const CHAT: Endpoint = Endpoint::ChatCompletions;

#[test]
fn each_dialect_has_its_own_fields() {
    let settings = json!({"defaults": {
        "temperature": 0.5, "top_p": "0.25", "top_k": 7, "max_tokens": 100, "seed": 1, "presence_penalty": 1,
        "system": "Be \"brief\"", "stream": true,
    }});
    let cases = [
        (
            CHAT,
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
            json!({
                "model": "m", "temperature": 0.5, "top_p": 0.25, "max_tokens": 100, "seed": 1, "presence_penalty": 1, "stream": true,
                "messages": [{"role": "system", "content": "Be \"brief\""}, {"role": "user", "content": "hi"}],
            }),
        ),
        (
            Endpoint::Completions,
            r#"{"model":"m","prompt":"hi"}"#,
            json!({
                "model": "m", "temperature": 0.5, "top_p": 0.25, "max_tokens": 100, "seed": 1, "presence_penalty": 1, "stream": true,
                "prompt": "hi",
            }),
        ),
        (
            Endpoint::Responses,
            r#"{"model":"m","input":"hi"}"#,
            json!({
                "model": "m", "temperature": 0.5, "top_p": 0.25, "max_output_tokens": 100, "stream": true,
                "instructions": "Be \"brief\"", "input": "hi",
            }),
        ),
        (
            Endpoint::Messages,
            r#"{"model":"m","messages":[]}"#,
            json!({
                "model": "m", "temperature": 0.5, "top_p": 0.25, "top_k": 7, "max_tokens": 100, "stream": true,
                "system": "Be \"brief\"", "messages": [],
            }),
        ),
        (
            Endpoint::GenerateContent,
            r#"{"contents":[]}"#,
            json!({
                "contents": [], "systemInstruction": {"parts": [{"text": "Be \"brief\""}]},
                "generationConfig": {"temperature": 0.5, "topP": 0.25, "topK": 7, "maxOutputTokens": 100, "seed": 1, "presencePenalty": 1},
            }),
        ),
        (
            Endpoint::OllamaChat,
            r#"{"model":"m","messages":[]}"#,
            json!({
                "model": "m", "stream": true, "messages": [{"role": "system", "content": "Be \"brief\""}],
                "options": {"temperature": 0.5, "top_p": 0.25, "top_k": 7, "num_predict": 100, "seed": 1, "presence_penalty": 1},
            }),
        ),
        (
            Endpoint::OllamaGenerate,
            r#"{"model":"m","prompt":"hi"}"#,
            json!({
                "model": "m", "stream": true, "prompt": "hi", "system": "Be \"brief\"",
                "options": {"temperature": 0.5, "top_p": 0.25, "top_k": 7, "num_predict": 100, "seed": 1, "presence_penalty": 1},
            }),
        ),
        // no settings
        (Endpoint::Embeddings, r#"{"model":"m","input":"hi"}"#, json!({"model": "m", "input": "hi"})),
    ];
    for (endpoint, body, want) in cases {
        let text = written(settings.clone(), endpoint, body);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), want, "{endpoint:?}");
    }
}

#[test]
fn what_the_client_writes_wins_over_defaults() {
    let settings = || json!({"defaults": {"temperature": 0.5, "max_tokens": 100, "system": "S"}});
    let system = r#"{"role":"system","content":"S"}"#;
    let cases = [
        (CHAT, r#"{"model":"m","temperature":1,"max_completion_tokens":5,"messages":[{"role":"developer","content":"mine"}]}"#, None),
        (CHAT, r#"{"model":"m","temperature":1,"max_tokens":5,"messages":[{"content":[],"role":"user"},{"role":"system"}]}"#, None),
        (Endpoint::Messages, r#"{"model":"m","temperature":1,"max_tokens":5,"system":[{"type":"text","text":"mine"}],"messages":[]}"#, None),
        (Endpoint::Responses, r#"{"model":"m","temperature":1,"max_output_tokens":5,"input":[{"role":"system","content":"mine"}]}"#, None),
        (Endpoint::GenerateContent, r#"{"system_instruction":{},"generation_config":{"temperature":1,"max_output_tokens":5}}"#, None),
        // a null leaves it open
        (CHAT, r#"{"model":"m","temperature":null,"max_tokens":5,"messages":[ ]}"#,
            Some(format!(r#"{{"model":"m","temperature":0.5,"max_tokens":5,"messages":[{system} ]}}"#))),
        (CHAT, r#"{ "model":"m" , "messages" : [ {"role":"user","content":"hi"} ] }"#,
            Some(format!(r#"{{"max_tokens":100,"temperature":0.5, "model":"m" , "messages" : [ {system},{{"role":"user","content":"hi"}} ] }}"#))),
        (Endpoint::GenerateContent, r#"{"generationConfig":null,"systemInstruction":null}"#,
            Some(r#"{"generationConfig":{"maxOutputTokens":100,"temperature":0.5},"systemInstruction":{"parts":[{"text":"S"}]}}"#.to_owned())),
        (Endpoint::GenerateContent, r#"{"generationConfig":{},"systemInstruction":1}"#,
            Some(r#"{"generationConfig":{"maxOutputTokens":100,"temperature":0.5},"systemInstruction":1}"#.to_owned())),
        (Endpoint::GenerateContent, r#"{"generationConfig":{"temperature":2},"systemInstruction":1}"#,
            Some(r#"{"generationConfig":{"maxOutputTokens":100,"temperature":2},"systemInstruction":1}"#.to_owned())),
    ];
    for (endpoint, body, want) in cases {
        assert_eq!(written(settings(), endpoint, body), want.unwrap_or_else(|| body.to_owned()), "{body}");
    }
}

#[test]
fn overrides_replace_whatever_is_there() {
    let settings = || json!({"overrides": {"temperature": 0, "max_tokens": 9, "system": "S"}});
    let system = r#"{"role":"system","content":"S"}"#;
    let cases = [
        // twice, in another reader's spelling, escaped, and by its other name
        (CHAT, r#"{"model":"m","temperature":1,"temperature":2,"Temperature":3,"temper\u0061ture":[4],"max_completion_tokens":50}"#.to_owned(),
            r#"{"model":"m","temperature":0,"temperature":0,"Temperature":0,"temper\u0061ture":0,"max_completion_tokens":9}"#.to_owned()),
        (CHAT, r#"{"model":"m","messages":[{"role":"system"},{"role":"developer"} , {"role":"user"},{"role":"system"},{"role":"system"}, 5]}"#.to_owned(),
            format!(r#"{{"max_tokens":9,"temperature":0,"model":"m","messages":[{system},{{"role":"user"}}, 5]}}"#)),
        (CHAT, r#"{"model":"m","messages":[{"role":"system"}, {"role":"system"}]}"#.to_owned(),
            format!(r#"{{"max_tokens":9,"temperature":0,"model":"m","messages":[{system}]}}"#)),
        (CHAT, r#"{"model":"m","messages":"none"}"#.to_owned(),
            r#"{"max_tokens":9,"temperature":0,"model":"m","messages":"none"}"#.to_owned()),
        (Endpoint::Responses, r#"{"model":"m","temperature":1,"max_output_tokens":1,"instructions":"x","input":[{"role":"system"},{"role":"user"},{"role":"developer"}]}"#.to_owned(),
            r#"{"model":"m","temperature":0,"max_output_tokens":9,"instructions":"S","input":[{"role":"user"}]}"#.to_owned()),
        (Endpoint::GenerateContent, r#"{"generationConfig":{"temperature":1,"maxOutputTokens":5,"topP":1},"system_instruction":{"parts":[]}}"#.to_owned(),
            r#"{"generationConfig":{"temperature":0,"maxOutputTokens":9,"topP":1},"system_instruction":{"parts":[{"text":"S"}]}}"#.to_owned()),
        (Endpoint::OllamaGenerate, r#"{"model":"m","options":"none","options":"none","system":"x"}"#.to_owned(),
            r#"{"model":"m","options":{"temperature":0,"num_predict":9},"options":"none","system":"S"}"#.to_owned()),
    ];
    for (endpoint, body, want) in cases {
        if endpoint == Endpoint::OllamaGenerate {
            // equal members are edited alike
            assert!(!written(settings(), endpoint, &body).contains("none"), "{body}");
            continue;
        }
        assert_eq!(written(settings(), endpoint, &body), want, "{body}");
    }
}

#[test]
fn fields_of_one_api() {
    let settings = || {
        json!({
            "defaults": {"max_tokens": 5, "chat": {"max_completion_tokens": 7, "reasoning_effort": "low", "logprobs": false},
                         "responses": {"reasoning": {"effort": "low"}}, "gemini": {"generationConfig": {"responseMimeType": "text/plain"}}},
            "overrides": {"chat": {"service_tier": "flex", "top_logprobs": 3}}
        })
    };
    let cases = [
        (
            CHAT,
            r#"{"model":"m","service_tier":"priority"}"#,
            r#"{"max_completion_tokens":7,"logprobs":false,"reasoning_effort":"low","top_logprobs":3,"model":"m","service_tier":"flex"}"#,
        ),
        (
            CHAT,
            r#"{"model":"m","max_tokens":1,"service_tier":1,"logprobs":1,"reasoning_effort":"","top_logprobs":1}"#,
            r#"{"model":"m","max_tokens":1,"service_tier":"flex","logprobs":1,"reasoning_effort":"","top_logprobs":3}"#,
        ),
        (
            Endpoint::Responses,
            r#"{"model":"m","reasoning":{"summary":"auto"},"max_output_tokens":1}"#,
            r#"{"model":"m","reasoning":{"effort":"low","summary":"auto"},"max_output_tokens":1}"#,
        ),
        (
            Endpoint::GenerateContent,
            r#"{"generation_config":{"maxOutputTokens":1}}"#,
            r#"{"generation_config":{"responseMimeType":"text/plain","maxOutputTokens":1}}"#,
        ),
    ];
    for (endpoint, body, want) in cases {
        assert_eq!(written(settings(), endpoint, body), want, "{body}");
    }
}

#[test]
fn the_request_that_is_counted_is_the_edited_one() {
    let table = table(json!({"overrides": {"max_tokens": 9, "temperature": 0}, "defaults": {"stream": true}}), None);
    let prepared = read(&table, CHAT, r#"{"model":"m","max_tokens":5000,"temperature":2}"#).unwrap();
    assert_eq!((prepared.parsed.output_limit, prepared.parsed.stream), (Some(9), true));
    assert_eq!(prepared.parsed.temperature, Some(0));
    assert_eq!(prepared.parsed.layout.length, prepared.body.len());
    let plain = read(&table, CHAT, r#"{"model":"plain","max_tokens":5000}"#).unwrap();
    assert_eq!((plain.changed, plain.parsed.output_limit), (false, Some(5000)));
}

#[test]
fn a_request_without_a_model_gets_the_default_one() {
    let with = table(json!({"defaults": {"temperature": 0}}), Some("m"));
    let cases = [
        (CHAT, "{}", r#"{"temperature":0,"model":"m"}"#),
        (CHAT, r#" {"messages":[]}"#, r#" {"temperature":0,"model":"m","messages":[]}"#),
        (Endpoint::Embeddings, r#"{"input":"hi"}"#, r#"{"model":"m","input":"hi"}"#),
        (CHAT, r#"{"model":"plain"}"#, r#"{"model":"plain"}"#),
    ];
    for (endpoint, body, want) in cases {
        let prepared = read(&with, endpoint, body).unwrap();
        assert_eq!(String::from_utf8(prepared.body).unwrap(), want);
        assert_eq!(prepared.parsed.model, if want == body { "plain" } else { "m" });
    }
    for (body, code) in [
        ("", "invalid_json"),
        ("[]", "invalid_json"),
        (r#"{"model":null}"#, "invalid_type"),
        (r#"{"model":""}"#, "invalid_value"),
    ] {
        assert_eq!(read(&with, CHAT, body).unwrap_err().code, code, "{body}");
    }
    let without = table(json!({}), None);
    assert_eq!(read(&without, CHAT, "{}").unwrap_err().code, "missing_required_parameter");
}

#[test]
fn mistakes_are_refused_with_their_path() {
    let cases = [
        (json!({"defaults": {"temprature": 1}}), "router.models[0].defaults.temprature: no such setting"),
        (
            json!({"defaults": {"temperature": 3}}),
            "router.models[0].defaults.temperature: must be a number from 0 to 2",
        ),
        (json!({"defaults": {"max_tokens": 1.5}}), "router.models[0].defaults.max_tokens: must be a whole number"),
        (json!({"overrides": {"stream": false}}), "router.models[0].overrides.stream: cannot be overridden"),
        (
            json!({"overrides": {"chat": {"stream": false}}}),
            "router.models[0].overrides.chat.stream: cannot be overridden",
        ),
        (json!({"defaults": {"model": "x"}}), "router.models[0].defaults.model: cannot be set; a target's `model`"),
        (
            json!({"defaults": {"chat": {"messages": "x"}}}),
            "router.models[0].defaults.chat.messages: is the conversation itself",
        ),
        (
            json!({"defaults": {"chat": {"stop": ["x"]}}}),
            "router.models[0].defaults.chat.stop: must be a text, a number",
        ),
        (json!({"defaults": {"system": ""}}), "router.models[0].defaults.system: must not be empty"),
        (json!({"defaults": {"stream": 1}}), "router.models[0].defaults.stream: must be true or false"),
        (json!({"defaults": 1}), "router.models[0].defaults: must be an object"),
    ];
    for (model, want) in cases {
        let mut first = json!({"name": "m", "targets": ["one"]});
        first.as_object_mut().unwrap().extend(model.as_object().unwrap().clone());
        let root = json!({"upstreams": {"one": {}}, "models": [first]});
        let error = router(root.to_string().as_bytes(), &|_| None).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
    for (name, want) in [("n", "no model \"n\""), ("m*", "must be one model's name"), ("", "must not be empty")] {
        let root =
            json!({"upstreams": {"one": {}}, "models": [{"name": "m", "targets": ["one"]}], "default_model": name});
        let error = router(root.to_string().as_bytes(), &|_| None).unwrap_err().to_string();
        assert!(error.starts_with(&format!("router.default_model: {want}")), "{error}");
    }
}

/// JSON with the members that settings know, in any place.
fn body() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), Just(json!(1)), Just(json!("x")), Just(json!(true)), Just(json!("system"))];
    let name = prop_oneof![
        Just("temperature"),
        Just("messages"),
        Just("role"),
        Just("content"),
        Just("generationConfig"),
        Just("options"),
        Just("system"),
        Just("input"),
        Just("top_p"),
        Just("Temperature"),
        Just("instructions"),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever a body has, the edited one is JSON with the settings in it, and editing it again changes nothing more.
    #[test]
    fn edited_bodies_are_whole(value in body(), pretty in any::<bool>(), endpoint in 0..5_usize) {
        let mut value = value;
        if !value.is_object() {
            value = json!({"messages": value});
        }
        let endpoint = [CHAT, Endpoint::Responses, Endpoint::Messages, Endpoint::GenerateContent, Endpoint::OllamaChat][endpoint];
        if endpoint != Endpoint::GenerateContent {
            value["model"] = "m".into();
        }
        let body = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let table = table(json!({"overrides": {"temperature": 0, "system": "S"}, "defaults": {"top_p": 1}}), None);
        let once = match read(&table, endpoint, &body) {
            Ok(prepared) => prepared.body,
            Err(_) => return Ok(()), // an ambiguous name
        };
        let edited: Value = serde_json::from_slice(&once).unwrap();
        let settings = match endpoint {
            Endpoint::GenerateContent => &edited["generationConfig"],
            Endpoint::OllamaChat => &edited["options"],
            _ => &edited,
        };
        prop_assert!(settings["temperature"] == 0 || value.get("Temperature").is_some() || settings.get("Temperature").is_some());
        if let (CHAT, Some(messages)) = (endpoint, edited["messages"].as_array()) {
            let of_system = |message: &&Value| message["role"] == "system";
            prop_assert_eq!(messages.iter().filter(of_system).count(), 1);
        }
        let twice = read(&table, endpoint, std::str::from_utf8(&once).unwrap()).unwrap().body;
        prop_assert_eq!(serde_json::from_slice::<Value>(&twice).unwrap(), edited);
    }
}

/// Whatever place the client gives its own system prompt.
#[test]
fn an_override_of_the_system_prompt_is_the_only_one() {
    let settings = || json!({"overrides": {"system": "S"}});
    for (endpoint, body) in [
        (
            Endpoint::Messages,
            r#"{"model":"m","system":"mine","messages":[{"role":"system","content":"mine"},{"role":"user","content":"hi"}]}"#,
        ),
        (
            Endpoint::Messages,
            r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"Role":"system","content":"mine"}]}"#,
        ),
        (
            Endpoint::OllamaChat,
            r#"{"model":"m","messages":[{"Role":"system","content":"mine"},{"role":"user","content":"hi"}]}"#,
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[{"role":"user","Role":"system","content":"mine"},{"role":"user","content":"hi"}]}"#,
        ),
        (
            Endpoint::Responses,
            r#"{"model":"m","instructions":"mine","input":[{"ROLE":"developer","content":"mine"},{"role":"user","content":"hi"}]}"#,
        ),
        (CHAT, r#"{"model":"m","chat_template":"mine","messages":[{"role":"user","content":"hi"}]}"#),
        (Endpoint::OllamaGenerate, r#"{"model":"m","Template":"mine","prompt":"hi"}"#),
    ] {
        let text = written(settings(), endpoint, body);
        assert!(!text.contains("mine") && text.contains("hi") && text.contains(r#""S""#), "{text}");
    }
    assert!(!written(settings(), Endpoint::OllamaGenerate, r#"{"model":"m","prompt":"hi"}"#).contains("template"));
}

#[test]
fn a_null_asks_for_the_default_once() {
    for (kind, endpoint, body, want) in [
        ("defaults", CHAT, r#"{"model":"m","max_tokens":5,"max_completion_tokens":null}"#, [5, 0]),
        ("defaults", CHAT, r#"{"model":"m","max_completion_tokens":null,"max_tokens":5}"#, [5, 0]),
        ("defaults", CHAT, r#"{"model":"m","max_completion_tokens":null}"#, [0, 100]),
        ("defaults", CHAT, r#"{"model":"m","max_tokens":null,"max_completion_tokens":null}"#, [100, 0]),
        ("overrides", CHAT, r#"{"model":"m","max_tokens":5,"max_completion_tokens":null}"#, [100, 0]),
        ("overrides", CHAT, r#"{"model":"m","max_tokens":5,"max_completion_tokens":6}"#, [100, 100]),
    ] {
        let text = written(json!({kind: {"max_tokens": 100}}), endpoint, body);
        let value: Value = serde_json::from_str(&text).unwrap();
        let got = ["max_tokens", "max_completion_tokens"].map(|name| value[name].as_i64().unwrap_or(0));
        assert_eq!(got, want, "{kind} {body}");
    }
    let body = r#"{"model":"m","instructions":null,"input":[{"role":"developer","content":"mine"}]}"#;
    assert_eq!(written(json!({"defaults": {"system": "S"}}), Endpoint::Responses, body), body);
    let body = r#"{"generationConfig":{"topP":0.5,"top_p":null},"contents":[]}"#;
    assert_eq!(written(json!({"defaults": {"top_p": 1}}), Endpoint::GenerateContent, body), body);
}
