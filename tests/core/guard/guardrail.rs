//! Services for LiteLLM's generic guardrail API: their answers, and the texts that they change.

use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::guard::api::{callout, read, Api, Failure, Reading, Readings};
use sluice::guard::checks::{
    Backend, CacheLimits, CheckOutcome, CheckPhase, CheckRefusal, CheckRun, CheckSubject, Guard, PassageRewrite,
    PassageText, ResultCache, RewriteMode,
};
use sluice::guard::pii::{Entity, Patterns, Vault};
use sluice::guard::rewriting::{replacements, rewrite_answer, rewrite_request};
use sluice::guard::texts::{answer_passages, passages, PassageKind};
use sluice::guard::{Finding, Speaker};

use super::guard;
use crate::generate;
use Failure::{Shape, Status};

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn reading(texts: &[&str], body: &str) -> Result<Vec<Reading>, Failure> {
    read(&Api::GenericGuardrail(None), texts, 200, body.as_bytes()).map(Readings::into_readings)
}

/// The findings in one text that a service changes.
fn changed(text: &str, into: &str) -> Vec<Finding> {
    let answer = json!({"action": "GUARDRAIL_INTERVENED", "texts": [into]}).to_string();
    reading(&[text], &answer).unwrap()[0].findings().to_vec()
}

/// What is replaced by what.
fn edits(text: &str, into: &str) -> Vec<(Range<usize>, String)> {
    changed(text, into).into_iter().map(|found| (found.span, found.replacement.unwrap().to_string())).collect()
}

fn applied(text: &str, findings: Vec<Finding>) -> String {
    let rewrite = [PassageRewrite::new(findings, RewriteMode::Mask)];
    let edits = replacements(text, PassageKind::Plain, &rewrite, &mut Vault::default()).unwrap();
    let mut out = text.to_owned();
    edits.into_iter().rev().for_each(|(span, new)| out.replace_range(span, &new));
    out
}

#[test]
fn verdicts() {
    let blocked = || Ok(vec![Reading::Flagged("blocked".into()); 2]);
    let clean = || Ok(vec![Reading::Clean; 2]);
    let cases = [
        (r#"{"action":"BLOCKED"}"#, blocked()),
        (r#"{"action":"BLOCKED","blocked_reason":"it says a","texts":["x"],"images":null}"#, blocked()),
        (r#"{"action":"NONE"}"#, clean()),
        (r#"{"action":"NONE","blocked_reason":null,"texts":null,"images":null,"tools":null}"#, clean()),
        (r#"{"action":"NONE","texts":[]}"#, clean()),
        (r#"{"action":"NONE","texts":["a","b"],"stream_holdback_chars":[1,2]}"#, clean()),
        (r#"{"action":"GUARDRAIL_INTERVENED","texts":["a","b"]}"#, clean()),
        (r#"{"action":"GUARDRAIL_INTERVENED"}"#, Err(Shape)),
        (r#"{"action":"GUARDRAIL_INTERVENED","texts":null}"#, Err(Shape)),
        (r#"{"action":"GUARDRAIL_INTERVENED","texts":["a"]}"#, Err(Shape)),
        (r#"{"action":"GUARDRAIL_INTERVENED","texts":["a","b","c"]}"#, Err(Shape)),
        (r#"{"action":"GUARDRAIL_INTERVENED","texts":["a",null]}"#, Err(Shape)),
        (r#"{"action":"GUARDRAIL_INTERVENED","texts":["a",1]}"#, Err(Shape)),
        (r#"{"action":"GUARDRAIL_INTERVENED","texts":"ab"}"#, Err(Shape)),
        (r#"{"action":"NONE","texts":["a"]}"#, Err(Shape)),
        (r#"{"action":"NONE","texts":{}}"#, Err(Shape)),
        (r#"{"action":"BLOCKED","action":"NONE"}"#, Err(Shape)),
        (r#"{"action":"blocked"}"#, Err(Shape)),
        (r#"{"action":"ALLOW"}"#, Err(Shape)),
        (r#"{"action":null}"#, Err(Shape)),
        (r#"{"action":1}"#, Err(Shape)),
        (r#"{"texts":["a","b"]}"#, Err(Shape)),
        (r#"{}"#, Err(Shape)),
        (r#"[]"#, Err(Shape)),
        (r#"null"#, Err(Shape)),
        (r#""NONE""#, Err(Shape)),
        ("", Err(Shape)),
    ];
    for (body, want) in cases {
        assert_eq!(reading(&["a", "b"], body), want, "{body}");
    }
    assert_eq!(read(&Api::GenericGuardrail(None), &["a"], 500, b"{}"), Err(Status(500)));
    let deep = format!(r#"{{"action":"NONE","x":{}"#, "[".repeat(100_000));
    assert_eq!(reading(&["a"], &deep), Err(Shape));
    let one =
        reading(&["same", "mail jo@x.org"], r#"{"action":"GUARDRAIL_INTERVENED","texts":["same","mail [EMAIL]"]}"#);
    let readings = one.unwrap();
    assert_eq!((&readings[0], readings[1].category()), (&Reading::Clean, Some("intervened")));
}

#[test]
fn only_changed_words_are_replaced() {
    let cases: [(&str, &str, &[(Range<usize>, &str)]); 11] = [
        ("mail jo@x.org now", "mail [EMAIL] now", &[(5..13, "[EMAIL]")]),
        ("a jo@x.org and al@y.org!", "a <E> and <E>!", &[(2..10, "<E>"), (15..23, "<E>")]),
        ("abc", "", &[(0..3, "")]),
        ("abc", "xyz", &[(0..3, "xyz")]),
        ("one two", "one more two", &[(4..7, "more two")]),
        ("one two", "one two three", &[(4..7, "two three")]),
        ("one two", "zero one two", &[(0..3, "zero one")]),
        ("one two three four", "one three four", &[(4..8, "")]),
        ("für Köln", "für Bonn", &[(5..10, "Bonn")]),
        ("a\u{0301}b", "ab", &[(0..4, "ab")]),
        ("x", "x\n", &[(0..1, "x\n")]),
    ];
    for (text, into, want) in cases {
        let want: Vec<_> = want.iter().map(|(span, new)| (span.clone(), (*new).to_owned())).collect();
        assert_eq!(edits(text, into), want, "{text:?} {into:?}");
        assert_eq!(applied(text, changed(text, into)), into);
    }
}

#[test]
fn large_texts() {
    let start = std::time::Instant::now();
    let text: String = (0..6000).map(|number| format!("w{number} ")).collect();
    let other: String = (0..6000).map(|number| format!("v{number} ")).collect();
    assert_eq!(applied(&text, changed(&text, &other)), other, "nothing in common");
    let even = text.replace("2 ", "[x] ");
    assert_eq!(applied(&text, changed(&text, &even)), even, "many changes");
    let long = "é".repeat(100_000);
    let into = format!("{}ü{}", &long[..1000], &long[1002..]);
    assert_eq!(edits(&long, &into), [(1000..1002, "ü".to_owned())], "from both ends");
    let many: Vec<String> = (0..10_000).map(|number| format!("a {number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = json!({"action": "NONE", "texts": vec!["b c d"; many.len()]}).to_string();
    let readings = reading(&many, &answer).unwrap();
    assert!(readings.iter().all(|reading| reading.category() == Some("intervened")), "many short ones");
    let more = format!("{long}!");
    assert_eq!(applied(&long, changed(&long, &more)), more);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

fn checks(action: &str, further: &str) -> Rc<Guard> {
    let check = r#""name":"x","api":"generic_guardrail_api","cluster":"c","phase":["request","response"],"on_failure":"deny","roles":["user","assistant"]"#;
    Rc::new(guard(&format!(r#"{{"checks":[{{{check},"action":"{action}"{further}}}]}}"#)))
}

fn passage(text: &str, signed: bool) -> PassageText {
    PassageText { speaker: Speaker::User, text: text.into(), signed, given: false, fresh: 0 }
}

fn outcome(guard: &Rc<Guard>, passages: Vec<PassageText>, answer: Value) -> (CheckOutcome, &'static str) {
    let subject = CheckSubject { phase: CheckPhase::Request, model: "m", key: "k" };
    let mut cache = ResultCache::new(CacheLimits::default());
    let mut run = CheckRun::new(Rc::clone(guard), &subject, passages, &cache, NOW);
    let readings = run.read(0, 200, answer.to_string().as_bytes());
    run.answered(0, readings, &mut cache, NOW);
    assert!(cache.is_empty(), "a verdict about several texts is not one about each");
    let label = run.verdicts()[0].1.label(false);
    (run.outcome().unwrap(), label)
}

#[test]
fn outcomes() {
    let two = || vec![passage("hi", false), passage("jo@x.org", false)];
    let refused =
        |category: &str| CheckOutcome::Refuse(CheckRefusal::Content { check: "x".into(), category: category.into() });
    let failed = || CheckOutcome::Refuse(CheckRefusal::Unavailable { check: "x".into(), failure: Shape });
    let blocked = || json!({"action": "BLOCKED", "blocked_reason": "secret"});
    let intervened = || json!({"action": "GUARDRAIL_INTERVENED", "texts": ["hi", "[E]"]});
    assert_eq!(outcome(&checks("block", ""), two(), blocked()), (refused("blocked"), "block"));
    assert_eq!(outcome(&checks("block", ""), two(), intervened()), (refused("intervened"), "block"));
    assert_eq!(outcome(&checks("mask", ""), two(), blocked()), (refused("blocked"), "block"));
    let (flagged, label) = outcome(&checks("flag", ""), two(), blocked());
    assert!(matches!(flagged, CheckOutcome::Flagged(flags) if flags[0].to_string() == "x:blocked") && label == "flag");
    let (flagged, label) = outcome(&checks("flag", ""), two(), intervened());
    assert!(
        matches!(flagged, CheckOutcome::Flagged(flags) if flags[0].to_string() == "x:intervened") && label == "flag"
    );
    let (masked, label) = outcome(&checks("mask", ""), two(), intervened());
    let CheckOutcome::Rewrite { passages, .. } = masked else { panic!("{masked:?}") };
    assert_eq!((passages[0].len(), passages[1][0].findings().len(), label), (0, 1, "mask"));
    let short = json!({"action": "GUARDRAIL_INTERVENED", "texts": ["hi"]});
    assert_eq!(outcome(&checks("mask", ""), two(), short), (failed(), "error_shape"));
    let none = json!({"action": "NONE"});
    assert_eq!(outcome(&checks("mask", ""), two(), none), (CheckOutcome::Pass, "pass"));
    // what is signed is not rewritten, and a block is about everything
    let signed = || vec![passage("hi", false), passage("jo@x.org", true)];
    let in_signed = refused("intervened in signed content");
    assert_eq!(outcome(&checks("mask", ""), signed(), intervened()), (in_signed, "unrewritable_block"));
    let allow = checks("mask", r#","unrewritable":"allow""#);
    assert_eq!(outcome(&allow, signed(), intervened()), (CheckOutcome::Pass, "unrewritable_allow"));
    assert_eq!(outcome(&allow, vec![passage("a", true)], blocked()), (refused("blocked"), "block"));
    // before a window, everything has been shown
    let window = |text: &str, fresh| vec![PassageText { fresh, ..passage(text, false) }];
    let answer = |text: &str| json!({"action": "GUARDRAIL_INTERVENED", "texts": [text]});
    let old = outcome(&checks("mask", ""), window("jo@x.org said hello.", 9), answer("[E] said hello."));
    assert_eq!(old, (CheckOutcome::Pass, "pass"));
    let over = outcome(&checks("mask", ""), window("jo@x.org said hello.", 7), answer("[E] said hello."));
    assert_eq!(over.1, "mask");
}

#[test]
fn params() {
    let read = |params: &str| {
        let check = r#""name":"x","api":"generic_guardrail_api","cluster":"c","phase":["request"],"on_failure":"deny","action":"block""#;
        let text = format!(r#"{{"checks":[{{{check},"additional_provider_specific_params":{params}}}]}}"#);
        sluice::config::guard(text.as_bytes(), &|_| None).map_err(|error| error.to_string())
    };
    let guard = read(r#"{"policy":"strict","levels":[1,{"a":null}]}"#).unwrap();
    let Backend::Service(api, service) = &guard.checks[0].backend else { panic!("{guard:?}") };
    let body: Value = serde_json::from_slice(&callout(api, service, "response", &["a"]).body).unwrap();
    assert_eq!(body["additional_provider_specific_params"], json!({"policy": "strict", "levels": [1, {"a": null}]}));
    assert_eq!((&body["input_type"], &body["texts"]), (&json!("response"), &json!(["a"])));
    for (params, want) in [("[]", "must be an object"), ("\"a\"", "must be an object")] {
        assert!(read(params).unwrap_err().contains(want), "{params}");
    }
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(4096));
    assert!(read(&long).unwrap_err().contains("at most 4096 bytes"));
}

#[test]
fn restore_is_refused() {
    let check = r#""name":"x","api":"generic_guardrail_api","cluster":"c","phase":["request"],"on_failure":"deny","action":"restore""#;
    let error = sluice::config::guard(format!(r#"{{"checks":[{{{check}}}]}}"#).as_bytes(), &|_| None).unwrap_err();
    assert!(error.to_string().starts_with("guard.checks[0].action: the service chooses"), "{error}");
}

/// A request whose texts a service changes with `into`, and which `patterns` mask or hide as well.
fn rewritten(body: &Value, into: impl Fn(&str) -> String, patterns: Option<RewriteMode>) -> String {
    let body = body.to_string();
    let found = passages(body.as_bytes()).unwrap();
    let all = Patterns::new(Entity::ALL, &[]).unwrap();
    let of = |text: &str| {
        let mut lists = vec![PassageRewrite::new(changed(text, &into(text)), RewriteMode::Mask)];
        lists.extend(patterns.map(|mode| PassageRewrite::new(all.find(text), mode)));
        lists.retain(|list| !list.findings().is_empty());
        lists
    };
    let rewrites: Vec<_> = found.iter().map(|passage| of(&passage.text)).collect();
    let rewritten = rewrite_request(body.as_bytes(), &found, &rewrites, &mut Vault::default()).unwrap();
    String::from_utf8(rewritten).unwrap()
}

#[test]
fn texts_in_bodies() {
    let quoted = |text: &str| text.replace("secret", "\"x\"\n");
    let body = json!({"messages": [{"role": "user", "content": "my secret is"}]});
    assert_eq!(rewritten(&body, quoted, None), body.to_string().replace("secret", r#"\"x\"\n"#));
    // a document within a text stays one
    let within =
        json!({"messages": [{"role": "user", "content": json!({"a": "my secret is", "n": [1, 2]}).to_string()}]});
    let got: Value = serde_json::from_str(&rewritten(&within, quoted, None)).unwrap();
    let content: Value = serde_json::from_str(got["messages"][0]["content"].as_str().unwrap()).unwrap();
    assert_eq!(content, json!({"a": "my \"x\"\n is", "n": [1, 2]}));
    // even where all of it is replaced
    let got: Value = serde_json::from_str(&rewritten(&within, |_| "no \"JSON\" at all".into(), None)).unwrap();
    let content = got["messages"][0]["content"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(content).is_ok() && content.matches("JSON").count() == 1, "{content}");
    assert!(!content.contains("secret") && !content.contains("my"), "{content}");
    // a name stays one
    let named = json!({"messages": [], "tools": [{"type": "function", "function": {"name": "get_secret_12345"}}]});
    assert!(rewritten(&named, |text| text.replace("secret", "<x y>"), None).contains(r#""name":"get_xy_12345""#));
}

/// What the service's text repeats is not shown, if another check hides it.
#[test]
fn another_check_counts_as_well() {
    let body = json!({"input": "please mail jo@example.com today"});
    let apart = |text: &str| text.replace("please", "kindly");
    for (mode, want) in [(RewriteMode::Mask, "<EMAIL_ADDRESS>"), (RewriteMode::Restore, "<EMAIL_ADDRESS_1>")] {
        let got = rewritten(&body, apart, Some(mode));
        assert_eq!(got, format!(r#"{{"input":"kindly mail {want} today"}}"#));
        let over = |_: &str| "we write to jo@example.com again, and so on".to_owned();
        let got = rewritten(&body, over, Some(mode));
        assert!(!got.contains("jo@example"), "{got}");
        let moved = |_: &str| "jo@example.com please mail today".to_owned();
        let got = rewritten(&body, moved, Some(mode));
        assert!(!got.contains("jo@example"), "{got}");
        let added = |text: &str| text.replace("jo@example.com", "(jo@example.com)");
        let got = rewritten(&body, added, Some(mode));
        assert!(!got.contains("jo@example"), "{got}");
    }
}

/// A text of few words: at least so many, and at most 40.
fn words(fewest: usize) -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["a ", "b.", "ab ", "c ", "ca.", "bb "]);
    prop::collection::vec(word, fewest..=40).prop_map(|words| words.concat())
}

proptest! {
    /// The changes of any text into any other make exactly that.
    #[test]
    fn any_change(text in generate::text(), into in generate::text(), same in generate::text()) {
        if text.is_empty() {
            return Ok(());
        }
        let (text, into) = (format!("{same}{text}{same}"), format!("{same}{into}{same}"));
        let found = changed(&text, &into);
        for finding in &found {
            prop_assert!(!finding.span.is_empty() && text.get(finding.span.clone()).is_some());
        }
        prop_assert!(found.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start));
        prop_assert_eq!(applied(&text, found), into);
    }

    /// Of texts with words in common, too.
    #[test]
    fn any_words(text in words(1), into in words(0)) {
        prop_assert_eq!(applied(&text, changed(&text, &into)), into);
    }

    /// An answer that is changed in any way stays JSON, and has the text.
    #[test]
    fn any_answer(text in generate::text(), into in generate::text()) {
        if text.trim().is_empty() {
            return Ok(());
        }
        let body = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}).to_string();
        let found = answer_passages(body.as_bytes()).unwrap();
        let lists: Vec<Vec<PassageRewrite>> = found
            .iter()
            .map(|passage| vec![PassageRewrite::new(changed(&passage.text, &into), RewriteMode::Mask)])
            .collect();
        let got = rewrite_answer(body.as_bytes(), &found, &lists, &Vault::default());
        let got: Value = serde_json::from_slice(&got).unwrap();
        if !text.contains(['{', '[', '\\', '"']) {
            prop_assert_eq!(&got["choices"][0]["message"]["content"], &json!(into));
        }
    }

    /// Whatever a service answers, there is a reading for each text, or a failure.
    #[test]
    fn any_body(answer in generate::json(), action in 0..4_usize) {
        let action = [json!("NONE"), json!("BLOCKED"), json!("GUARDRAIL_INTERVENED"), answer.clone()][action].clone();
        for body in [json!({"action": action, "texts": answer}), answer] {
            if let Ok(readings) = reading(&["a", "b"], &body.to_string()) {
                prop_assert_eq!(readings.len(), 2);
            }
        }
    }
}
