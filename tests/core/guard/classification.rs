//! Models that classify texts: their servers' answers, and the pieces of long texts.

use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::guard::api::{
    read, Api, ClassificationServer, Failure, Pieces, Reading, Readings, TextClassification, MAX_ANSWER,
};
use sluice::guard::checks::{
    Ask, CacheLimits, CheckOutcome, CheckPhase, CheckRefusal, CheckRun, CheckSubject, Guard, PassageText, ResultCache,
};
use sluice::guard::Speaker;

use super::guard;
use crate::generate;
use Failure::{Shape, Status};

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn api(server: ClassificationServer, thresholds: &[(&str, f64)]) -> Api {
    let thresholds = thresholds.iter().map(|(label, threshold)| ((*label).to_owned(), *threshold)).collect();
    Api::TextClassification(TextClassification { server, thresholds, batch_size: 32, pieces: Pieces::default() })
}

fn tei(thresholds: &[(&str, f64)]) -> Api {
    api(ClassificationServer::Tei, thresholds)
}

fn vllm(thresholds: &[(&str, f64)], labels: &[&str]) -> Api {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    api(ClassificationServer::Vllm { model: None, labels }, thresholds)
}

fn flagged(category: &str) -> Reading {
    Reading::Flagged(category.into())
}

fn reading(api: &Api, texts: &[&str], body: &str) -> Result<Vec<Reading>, Failure> {
    read(api, texts, 200, body.as_bytes()).map(Readings::into_readings)
}

#[test]
fn text_embeddings_inference() {
    let answer = r#"[[{"label":"MALICIOUS","score":0.9},{"label":"BENIGN","score":0.1}],[{"label":"BENIGN","score":0.8},{"label":"MALICIOUS","score":0.2}]]"#;
    let cases = [
        (vec![("MALICIOUS", 0.5)], Ok(vec![flagged("MALICIOUS"), Reading::Clean])),
        (vec![("MALICIOUS", 0.2)], Ok(vec![flagged("MALICIOUS"), flagged("MALICIOUS")])),
        (vec![("MALICIOUS", 0.95)], Ok(vec![Reading::Clean, Reading::Clean])),
        (vec![("BENIGN", 0.1), ("MALICIOUS", 0.1)], Ok(vec![flagged("MALICIOUS"), flagged("BENIGN")])),
        (vec![("INJECTION", 0.5)], Err(Shape)),
        (vec![("malicious", 0.5)], Err(Shape)),
    ];
    for (thresholds, want) in cases {
        assert_eq!(reading(&tei(&thresholds), &["a", "b"], answer), want, "{thresholds:?}");
    }
    let single = r#"[{"label":"LABEL_1","score":1},{"label":"LABEL_0","score":0}]"#;
    assert_eq!(reading(&tei(&[("LABEL_1", 0.5)]), &["a"], single), Ok(vec![flagged("LABEL_1")]));
    assert_eq!(reading(&tei(&[("LABEL_1", 0.5)]), &["a", "b"], single), Err(Shape), "of one text");
    let twice = r#"[[{"label":"M","score":0.9},{"label":"M","score":0.1}]]"#;
    assert_eq!(reading(&tei(&[("M", 0.5)]), &["a"], twice), Ok(vec![flagged("M")]), "the higher one counts");
    let odd = r#"[[{"label":"a\r\nb: c","score":1}]]"#;
    assert_eq!(reading(&tei(&[("a\r\nb: c", 0.5)]), &["a"], odd), Ok(vec![flagged("a__b__c")]));
}

#[test]
fn vllm_servers() {
    let one = |label: Value, probs: Value| {
        let count = probs.as_array().unwrap().len();
        json!({"id": "classify-1", "object": "list", "model": "m", "usage": {}, "data": [
            {"index": 0, "label": label, "probs": probs, "num_classes": count}]})
        .to_string()
    };
    let binary = |threshold| vllm(&[("MALICIOUS", threshold)], &["BENIGN", "MALICIOUS"]);
    let cases = [
        ("the first", binary(0.5), one(json!("MALICIOUS"), json!([0.1, 0.9])), Ok(flagged("MALICIOUS"))),
        ("the other", binary(0.5), one(json!("BENIGN"), json!([0.6, 0.4])), Ok(Reading::Clean)),
        ("not the first, but enough", binary(0.3), one(json!("BENIGN"), json!([0.6, 0.4])), Ok(flagged("MALICIOUS"))),
        ("unnamed", binary(0.5), one(Value::Null, json!([0.1, 0.9])), Ok(flagged("MALICIOUS"))),
        ("equal", binary(0.5), one(json!("BENIGN"), json!([0.5, 0.5])), Ok(flagged("MALICIOUS"))),
        ("another order", binary(0.5), one(json!("MALICIOUS"), json!([0.9, 0.1])), Err(Shape)),
        ("other labels", binary(0.5), one(json!("LABEL_1"), json!([0.1, 0.9])), Err(Shape)),
        ("more labels", binary(0.5), one(json!("MALICIOUS"), json!([0.1, 0.8, 0.1])), Err(Shape)),
        ("fewer labels", binary(0.5), one(json!("MALICIOUS"), json!([0.9])), Err(Shape)),
    ];
    for (name, api, body, want) in cases {
        assert_eq!(reading(&api, &["a"], &body), want.map(|reading| vec![reading]), "{name}");
    }
    let entry = |index: u64, score: f64| json!({"index": index, "label": null, "probs": [1.0 - score, score], "num_classes": 2});
    let data = |entries: &[Value]| json!({"data": entries}).to_string();
    let mixed = data(&[entry(1, 0.9), entry(0, 0.1)]);
    assert_eq!(reading(&binary(0.5), &["a", "b"], &mixed), Ok(vec![Reading::Clean, flagged("MALICIOUS")]));
    for wrong in [vec![entry(0, 0.1), entry(0, 0.9)], vec![entry(1, 0.1), entry(2, 0.1)], vec![entry(0, 0.1)], vec![]] {
        assert_eq!(reading(&binary(0.5), &["a", "b"], &data(&wrong)), Err(Shape), "{wrong:?}");
    }
    let miscounted = r#"{"data":[{"index":0,"label":"BENIGN","probs":[0.9,0.1],"num_classes":3}]}"#;
    assert_eq!(reading(&binary(0.5), &["a"], miscounted), Err(Shape));
}

#[test]
fn hostile_answers() {
    let apis = [tei(&[("M", 0.5)]), vllm(&[("M", 0.5)], &["B", "M"])];
    let good = [
        r#"[[{"label":"M","score":0.1},{"label":"B","score":0.9}]]"#,
        r#"{"data":[{"index":0,"label":"B","probs":[0.9,0.1],"num_classes":2}]}"#,
    ];
    let deep = "[".repeat(100_000);
    for (api, good) in apis.iter().zip(good) {
        assert_eq!(reading(api, &["a"], good), Ok(vec![Reading::Clean]));
        for end in 0..good.len() {
            assert_eq!(reading(api, &["a"], &good[..end]), Err(Shape), "cut at {end}");
        }
        for body in
            ["", "null", "[]", "{}", "[[]]", "[null]", r#"{"data":null}"#, r#"{"error":"busy"}"#, &deep, "<html>"]
        {
            assert_eq!(reading(api, &["a"], body), Err(Shape), "{body:.20}");
        }
        for score in ["null", "\"0.1\"", "NaN", "1e999", "-1e999", "[]"] {
            assert_eq!(reading(api, &["a"], &good.replace("0.1", score)), Err(Shape), "{score}");
        }
        assert_eq!(read(api, &["a"], 413, good.as_bytes()), Err(Status(413)), "too many tokens");
        let long = format!("{good}{}", " ".repeat(MAX_ANSWER));
        assert_eq!(reading(api, &["a"], &long), Err(Shape));
    }
}

fn checks(fields: &str) -> Rc<Guard> {
    let check = r#""name":"x","api":"text_classification","server":"tei","cluster":"c","thresholds":{"M":0.5},"phase":["request"],"action":"block","on_failure":"deny""#;
    Rc::new(guard(&format!(r#"{{"checks":[{{{check}{fields}}}]}}"#)))
}

fn user(text: &str) -> PassageText {
    PassageText { speaker: Speaker::User, text: text.into(), signed: false, given: false, fresh: 0 }
}

fn run(guard: &Rc<Guard>, texts: &[String], cache: &ResultCache) -> CheckRun {
    let subject = CheckSubject { phase: CheckPhase::Request, model: "m", key: "k" };
    CheckRun::new(Rc::clone(guard), &subject, texts.iter().map(|text| user(text)).collect(), cache, NOW)
}

fn inputs(run: &CheckRun) -> Vec<Vec<String>> {
    let inputs = |ask: &Ask| {
        let Ask::Service(callout) = ask else { panic!("{ask:?}") };
        let body: Value = serde_json::from_slice(&callout.body).unwrap();
        let texts = body["inputs"].as_array().unwrap().iter().map(|text| text[0].as_str().unwrap().to_owned());
        texts.collect::<Vec<_>>()
    };
    run.questions().iter().map(|question| inputs(&question.ask)).collect()
}

#[test]
fn batches_and_pieces() {
    let guard = checks(r#","batch_size":2,"pieces":{"characters":50,"overlap":10}"#);
    let cache = ResultCache::new(CacheLimits::default());
    let long: String = (0..100).map(|number| char::from(b'a' + number % 26)).collect();
    let mut run = run(&guard, &["short".into(), long.clone(), " ".into(), "last".into()], &cache);
    let (first, second, third) = (long[..50].to_owned(), long[40..90].to_owned(), long[80..].to_owned());
    let want = [vec!["short".to_owned(), first], vec![second, third], vec!["last".to_owned()]];
    assert_eq!(inputs(&run), want);
    let mut cache = cache;
    run.answered(2, Ok(Readings::new(vec![Reading::Clean])), &mut cache, NOW);
    run.answered(0, Ok(Readings::new(vec![Reading::Clean; 2])), &mut cache, NOW);
    assert!(!run.is_complete());
    run.answered(1, Ok(Readings::new(vec![Reading::Clean, flagged("M")])), &mut cache, NOW);
    let refusal = CheckRefusal::Content { check: "x".into(), category: "M".into() };
    assert_eq!(run.outcome(), Some(CheckOutcome::Refuse(refusal)));
    // each piece is remembered by itself: what is added to a text is all that is asked again
    let again = self::run(&guard, &[format!("{}, and more", &long[..85])], &cache);
    assert_eq!(inputs(&again), [[format!("{}, and", &long[40..85]), format!("{}, and more", &long[80..85])]]);
}

#[test]
fn too_much() {
    let limits = CacheLimits::default();
    let texts = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
    let guard = checks(r#","batch_size":2"#);
    assert_eq!(run(&guard, &texts(128), &ResultCache::new(limits)).questions().len(), 64);
    let over = run(&guard, &texts(129), &ResultCache::new(limits));
    let refusal = CheckRefusal::Unavailable { check: "x".into(), failure: Failure::TooLarge };
    assert_eq!(over.outcome(), Some(CheckOutcome::Refuse(refusal.clone())));
    let text = run(&guard, &["a".repeat(256 << 10)], &ResultCache::new(limits));
    assert!(text.is_complete(), "more calls than one check may make");
    let default = checks("");
    let text = run(&default, &["a".repeat(256 << 10)], &ResultCache::new(limits));
    assert_eq!(text.questions().len(), (256_usize << 10).div_ceil(400).div_ceil(32));
    let text = run(&default, &["a".repeat((256 << 10) + 1)], &ResultCache::new(limits));
    assert_eq!(text.outcome(), Some(CheckOutcome::Refuse(refusal)));
}

#[test]
fn configuration() {
    let read = |fields: &str| {
        let check = r#""name":"x","api":"text_classification","cluster":"c","phase":["request"],"on_failure":"deny""#;
        let text = format!(r#"{{"checks":[{{{check},{fields}}}]}}"#);
        sluice::config::guard(text.as_bytes(), &|_| None).map_err(|error| error.to_string())
    };
    let block = r#""action":"block""#;
    let found = read(&format!(
        r#"{block},"server":"vllm","model":"m","labels":["B","M"],"thresholds":{{"M":"0.25"}},"batch_size":8,"pieces":{{"characters":200}}"#
    ));
    let want = ClassificationServer::Vllm { model: Some("m".into()), labels: vec!["B".into(), "M".into()] };
    let printed = format!("{:?}", found.unwrap().checks[0].backend);
    assert!(printed.contains(&format!("{want:?}")) && printed.contains("characters: 200, overlap: 40"), "{printed}");
    let cases = [
        (r#""thresholds":{"M":0.5}"#, "guard.checks[0].server", "missing"),
        (r#""server":"hf","thresholds":{"M":0.5}"#, "guard.checks[0].server", "tei"),
        (r#""server":"tei""#, "guard.checks[0]", "name the labels that count"),
        (r#""server":"tei","thresholds":0.5"#, "guard.checks[0].thresholds", "name the labels that count"),
        (r#""server":"tei","thresholds":{}"#, "guard.checks[0].thresholds", "names no label"),
        (r#""server":"tei","thresholds":{"M":2}"#, "guard.checks[0].thresholds.M", "from 0 to 1"),
        (r#""server":"tei","thresholds":{"M":0.5},"model":"m""#, "guard.checks[0].model", "leave it out"),
        (r#""server":"tei","thresholds":{"M":0.5},"labels":["M"]"#, "guard.checks[0].labels", "leave it out"),
        (r#""server":"vllm","thresholds":{"M":0.5}"#, "guard.checks[0]", "`labels` is missing"),
        (r#""server":"vllm","thresholds":{"M":0.5},"labels":["B"]"#, "guard.checks[0].labels", "lacks \"M\""),
        (r#""server":"vllm","thresholds":{"M":0.5},"labels":["M","M"]"#, "guard.checks[0].labels", "twice"),
        (r#""server":"tei","thresholds":{"M":0.5},"batch_size":0"#, "guard.checks[0].batch_size", "1"),
        (
            r#""server":"tei","thresholds":{"M":0.5},"pieces":{"overlap":251}"#,
            "guard.checks[0].pieces.overlap",
            "at most half",
        ),
        (
            r#""server":"tei","thresholds":{"M":0.5},"pieces":{"characters":9}"#,
            "guard.checks[0].pieces.characters",
            "50",
        ),
    ];
    for (fields, path, words) in cases {
        let error = read(&format!("{block},{fields}")).unwrap_err();
        assert!(error.starts_with(path) && error.contains(words), "{fields}: {error}");
    }
    let error = read(r#""action":"mask","server":"tei","thresholds":{"M":0.5}"#).unwrap_err();
    assert!(error.contains("use block or flag"), "{error}");
}

proptest! {
    /// The pieces of any text are all of it, none is longer than it may be, and each begins with the end of the one before.
    #[test]
    fn pieces(text in generate::text(), step in 1..9_usize, overlap in 0..4_usize) {
        let characters = overlap + step;
        let pieces = Pieces { characters, overlap }.of(&text);
        prop_assert_eq!((pieces[0].start, pieces[pieces.len() - 1].end), (0, text.len()));
        for piece in &pieces {
            prop_assert!(text[piece.clone()].chars().count() <= characters);
        }
        for pair in pieces.windows(2) {
            prop_assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end);
            prop_assert_eq!(text[pair[1].start..pair[0].end].chars().count(), overlap);
        }
    }

    /// Whatever a server answers, there is a reading for each text, or a failure.
    #[test]
    fn any_answer(answer in generate::json(), count in 1..3_usize) {
        let texts = vec!["a"; count];
        for api in [tei(&[("M", 0.5)]), vllm(&[("M", 0.5)], &["B", "M"])] {
            if let Ok(readings) = read(&api, &texts, 200, answer.to_string().as_bytes()) {
                prop_assert_eq!(readings.readings().len(), count);
            }
        }
    }
}
