//! Requests for vectors, their answers, and similarity.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::callout::Service;
use sluice::embeddings::{read, Embedder, NoVectors, Vector, MAX_ANSWER, MAX_DIMENSIONS};

#[test]
fn the_request() {
    let service = Service {
        cluster: "vectors".to_owned(),
        path: "/v1/embeddings".to_owned(),
        authority: "vectors.example".to_owned(),
        key: None,
        timeout: Duration::from_millis(200),
    };
    let callout = Embedder { service, model: "mini\"lm".to_owned() }.callout(&["one", "t\u{1}wo"]);
    let body: Value = serde_json::from_slice(&callout.body).unwrap();
    assert_eq!(body, json!({"model": "mini\"lm", "input": ["one", "t\u{1}wo"]}));
    assert_eq!((callout.cluster.as_str(), callout.timeout), ("vectors", Duration::from_millis(200)));
    assert!(callout.headers.contains(&(":path", "/v1/embeddings".to_owned())));
    assert!(!format!("{callout:?}").contains("one"));
}

#[test]
fn answers() {
    let one = |embedding: Value| json!({"object": "list", "data": [{"embedding": embedding}], "usage": {}});
    let long = vec![1; MAX_DIMENSIONS + 1];
    for (name, answer, texts, want) in [
        ("in order", json!({"data": [{"embedding": [1, 0]}, {"embedding": [0, 1]}]}), 2, true),
        ("by index", json!({"data": [{"index": 1, "embedding": [1]}, {"index": 0, "embedding": [1]}]}), 2, true),
        ("nothing asked", json!({"data": []}), 0, true),
        ("too few", one(json!([1])), 2, false),
        ("too many", json!({"data": [{"embedding": [1]}, {"embedding": [1]}]}), 1, false),
        ("twice", json!({"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}), 2, false),
        ("index out of range", json!({"data": [{"index": 7, "embedding": [1]}]}), 1, false),
        ("different lengths", json!({"data": [{"embedding": [1]}, {"embedding": [1, 2]}]}), 2, false),
        ("no direction", one(json!([0, 0])), 1, false),
        ("empty", one(json!([])), 1, false),
        ("texts", one(json!(["1"])), 1, false),
        ("nested", one(json!([[1]])), 1, false),
        ("base64", one(json!("AACAPw==")), 1, false),
        ("infinite", json!({"data": [{"embedding": [1e39]}]}), 1, false),
        ("too long", one(json!(long)), 1, false),
        ("no data", json!({"error": "x"}), 1, false),
        ("no list", json!({"data": {}}), 1, false),
        ("no object", json!([]), 1, false),
    ] {
        let found = read(200, answer.to_string().as_bytes(), texts);
        assert_eq!(found.is_ok(), want, "{name}: {found:?}");
    }
    assert_eq!(read(200, b"{\"data\":[{\"embedding\":[1]}]} x", 1), Err(NoVectors::Shape));
    assert_eq!(read(429, b"{}", 1), Err(NoVectors::Status(429)));
    assert_eq!(read(200, &vec![b' '; MAX_ANSWER + 1], 1), Err(NoVectors::Shape));
}

#[test]
fn vectors_of_different_models_are_not_compared() {
    let vector = |numbers: &[f32]| Vector::new(numbers.to_vec()).unwrap();
    assert_eq!(vector(&[1.0, 0.0]).similarity(&vector(&[0.0, 2.0])), Some(0.0));
    assert_eq!(vector(&[1.0]).similarity(&vector(&[-7.0])), Some(-1.0));
    assert_eq!(vector(&[1.0]).similarity(&vector(&[1.0, 0.0])), None);
}

proptest! {
    /// The same as the textbook's formula, whatever the length is.
    #[test]
    fn similarity(pairs in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 1..600)) {
        let (one, other): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
        let sum = |of: fn(&(f32, f32)) -> f64| pairs.iter().map(of).sum::<f64>();
        let dot = sum(|(a, b)| f64::from(*a) * f64::from(*b));
        let lengths = (sum(|(a, _)| f64::from(*a).powi(2)) * sum(|(_, b)| f64::from(*b).powi(2))).sqrt();
        if let (Some(one), Some(other)) = (Vector::new(one), Vector::new(other)) {
            let found = f64::from(one.similarity(&other).unwrap());
            prop_assert!((found - dot / lengths).abs() < 1e-4);
        }
    }

    /// Whatever a service answers, there is one vector for each text, or none.
    #[test]
    fn any_answer(body in prop::collection::vec(any::<u8>(), 0..200), texts in 0usize..3) {
        if let Ok(vectors) = read(200, &body, texts) {
            prop_assert_eq!(vectors.len(), texts);
        }
    }
}
