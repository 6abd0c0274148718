//! Services' answers: good, bad, hostile. The good answers were recorded from the services in
//! `integration/classifiers`.

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::guard::api::{read, Api, Failure, Moderations, Presidio, Reading, Readings, Thresholds, MAX_ANSWER};
use sluice::guard::Finding;

use crate::generate;
use Failure::{Shape, Status};

fn clean() -> Reading {
    Reading::Clean
}

fn flagged(category: &str) -> Reading {
    Reading::Flagged(category.into())
}

fn finding(entity: &str, span: std::ops::Range<usize>, score: f32) -> Finding {
    Finding { entity: entity.into(), span, score, replacement: None }
}

fn moderations(thresholds: Thresholds) -> Api {
    Api::Moderations(Moderations { model: None, thresholds })
}

fn presidio() -> Api {
    Api::Presidio(Presidio::default())
}

fn llama() -> Api {
    Api::ChatClassifier("m".into())
}

fn every() -> [Api; 4] {
    [moderations(Thresholds::Service), moderations(Thresholds::All(0.5)), presidio(), llama()]
}

/// The answer to `you are an idiot`, `good morning` and `I will hurt you tonight`.
const MODERATED: &str = r#"{"id": "modr-589d28a90a174aebbd69b0060de2d910", "model": "alt-profanity-check", "results": [{"flagged": true, "categories": {"toxicity": true}, "category_scores": {"toxicity": 0.9999987305385645}}, {"flagged": false, "categories": {"toxicity": false}, "category_scores": {"toxicity": 0.03055811634442775}}, {"flagged": false, "categories": {"toxicity": false}, "category_scores": {"toxicity": 0.33378928399502145}}]}"#;

#[test]
fn moderated() {
    let each = |name: &str, score| Thresholds::Each(vec![(name.into(), score)]);
    let toxic = || flagged("toxicity");
    let cases: Vec<(Thresholds, Result<[Reading; 3], Failure>)> = vec![
        (Thresholds::Service, Ok([toxic(), clean(), clean()])),
        (Thresholds::All(0.5), Ok([toxic(), clean(), clean()])),
        (Thresholds::All(0.3), Ok([toxic(), clean(), toxic()])),
        (Thresholds::All(0.0), Ok([toxic(), toxic(), toxic()])),
        (Thresholds::All(1.0), Ok([clean(), clean(), clean()])),
        (each("toxicity", 0.3), Ok([toxic(), clean(), toxic()])),
        (each("hate", 0.3), Err(Shape)),
    ];
    for (thresholds, want) in cases {
        let got = read(&moderations(thresholds.clone()), &["a", "b", "c"], 200, MODERATED.as_bytes());
        assert_eq!(got.map(Readings::into_readings), want.map(Vec::from), "{thresholds:?}");
    }
}

/// In the shape of OpenAI's own answers: many categories, and further fields.
#[test]
fn moderated_by_openai() {
    let answer = |flagged: bool, categories: Value, scores: Value| {
        json!({"id": "modr-1", "model": "omni-moderation-latest", "results": [{
            "flagged": flagged, "categories": categories, "category_scores": scores,
            "category_applied_input_types": {"hate": ["text"]}}]})
    };
    let scores = json!({"harassment": 0.4, "hate": 0.9, "self-harm/intent": 0.7, "violence": 1e-9});
    let true_for = |names: &[&str]| -> Value {
        let names =
            ["harassment", "hate", "self-harm/intent"].map(|name| (name.to_owned(), names.contains(&name).into()));
        Value::Object(names.into_iter().collect())
    };
    let each = Thresholds::Each(vec![("self-harm/intent".into(), 0.7), ("hate".into(), 0.95)]);
    let cases = [
        (
            "the highest of those that are flagged",
            answer(true, true_for(&["harassment", "self-harm/intent"]), scores.clone()),
            Thresholds::Service,
            flagged("self-harm/intent"),
        ),
        ("the highest of all", answer(false, json!({}), scores.clone()), Thresholds::All(0.3), flagged("hate")),
        ("each its own", answer(true, json!({}), scores.clone()), each, flagged("self-harm/intent")),
        ("flagged without a category", answer(true, json!({}), json!({})), Thresholds::Service, flagged("flagged")),
        ("flagged without a score", answer(true, true_for(&["hate"]), json!({})), Thresholds::Service, flagged("hate")),
        ("not flagged", answer(false, true_for(&["hate"]), scores), Thresholds::Service, clean()),
        (
            "a name to break headers with",
            answer(true, json!({"a\r\nb: c": true}), json!({})),
            Thresholds::Service,
            flagged("a__b__c"),
        ),
        (
            "a long name",
            answer(true, json!({"é".repeat(99): true}), json!({})),
            Thresholds::Service,
            flagged(&"_".repeat(64)),
        ),
    ];
    for (name, answer, thresholds, want) in cases {
        let got = read(&moderations(thresholds), &["a"], 200, answer.to_string().as_bytes());
        assert_eq!(got.map(Readings::into_readings), Ok(vec![want]), "{name}");
    }
}

#[test]
fn broken_moderations() {
    let cases = [
        r#"{"results":[]}"#,
        r#"{"results":[{"flagged":false,"categories":{},"category_scores":{}},{"flagged":false,"categories":{},"category_scores":{}}]}"#,
        r#"{"results":null}"#,
        r#"{"results":{}}"#,
        r#"{"results":[null]}"#,
        r#"{"results":[[]]}"#,
        r#"{"flagged":false,"categories":{},"category_scores":{}}"#,
        r#"{"results":[{"categories":{},"category_scores":{}}]}"#,
        r#"{"results":[{"flagged":false,"category_scores":{}}]}"#,
        r#"{"results":[{"flagged":false,"categories":{}}]}"#,
        r#"{"results":[{"flagged":"no","categories":{},"category_scores":{}}]}"#,
        r#"{"results":[{"flagged":0,"categories":{},"category_scores":{}}]}"#,
        r#"{"results":[{"flagged":null,"categories":{},"category_scores":{}}]}"#,
        r#"{"results":[{"flagged":true,"flagged":false,"categories":{},"category_scores":{}}]}"#,
        r#"{"results":[{"flagged":false,"categories":{"a":1},"category_scores":{}}]}"#,
        r#"{"results":[{"flagged":false,"categories":{},"category_scores":{"a":"0.1"}}]}"#,
        r#"{"results":[{"flagged":false,"categories":{},"category_scores":{"a":null}}]}"#,
        r#"{"results":[{"flagged":false,"categories":{},"category_scores":{"a":NaN}}]}"#,
        r#"{"results":[{"flagged":false,"categories":{},"category_scores":{"a":1e999}}]}"#,
    ];
    for text in cases {
        let got = read(&moderations(Thresholds::Service), &["a"], 200, text.as_bytes());
        assert_eq!(got, Err(Shape), "{text}");
    }
    let unscored = r#"{"results":[{"flagged":false,"categories":{},"category_scores":{}}]}"#;
    assert_eq!(read(&moderations(Thresholds::All(0.5)), &["a"], 200, unscored.as_bytes()), Err(Shape));
    assert!(read(&moderations(Thresholds::Service), &["a"], 200, unscored.as_bytes()).is_ok());
}

const ANALYZED: &str = r#"[[{"entity_type": "EMAIL_ADDRESS", "start": 11, "end": 26, "score": 1.0, "analysis_explanation": null}, {"entity_type": "URL", "start": 15, "end": 26, "score": 0.5, "analysis_explanation": null}, {"entity_type": "PHONE_NUMBER", "start": 32, "end": 44, "score": 0.4, "analysis_explanation": null}], []]"#;

#[test]
fn analyzed() {
    let texts = ["é write to ann@example.com 😀 or 212-555-0187", "nothing"];
    let email = finding("EMAIL_ADDRESS", 12..27, 1.0);
    let url = finding("URL", 16..27, 0.5);
    let phone = finding("PHONE_NUMBER", 36..48, 0.4);
    assert_eq!(
        [&texts[0][12..27], &texts[0][16..27], &texts[0][36..48]],
        ["ann@example.com", "example.com", "212-555-0187"]
    );
    let with = |entities: &[&str], score_threshold| {
        let entities = entities.iter().map(|entity| (*entity).to_owned()).collect();
        Api::Presidio(Presidio { entities, score_threshold, ..Presidio::default() })
    };
    let cases = [
        ("all", presidio(), vec![email.clone(), url.clone(), phone.clone()]),
        ("some", with(&["PHONE_NUMBER"], None), vec![phone]),
        ("sure ones", with(&[], Some(0.5)), vec![email.clone(), url]),
        ("sure ones of some", with(&["EMAIL_ADDRESS", "PHONE_NUMBER"], Some(0.5)), vec![email]),
    ];
    for (name, api, want) in cases {
        let got = read(&api, &texts, 200, ANALYZED.as_bytes()).map(Readings::into_readings);
        assert_eq!(got, Ok(vec![Reading::of(want), clean()]), "{name}");
    }
    let none = read(&with(&["US_SSN"], None), &texts, 200, ANALYZED.as_bytes()).map(Readings::into_readings);
    assert_eq!(none, Ok(vec![clean(), clean()]), "none");
}

#[test]
fn broken_analyses() {
    let one = |fields: &str| format!("[[{{{fields}}}]]");
    let cases = [
        ("an error", r#"{"error":"No text provided"}"#.to_owned()),
        ("a list for one text", r#"[{"entity_type":"A","start":0,"end":1,"score":1}]"#.into()),
        ("none", "[]".into()),
        ("too many", "[[],[]]".into()),
        ("null", "[null]".into()),
        ("beyond the end", one(r#""entity_type":"A","start":0,"end":6,"score":1"#)),
        ("far beyond it", one(r#""entity_type":"A","start":0,"end":18446744073709551615,"score":1"#)),
        ("beyond all numbers", one(r#""entity_type":"A","start":0,"end":18446744073709551616,"score":1"#)),
        ("before the start", one(r#""entity_type":"A","start":-1,"end":1,"score":1"#)),
        ("a fraction", one(r#""entity_type":"A","start":0.5,"end":1,"score":1"#)),
        ("nothing", one(r#""entity_type":"A","start":1,"end":1,"score":1"#)),
        ("backwards", one(r#""entity_type":"A","start":2,"end":1,"score":1"#)),
        ("no start", one(r#""entity_type":"A","end":1,"score":1"#)),
        ("no score", one(r#""entity_type":"A","start":0,"end":1"#)),
        ("a score that is none", one(r#""entity_type":"A","start":0,"end":1,"score":"1""#)),
        ("no entity", one(r#""start":0,"end":1,"score":1"#)),
        ("two entities", one(r#""entity_type":"A","entity_type":"B","start":0,"end":1,"score":1"#)),
    ];
    for (name, text) in cases {
        assert_eq!(read(&presidio(), &["aé😀b "], 200, text.as_bytes()), Err(Shape), "{name}: {text}");
    }
    let whole = one(r#""entity_type":"A B","start":0,"end":5,"score":1"#);
    let got = read(&presidio(), &["aé😀b "], 200, whole.as_bytes()).map(Readings::into_readings);
    assert_eq!(got, Ok(vec![Reading::of(vec![finding("A_B", 0..9, 1.0)])]), "to the end");
}

#[test]
fn judged() {
    let cases = [
        ("safe", Ok(clean())),
        ("\n\nsafe\n", Ok(clean())),
        ("unsafe\nS2,S9", Ok(flagged("non_violent_crimes"))),
        ("\n\nunsafe\r\nS10 ", Ok(flagged("hate"))),
        ("unsafe\nS14, S1", Ok(flagged("code_interpreter_abuse"))),
        ("unsafe", Ok(flagged("unsafe"))),
        ("unsafe\nS15", Err(Shape)),
        ("unsafe\nS0", Err(Shape)),
        ("unsafe\nS02", Err(Shape)),
        ("unsafe\nS+2", Err(Shape)),
        ("unsafe\nS2,", Err(Shape)),
        ("unsafe\nS2\nS3", Err(Shape)),
        ("unsafe\nbecause", Err(Shape)),
        ("safe\nS2", Err(Shape)),
        ("Safe", Err(Shape)),
        ("unsafely", Err(Shape)),
        ("I cannot help with that.", Err(Shape)),
        ("", Err(Shape)),
        (" \n ", Err(Shape)),
    ];
    for (content, want) in cases {
        let message = json!({"role": "assistant", "content": content, "refusal": null});
        let body = json!({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
        let got = read(&llama(), &["a"], 200, body.to_string().as_bytes());
        assert_eq!(got.map(Readings::into_readings), want.map(|reading| vec![reading]), "{content:?}");
    }
    let bodies = [
        r#"{"choices":[]}"#,
        r#"{"choices":[{}]}"#,
        r#"{"choices":[{"message":{"content":null}}]}"#,
        r#"{"choices":[{"message":{"content":[{"type":"text","text":"safe"}]}}]}"#,
        r#"{"choices":[{"message":{"content":"safe"}},{"message":{"content":"unsafe"}}]}"#,
        r#"{"choices":[{"message":{"content":"unsafe","content":"safe"}}]}"#,
        r#"{"error":{"message":"overloaded"}}"#,
    ];
    for body in bodies {
        assert_eq!(read(&llama(), &["a"], 200, body.as_bytes()), Err(Shape), "{body}");
    }
}

/// For any request.
#[test]
fn invalid_answers() {
    let good = [(MODERATED, 3), (MODERATED, 3), (ANALYZED, 2)];
    let texts = ["é write to ann@example.com 😀 or 212-555-0187"; 3];
    for api in every() {
        for status in [0, 201, 204, 301, 401, 404, 429, 500, 503] {
            assert_eq!(read(&api, &["a"], status, MODERATED.as_bytes()), Err(Status(status)), "{api:?}");
        }
        let deep = "[".repeat(100_000);
        for body in ["", " ", "null", "[]", "{}", "1", "\"safe\"", "<html>", "\u{feff}{}", "safe", deep.as_str()] {
            assert_eq!(read(&api, &["a"], 200, body.as_bytes()), Err(Shape), "{api:?}");
        }
        assert_eq!(read(&api, &["a"], 200, b"\xff\xfe"), Err(Shape), "{api:?}");
    }
    for (api, (body, count)) in every().iter().zip(good) {
        let texts = &texts[..count];
        assert!(read(api, texts, 200, body.as_bytes()).is_ok(), "{api:?}");
        for end in 0..body.len() {
            assert_eq!(read(api, texts, 200, &body.as_bytes()[..end]), Err(Shape), "cut at {end}");
        }
        assert_eq!(read(api, texts, 200, format!("{body}x").as_bytes()), Err(Shape), "something after it");
        assert_eq!(read(api, &texts[..count - 1], 200, body.as_bytes()), Err(Shape), "of other texts");
        let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
        assert!(read(api, texts, 200, padded(MAX_ANSWER).as_bytes()).is_ok(), "as long as it may be");
        assert_eq!(read(api, texts, 200, padded(MAX_ANSWER + 1).as_bytes()), Err(Shape), "too long");
    }
}

#[test]
fn the_highest_score_names_a_text() {
    let cases = [
        (vec![], None),
        (vec![("A", 0.5)], Some("A")),
        (vec![("A", 0.5), ("B", 0.6)], Some("B")),
        (vec![("A", 0.6), ("B", 0.6)], Some("A")),
        (vec![("A", f32::NAN), ("B", 0.6)], Some("A")),
    ];
    for (findings, want) in cases {
        let findings = findings.iter().enumerate().map(|(at, (entity, score))| finding(entity, at..at + 1, *score));
        assert_eq!(Reading::of(findings.collect()).category(), want);
    }
}

proptest! {
    /// Spans of code points give the same characters.
    #[test]
    fn code_points(text in generate::text(), spans in prop::collection::vec((0..14usize, 0..14usize), 0..6)) {
        let characters: Vec<char> = text.chars().collect();
        let fits = |span: &(usize, usize)| span.0 < span.1 && span.1 <= characters.len();
        let list: Vec<Value> = spans
            .iter()
            .map(|(start, end)| json!({"entity_type": "A", "start": start, "end": end, "score": 1}))
            .collect();
        let got = read(&presidio(), &[&text], 200, json!([list]).to_string().as_bytes());
        if spans.iter().all(fits) {
            let answer = got.unwrap();
            let mut found: Vec<&str> = answer.readings()[0].findings().iter().map(|f| &text[f.span.clone()]).collect();
            let mut want: Vec<String> = spans.iter().map(|(a, b)| characters[*a..*b].iter().collect()).collect();
            found.sort_unstable();
            want.sort_unstable();
            prop_assert_eq!(found, want);
        } else {
            prop_assert_eq!(got, Err(Shape));
        }
    }

    #[test]
    fn any_json_is_read_or_refused(bytes in generate::json_like(), value in generate::json()) {
        for api in every() {
            let _ = read(&api, &["a", "b"], 200, &bytes);
            let _ = read(&api, &["a"], 200, value.to_string().as_bytes());
        }
    }
}
