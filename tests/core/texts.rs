//! The text endpoints: what requests become, answers, several texts, tokens.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{json, Value};
use sluice::config::router;
use sluice::error::ApiError;
use sluice::keys::{Identity, Role};
use sluice::limits::Limits;
use sluice::pattern::Patterns;
use sluice::prompts::{Kind, Library};
use sluice::texts::{read, sign, verify, Batch, TextRequest, MAX_RESULTS, TOKEN_TIME};

fn library() -> Rc<Library> {
    let settings = json!({
        "upstreams": {"one": {}},
        "models": [{"name": "m", "targets": ["one"]}],
        "builtin": {"model": "m", "max_texts": 4},
    });
    router(settings.to_string().as_bytes(), &|_| None).unwrap().paths().library.clone().unwrap()
}

fn asked(kind: Kind, body: &Value) -> Result<TextRequest, ApiError> {
    let library = library();
    read(kind, body.to_string().as_bytes(), &library, library.texts().unwrap(), false)
}

/// The chat request, and the answer to this text.
fn chat(kind: Kind, body: Value, says: &str) -> (Value, Value) {
    let Ok(TextRequest::Chat(chat, task)) = asked(kind, &body) else { panic!("no chat request: {body}") };
    let answer = json!({"choices": [{"message": {"role": "assistant", "content": says}}]}).to_string();
    let answer = task.answer(answer.as_bytes(), Duration::from_millis(250)).unwrap();
    let mut answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["generation_time"], 0.25);
    (serde_json::from_slice(&chat).unwrap(), answer["response"].take())
}

#[test]
fn one_text_is_a_chat_request() {
    let (chat, answer) = chat(
        Kind::Questions,
        json!({"texts": ["It rained."], "number_of_questions": 2, "model_name": "x", "stream": true, "temperature": 0.5,
            "max_new_tokens": 20, "top_p": 1, "top_k": 4, "language": "de", "user": "u"}),
        "Hier sind sie:\n1. Regnete es?\n\n- Wann?\n",
    );
    assert_eq!(answer, json!([{"text": "It rained.", "questions": ["Regnete es?", "Wann?"]}]));
    let system = chat["messages"][0]["content"].as_str().unwrap();
    assert!(system.contains("2 Fragen"), "{system}");
    assert_eq!(chat["messages"][1], json!({"role": "user", "content": "It rained."}));
    let rest = json!({"model": "x", "stream": true, "temperature": 0.5, "max_tokens": 20, "top_p": 1, "top_k": 4, "user": "u"});
    for (name, value) in rest.as_object().unwrap() {
        assert_eq!(chat[name], *value, "{name}");
    }
    assert_eq!(chat.as_object().unwrap().len(), rest.as_object().unwrap().len() + 1);
}

#[test]
fn each_endpoint_has_its_own_answer() {
    let (asked, answer) = chat(Kind::Translation, json!({"texts": ["Hallo"], "target_language": "Polish"}), "Cześć");
    assert_eq!(answer, json!([{"original": "Hallo", "translated": "Cześć"}]));
    assert!(asked["messages"][0]["content"].as_str().unwrap().contains("`Polish`"));
    assert_eq!(asked["model"], "m");

    let (asked, answer) = chat(Kind::Simplification, json!({"texts": ["Hard."], "language": "pl"}), "Easy.");
    assert_eq!(answer, json!(["Easy."]));
    assert!(asked["messages"][0]["content"].as_str().unwrap().contains("polszczyzną"));

    let (_, answer) = chat(Kind::Article, json!({"text": "News."}), "An article.");
    assert_eq!(answer, json!({"article_text": "An article."}));

    let (asked, answer) = chat(
        Kind::FullArticle,
        json!({"user_query": "rain", "texts": [" a ", "b"], "article_type": "report"}),
        "An article.",
    );
    assert_eq!(answer, json!({"article_text": "An article."}));
    assert_eq!(asked["messages"][1]["content"], "a\n\nb");
    let system = asked["messages"][0]["content"].as_str().unwrap();
    assert!(system.contains("rain") && system.contains("report"), "{system}");

    let (asked, answer) = chat(
        Kind::Answer,
        json!({"question_str": "Who?", "texts": {"doc": ["a", "b"]}, "doc_name_in_answer": true, "question_prompt": "Be brief."}),
        "Ada.",
    );
    assert_eq!(answer, json!("Ada."));
    let user = asked["messages"][1]["content"].as_str().unwrap();
    assert_eq!(user, "Document name: doc\nDocument context: a\n\nDocument name: doc\nDocument context: b");
    let system = asked["messages"][0]["content"].as_str().unwrap();
    assert!(system.contains("Who?") && system.contains("Be brief.") && system.contains("documents"), "{system}");

    let own = json!({"question_str": "Who?", "texts": ["a"], "system_prompt": "Own."});
    let (asked, _) = chat(Kind::Answer, own, "Ada.");
    assert_eq!(
        asked["messages"],
        json!([{"role": "system", "content": "Own."}, {"role": "user", "content": "a\n\nWho?"}])
    );
}

#[test]
fn what_a_chat_answer_may_be() {
    let Ok(TextRequest::Chat(_, task)) = asked(Kind::Answer, &json!({"question_str": "Who?", "texts": ["a"]})) else {
        panic!()
    };
    let cases = [
        (json!({"choices": [{"message": {"content": null}}]}), Some(json!(""))),
        (json!({"choices": [{"message": {"content": null, "refusal": "No."}}]}), Some(json!("No."))),
        (
            json!({"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"text": "b"}]}}]}),
            Some(json!("ab")),
        ),
        (json!({"choices": []}), None),
        (json!({"error": {}}), None),
        (json!([]), None),
    ];
    for (chat, want) in cases {
        let found = task.answer(chat.to_string().as_bytes(), Duration::ZERO);
        let found = found.map(|found| serde_json::from_slice::<Value>(&found).unwrap()["response"].clone());
        assert_eq!(found, want, "{chat}");
    }
    assert_eq!(task.answer(b"{", Duration::ZERO), None);
}

#[test]
fn mistakes_name_their_field() {
    let long = "x".repeat(70_000);
    let cases = [
        (Kind::Translation, json!({}), Some("texts")),
        (Kind::Translation, json!({"texts": "a"}), Some("texts")),
        (Kind::Translation, json!({"texts": []}), Some("texts")),
        (Kind::Translation, json!({"texts": ["a", " "]}), Some("texts")),
        (Kind::Translation, json!({"texts": ["a", 1]}), Some("texts")),
        (Kind::Translation, json!({"texts": ["a", "b", "c", "d", "e"]}), Some("texts")),
        (Kind::Translation, json!({"texts": ["a"], "language": "fr"}), Some("language")),
        (Kind::Translation, json!({"texts": ["a"], "language": 1}), Some("language")),
        (Kind::Translation, json!({"texts": ["a"], "target_language": ""}), Some("target_language")),
        (Kind::Translation, json!({"texts": ["a"], "stream": "yes"}), Some("stream")),
        (Kind::Translation, json!({"texts": ["a"], "temperature": "hot"}), Some("temperature")),
        (Kind::Translation, json!({"texts": ["a"], "max_tokens": 1, "max_new_tokens": 1}), Some("max_tokens")),
        (Kind::Translation, json!({"texts": ["a"], "model": "a", "model_name": "a"}), Some("model")),
        (Kind::Translation, json!({"texts": ["a"], "messages": []}), None),
        (Kind::Translation, json!([]), None),
        (Kind::Questions, json!({"texts": ["a"], "number_of_questions": 0}), Some("number_of_questions")),
        (Kind::Article, json!({"texts": ["a"]}), None),
        (Kind::Article, json!({"text": ""}), Some("text")),
        (Kind::FullArticle, json!({"texts": ["a"]}), Some("user_query")),
        (Kind::FullArticle, json!({"texts": ["a"], "user_query": long}), Some("user_query")),
        (Kind::Answer, json!({"texts": {"d": "a"}, "question_str": "q"}), Some("texts")),
        (Kind::Answer, json!({"texts": {}, "question_str": "q"}), Some("texts")),
        (Kind::Answer, json!({"texts": {"d": ["a", "b", "c"], "e": ["a", "b"]}, "question_str": "q"}), Some("texts")),
    ];
    for (kind, body, field) in cases {
        let error = asked(kind, &body).err().unwrap_or_else(|| panic!("{kind:?} {body}"));
        assert_eq!((error.status, error.param), (400, field), "{body}: {}", error.message);
    }
    let twice = br#"{"text":"a","text":"b"}"#;
    let library = library();
    let error = read(Kind::Article, twice, &library, library.texts().unwrap(), false).unwrap_err();
    assert_eq!(error.code, "ambiguous_parameter");
}

fn batch(body: Value) -> Box<Batch> {
    let Ok(TextRequest::Several(batch)) = asked(Kind::Translation, &body) else { panic!("not several") };
    batch
}

#[test]
fn several_texts_each_have_a_request_and_a_result() {
    let mut batch = batch(json!({"texts": ["a", "b", "c"], "language": "de", "model_name": "x", "stream": false}));
    let mut parts = Vec::new();
    while let Some((place, body)) = batch.next_text() {
        parts.push((place, serde_json::from_slice::<Value>(&body).unwrap()));
    }
    let part = |text: &str| json!({"texts": [text], "language": "de", "model_name": "x"});
    assert_eq!(parts, [(0, part("a")), (1, part("b")), (2, part("c"))]);
    // each of them is one chat request
    let library = library();
    for (_, body) in &parts {
        let one = read(Kind::Translation, body.to_string().as_bytes(), &library, library.texts().unwrap(), true);
        assert!(matches!(one, Ok(TextRequest::Chat(..))));
    }
    let item = |text: &str| json!({"original": text, "translated": "x"});
    let answer = |text: &str| json!({"response": [item(text)], "generation_time": 1}).to_string();
    batch.answered(2, 200, answer("c").as_bytes());
    batch.answered(1, 429, json!({"error": {"message": "later", "code": "c"}}).to_string().as_bytes());
    assert!(!batch.is_complete());
    batch.answered(1, 200, answer("again").as_bytes()); // too late
    batch.answered(0, 200, answer("a").as_bytes());
    assert!(batch.is_complete());
    let (kind, body) = batch.answer(Duration::from_secs(2));
    assert_eq!(kind, "application/json");
    let failed = json!({"original": "b", "error": {"message": "later", "code": "c"}});
    let want = json!({"response": [item("a"), failed, item("c")], "generation_time": 2.0});
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), want);
}

#[test]
fn a_stream_has_an_event_for_each_text() {
    let mut batch = batch(json!({"texts": ["a", "b"], "stream": true}));
    while let Some((place, _)) = batch.next_text() {
        if place == 1 {
            batch.answered(1, 200, br#"{"response":[{"original":"b","translated":"x"}]}"#);
        }
    }
    batch.failed(0, &ApiError::deadline());
    let (kind, body) = batch.answer(Duration::from_secs(2));
    assert_eq!(kind, "text/event-stream");
    let text = String::from_utf8(body).unwrap();
    let events: Vec<&str> = text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
    let first: Value = serde_json::from_str(events[0]).unwrap();
    assert_eq!(first, json!({"index": 1, "response": {"original": "b", "translated": "x"}}));
    let second: Value = serde_json::from_str(events[1]).unwrap();
    assert_eq!((&second["index"], &second["response"]["original"]), (&json!(0), &json!("a")));
    assert!(second["response"]["error"]["message"].is_string());
    assert_eq!(&events[2..], [r#"{"generation_time":2.000}"#, "[DONE]"]);
}

#[test]
fn answers_of_a_batch_may_be_anything() {
    let odd: [(u16, &[u8]); 8] = [
        (200, b""),
        (200, b"{}"),
        (200, b"{\"response\":[]}"),
        (200, b"{\"response\":\"x\"}"),
        (500, b""),
        (500, b"x"),
        (400, b"{\"error\":\"text\"}"),
        (0, b"{\"error\":{}}"),
    ];
    for (status, body) in odd {
        let mut batch = batch(json!({"texts": ["a", "b"]}));
        batch.answered(0, status, body);
        batch.answered(7, status, body);
        batch.answered(1, status, body);
        assert!(batch.is_complete());
        let (_, answer) = batch.answer(Duration::ZERO);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["response"][0]["error"].is_object(), "{status} {body:?}");
    }
    let mut batch = batch(json!({"texts": ["a", "b"]}));
    let long = json!({"response": ["x".repeat(MAX_RESULTS)]}).to_string();
    batch.answered(0, 200, long.as_bytes());
    batch.answered(1, 200, br#"{"response":["x"]}"#);
    let (_, answer) = batch.answer(Duration::ZERO);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["response"][0]["error"]["code"], "answers_too_long");
    assert_eq!(answer["response"][1], "x");
}

#[test]
fn a_part_is_not_divided_again() {
    let library = library();
    let body = br#"{"texts":["a","b"]}"#;
    let error = read(Kind::Translation, body, &library, library.texts().unwrap(), true).unwrap_err();
    assert_eq!((error.status, error.param), (400, Some("texts")));
}

#[test]
fn tokens_stand_for_a_caller_for_a_while() {
    let secret = [7u8; 32];
    let now = Duration::from_secs(1_800_000_000);
    let mut caller = Identity::new("alice", Role::User, Patterns::new(vec!["gpt-*".to_owned()]));
    caller.labels = vec![("team".to_owned(), "a".to_owned())];
    caller.limits = Limits { concurrency: Some(3), ..Limits::default() };
    caller.issued = true;
    caller.issued_at = Some(Duration::from_secs(5));
    let token = sign(&secret, Some(&caller), now).unwrap();
    assert_eq!(verify(&secret, &token, now + TOKEN_TIME / 2), Some(Some(caller.clone())));
    assert_eq!(verify(&secret, &token, now + TOKEN_TIME), None);
    assert_eq!(verify(&[8; 32], &token, now), None);
    assert_eq!(verify(&[], &token, now), None);
    assert_eq!(sign(b"short", Some(&caller), now), None);
    for at in 0..token.len() {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        // the last character of a tag has unused bits, which the decoder refuses
        assert_eq!(verify(&secret, &other, now), None, "{at}");
    }
    assert_eq!(verify(&secret, &sign(&secret, None, now).unwrap(), now), Some(None));
    let long = Identity::new("a", Role::User, Patterns::new(vec!["m".repeat(100); 1000]));
    assert_eq!(sign(&secret, Some(&long), now), None);
}
