//! The semantic cache: what is compared, with what, and the vector database.

use std::time::Duration;

use serde_json::{json, Value};
use sluice::cache::semantic::{chroma, Chroma, Comparison, Group, Index};
use sluice::cache::{CacheKey, KeyParts};
use sluice::callout::Service;
use sluice::embeddings::Vector;
use sluice::endpoint::Endpoint;
use sluice::user_text::last;

use crate::cache::parts;

#[test]
fn the_last_text_of_the_user() {
    let user = |content: Value| json!({"role": "user", "content": content});
    let chat = |messages: Value| json!({ "messages": messages });
    let contents = |contents: Value| json!({ "contents": contents });
    let image = json!({"type": "image_url", "image_url": {"url": "data:"}});
    let part = |text: &str| json!({"type": "text", "text": text});
    use Endpoint::{ChatCompletions, Completions, GenerateContent, Messages, OllamaChat, OllamaGenerate, Responses};
    for (endpoint, body, want) in [
        (ChatCompletions, chat(json!([user(json!("a"))])), Some("a")),
        (
            ChatCompletions,
            chat(json!([user(json!("a")), {"role": "assistant", "content": "b"}, user(json!("c"))])),
            Some("c"),
        ),
        (ChatCompletions, chat(json!([user(json!("a")), {"role": "assistant", "content": "b"}])), None),
        (ChatCompletions, chat(json!([user(json!("a")), {"role": "tool", "content": "b"}])), None),
        (ChatCompletions, chat(json!([user(json!([part("a"), image, part("b")]))])), Some("b")),
        (ChatCompletions, chat(json!([user(json!([part("a"), image]))])), Some("a")),
        (ChatCompletions, chat(json!([user(json!([image]))])), None),
        (ChatCompletions, chat(json!([user(json!(null))])), None),
        (ChatCompletions, chat(json!([])), None),
        (ChatCompletions, chat(json!(["a"])), None),
        (ChatCompletions, json!({"input": "a"}), None),
        (Messages, chat(json!([user(json!([part("a")]))])), Some("a")),
        (OllamaChat, chat(json!([user(json!("\"\u{1f600}\n"))])), Some("\"\u{1f600}\n")),
        (Responses, json!({"input": "a"}), Some("a")),
        (Responses, json!({"input": [user(json!([{"type": "input_text", "text": "a"}]))]}), Some("a")),
        (Responses, json!({"input": [user(json!("a")), {"type": "function_call_output", "output": "b"}]}), None),
        (Completions, json!({"prompt": "a"}), Some("a")),
        (Completions, json!({"prompt": ["a", "b"]}), None),
        (OllamaGenerate, json!({"prompt": "a"}), Some("a")),
        (GenerateContent, contents(json!([{"parts": [{"text": "a"}]}])), Some("a")),
        (GenerateContent, contents(json!([{"role": "user", "parts": [{"text": "a"}, {"inlineData": {}}]}])), Some("a")),
        (GenerateContent, contents(json!([{"role": "model", "parts": [{"text": "a"}]}])), None),
        (Endpoint::Embeddings, json!({"input": "a"}), None),
    ] {
        let body = body.to_string();
        let found = last(endpoint, body.as_bytes());
        assert_eq!(found.as_ref().map(|found| found.text.as_str()), want, "{endpoint:?} {body}");
        if let Some(found) = found {
            assert_eq!(serde_json::from_str::<String>(&body[found.place]).unwrap(), found.text);
        }
    }
    let twice = br#"{"messages":[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"b"}]}"#;
    assert!(last(Endpoint::ChatCompletions, twice).is_none());
    for end in 0..70 {
        let body = br#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}"#;
        let _ = last(Endpoint::ChatCompletions, &body[..end.min(body.len())]);
    }
}

fn compared(body: &str, parts: &KeyParts<'_>) -> Option<Comparison> {
    Comparison::of(Endpoint::ChatCompletions, body.as_bytes(), parts, 100).unwrap()
}

#[test]
fn only_the_text_may_differ() {
    let body = |system: &str, text: &str, further: &str| {
        format!(
            r#"{{"messages":[{{"role":"system","content":"{system}"}},{{"role":"user","content":"{text}"}}]{further}}}"#
        )
    };
    let one = compared(&body("s", "How tall is it?", ""), &parts()).unwrap();
    assert_eq!(one.text, "How tall is it?");
    for (name, other, same) in [
        ("another text", body("s", "What is its height?", ""), true),
        ("a stream", body("s", "What is its height?", r#","stream":true"#), true),
        ("another system prompt", body("t", "What is its height?", ""), false),
        ("another field", body("s", "What is its height?", r#","max_tokens":5"#), false),
    ] {
        assert_eq!(compared(&other, &parts()).unwrap().group == one.group, same, "{name}");
    }
    for parts in [
        KeyParts { key: Some("bob"), ..parts() },
        KeyParts { model: "n", ..parts() },
        KeyParts { config: [2; 16], ..parts() },
        KeyParts { guard: Some([2; 16]), ..parts() },
    ] {
        assert_ne!(compared(&body("s", "How tall is it?", ""), &parts).unwrap().group, one.group, "{parts:?}");
    }
    assert!(compared(&body("s", " \\n ", ""), &parts()).is_none(), "nothing to compare");
    assert!(compared(&body("s", &"a".repeat(101), ""), &parts()).is_none(), "too long");
}

#[test]
fn digits_and_placeholders_must_be_the_same() {
    let group = |text: &str| {
        let body = json!({"messages": [{"role": "user", "content": text}]}).to_string();
        compared(&body, &parts()).unwrap().group
    };
    for (one, other, same) in [
        ("What is 2 plus 3?", "What is the sum of 2 and 3?", true),
        ("What is 2 plus 3?", "What is 3 plus 2?", false),
        ("What is 2 plus 3?", "What is 2 plus 4?", false),
        ("In 1984", "In 19 84", false),
        ("Write to <PERSON_1> about <PERSON_2>", "Send <PERSON_1> a letter about <PERSON_2>", true),
        ("Write to <PERSON_1> about <PERSON_2>", "Write to <PERSON_2> about <PERSON_1>", false),
        ("Write to <PERSON_1>", "Write to <EMAIL_ADDRESS_1>", false),
        ("Write to <PERSON>", "Write to <EMAIL>", false),
        ("a < b", "b > a <", true),
    ] {
        assert_eq!(group(one) == group(other), same, "{one:?} {other:?}");
    }
}

fn vector(numbers: &[f32]) -> Vector {
    Vector::new(numbers.to_vec()).unwrap()
}

#[test]
fn the_most_similar_young_one_of_the_group() {
    let (group, other) = (Group([1; 16]), Group([2; 16]));
    let (second, time) = (Duration::from_secs, Duration::from_secs(10));
    let mut index = Index::default();
    index.insert(group, CacheKey([1; 32]), vector(&[1.0, 0.0]), (second(1), 3));
    index.insert(group, CacheKey([2; 32]), vector(&[1.0, 0.2]), (second(5), 3));
    index.insert(other, CacheKey([3; 32]), vector(&[1.0, 0.1]), (second(5), 3));
    let find = |index: &Index, numbers: &[f32], at: u64| {
        index.find(group, &vector(numbers), 0.95, (second(at), time)).map(|similar| similar.key.0[0])
    };
    assert_eq!(find(&index, &[1.0, 0.05], 6), Some(1));
    assert_eq!(find(&index, &[1.0, 0.18], 6), Some(2));
    assert_eq!(find(&index, &[1.0, 0.05], 12), Some(2), "the other one has ended");
    assert_eq!(find(&index, &[0.0, 1.0], 6), None);
    assert_eq!(find(&index, &[1.0, 0.0, 0.0], 6), None, "another model");
    index.insert(group, CacheKey([2; 32]), vector(&[0.0, 1.0]), (second(6), 3));
    assert_eq!((index.len(), find(&index, &[0.0, 1.0], 6)), (3, Some(2)), "each key once");
    index.insert(group, CacheKey([4; 32]), vector(&[0.5, 0.5]), (second(7), 3));
    assert_eq!((index.len(), find(&index, &[1.0, 0.0], 7)), (3, None), "the oldest has gone");
    index.forget(&CacheKey([4; 32]));
    assert_eq!(index.len(), 2);
}

#[test]
fn chroma_is_asked() {
    let service = Service {
        cluster: "chroma".to_owned(),
        path: chroma::path("t", "d", "c"),
        authority: "chroma".to_owned(),
        key: None,
        timeout: Duration::from_millis(300),
    };
    let database = Chroma { service };
    let (group, key, numbers) = (Group([0xab; 16]), CacheKey([0xcd; 32]), vector(&[3.0, 4.0]));
    let body = |callout: sluice::callout::Callout, path: &str| {
        let path = format!("/api/v2/tenants/t/databases/d/collections/c/{path}");
        assert!(callout.headers.contains(&(":path", path)), "{:?}", callout.headers);
        serde_json::from_slice::<Value>(&callout.body).unwrap()
    };
    let query = body(database.query(group, &numbers, Duration::from_millis(1500)), "query");
    assert_eq!(query["where"], json!({"$and": [{"group": "ab".repeat(16)}, {"until": {"$gt": 1}}]}));
    assert_eq!((&query["n_results"], query["query_embeddings"][0].as_array().unwrap().len()), (&json!(1), 2));
    let insert = body(database.insert(group, &key, &numbers, Duration::from_secs(9)), "upsert");
    assert_eq!(insert["ids"], json!(["cd".repeat(32)]));
    assert_eq!(insert["metadatas"], json!([{"group": "ab".repeat(16), "until": 9}]));
    let clean = body(database.clean(Duration::from_secs(7)), "delete");
    assert_eq!(clean, json!({"where": {"until": {"$lt": 7}}}));
}

#[test]
fn chroma_answers() {
    let key = "cd".repeat(32);
    let asked = vector(&[1.0, 0.0]);
    let found = |ids: Value, embeddings: Value| json!({"ids": ids, "embeddings": embeddings, "distances": null});
    for (name, answer, want) in [
        ("near", found(json!([[key]]), json!([[[2.0, 0.0]]])), Ok(Some(1.0))),
        ("far", found(json!([[key]]), json!([[[0.0, 1.0]]])), Ok(None)),
        ("none", found(json!([[]]), json!([[]])), Ok(None)),
        ("not ours", found(json!([["x"]]), json!([[[1.0, 0.0]]])), Ok(None)),
        ("without numbers", found(json!([[key]]), json!(null)), Err(())),
        ("another model", found(json!([[key]]), json!([[[1.0]]])), Err(())),
        ("an error", json!({"error": "x"}), Err(())),
        ("a list", json!([]), Err(())),
    ] {
        let read = chroma::read(answer.to_string().as_bytes(), &asked, 0.9);
        assert_eq!(read.map(|found| found.map(|similar| similar.similarity)).map_err(|_| ()), want, "{name}");
    }
    assert!(chroma::read(b"{\"ids\":[[", &asked, 0.9).is_err());
}

#[test]
fn keys_in_hexadecimal() {
    let key = CacheKey(std::array::from_fn(|place| place as u8 * 7));
    assert_eq!(CacheKey::of_hexadecimal(&key.hexadecimal()), Some(key));
    for text in ["", "0", &"g".repeat(64), &"a".repeat(63), &"a".repeat(65), &"é".repeat(32)] {
        assert_eq!(CacheKey::of_hexadecimal(text), None);
    }
}

#[test]
fn settings() {
    let read = |semantic: Value| {
        let config = json!({
            "upstreams": {"one": {}},
            "models": [{"name": "a", "targets": [{"upstream": "one"}], "cache": {"semantic": semantic}}],
        });
        let variable = |name: &str| (name == "KEY").then(|| "secret".to_owned());
        sluice::config::router(config.to_string().as_bytes(), &variable)
    };
    let good = json!({"cluster": "c", "model": "m", "threshold": 0.9});
    let table = read(good.clone()).unwrap();
    let semantic = table.models()[0].cache.as_ref().unwrap().semantic.as_ref().unwrap();
    assert_eq!((semantic.max_entries, semantic.max_text, semantic.database.is_none()), (1000, 1024, true));
    assert_eq!(semantic.embedder.service.path, "/v1/embeddings");
    let all = json!({"cluster": "c", "model": "m", "threshold": 1, "max_entries": 10000, "max_text": "64KiB", "path": "/e",
        "timeout": "1s", "credential": {"env": "KEY"}, "authority": "h",
        "store": {"chroma": {"cluster": "d", "collection": "1-2", "tenant": "t", "credential": {"env": "KEY"}}}});
    let table = read(all).unwrap();
    let semantic = table.models()[0].cache.as_ref().unwrap().semantic.as_ref().unwrap();
    let path = &semantic.database.as_ref().unwrap().service.path;
    assert_eq!(path, "/api/v2/tenants/t/databases/default_database/collections/1-2");
    assert!(!format!("{semantic:?}").contains("secret"));
    for (field, value, want) in [
        ("threshold", json!(null), "semantic: `threshold` is missing"),
        ("threshold", json!(1.5), "semantic.threshold"),
        ("model", json!(null), "semantic"),
        ("cluster", json!(null), "semantic"),
        ("max_entries", json!(0), "semantic.max_entries"),
        ("max_entries", json!(10001), "semantic.max_entries"),
        ("max_text", json!("1MiB"), "semantic.max_text"),
        ("path", json!("e"), "semantic.path"),
        ("timeout", json!("31s"), "semantic.timeout"),
        ("store", json!("redis"), "semantic.store"),
        ("store", json!({"chroma": {"cluster": "d"}}), "`collection` is missing"),
        ("store", json!({"chroma": {"cluster": "d", "collection": "a/b"}}), "semantic.store.chroma.collection"),
        ("unknown", json!(1), "unknown"),
    ] {
        let mut wrong = good.clone();
        match value.is_null() {
            true => drop(wrong.as_object_mut().unwrap().remove(field)),
            false => wrong[field] = value,
        }
        let error = read(wrong).unwrap_err().to_string();
        assert!(error.contains(want), "{field}: {error}");
    }
}
