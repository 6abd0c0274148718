use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use sluice::error::Shape;
use sluice::guard::api::{Failure, Reading, Readings};
use sluice::guard::checks::{
    Ask, CacheLimits, CheckOutcome, CheckPhase, CheckRefusal, CheckRun, CheckSubject, Flag, Guard, PassageRewrite,
    PassageText, Question, ResultCache, RewriteMode,
};
use sluice::guard::{Finding, Speaker};

use super::guard;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const REQUEST: CheckSubject<'static> = CheckSubject { phase: CheckPhase::Request, model: "gpt-4o", key: "bob" };
const RESPONSE: CheckSubject<'static> = CheckSubject { phase: CheckPhase::Response, ..REQUEST };

/// A check with its own name, and these further fields.
fn check(name: &str, api: &str, action: &str, fields: &str) -> String {
    let service = if api == "patterns" { "" } else { r#""cluster":"c","on_failure":"deny","# };
    let phase = if fields.contains("\"phase\"") { "" } else { r#""phase":["request"],"# };
    let service = if fields.contains("on_failure") { r#""cluster":"c","# } else { service };
    format!(r#"{{"name":"{name}","api":"{api}","action":"{action}",{service}{phase}{fields}"models":["*"]}}"#)
}

fn checks(checks: &[String]) -> Rc<Guard> {
    Rc::new(guard(&format!(r#"{{"checks":[{}],"max_text":1024}}"#, checks.join(","))))
}

fn user(text: &str) -> PassageText {
    PassageText { speaker: Speaker::User, text: text.into(), signed: false, given: false, fresh: 0 }
}

fn cache() -> ResultCache {
    ResultCache::new(CacheLimits::default())
}

/// A run for a request with this user text.
fn run(guard: &Rc<Guard>, texts: &[&str]) -> CheckRun {
    CheckRun::new(Rc::clone(guard), &REQUEST, texts.iter().map(|text| user(text)).collect(), &cache(), NOW)
}

fn flagged(category: &str) -> Reading {
    Reading::Flagged(category.into())
}

fn found(entity: &str, span: std::ops::Range<usize>) -> Reading {
    Reading::of(vec![Finding { entity: entity.into(), span, score: 1.0, replacement: None }])
}

fn answer(readings: &[Reading]) -> Result<Readings, Failure> {
    Ok(Readings::new(readings.to_vec()))
}

fn labels(run: &CheckRun) -> Vec<String> {
    let verdicts = run.verdicts();
    verdicts.iter().map(|(check, verdict, _)| format!("{}:{}", check.name, verdict.label(check.dry_run))).collect()
}

fn sent(question: &Question) -> Value {
    let Ask::Service(callout) = &question.ask else { panic!("{question:?}") };
    serde_json::from_slice(&callout.body).unwrap()
}

#[test]
fn nothing_to_check() {
    let cases = [
        ("no check", checks(&[]), vec![user("a")]),
        ("no text", checks(&[check("a", "patterns", "block", "")]), vec![]),
        ("empty texts", checks(&[check("a", "patterns", "block", "")]), vec![user(""), user(" \n")]),
        (
            "another speaker's",
            checks(&[check("a", "patterns", "block", "")]),
            vec![PassageText { speaker: Speaker::System, text: "a".into(), signed: false, given: false, fresh: 0 }],
        ),
        ("another phase", checks(&[check("a", "patterns", "block", r#""phase":["response"],"#)]), vec![user("a")]),
        ("another key's", checks(&[check("a", "patterns", "block", r#""keys":["alice"],"#)]), vec![user("a")]),
    ];
    for (name, guard, passages) in cases {
        let run = CheckRun::new(guard, &REQUEST, passages, &cache(), NOW);
        assert!(run.is_complete() && run.questions().is_empty() && run.verdicts().is_empty(), "{name}");
        assert_eq!(run.outcome(), Some(CheckOutcome::Pass), "{name}");
    }
}

#[test]
fn questions() {
    let guard = checks(&[
        check("tox", "openai_moderations", "block", ""),
        check("llama", "chat_classifier", "block", r#""model":"m","roles":["system","user"],"#),
        check("local", "patterns", "mask", ""),
    ]);
    let system =
        PassageText { speaker: Speaker::System, text: "be kind".into(), signed: false, given: false, fresh: 0 };
    let tool = PassageText { speaker: Speaker::Tool, text: "42".into(), signed: false, given: false, fresh: 0 };
    let run = CheckRun::new(Rc::clone(&guard), &REQUEST, vec![system, user("hi"), user(" "), tool], &cache(), NOW);
    let questions = run.questions();
    assert_eq!(questions.iter().map(|question| question.id).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(sent(&questions[0])["input"], serde_json::json!(["hi", "42"]));
    assert_eq!(sent(&questions[1])["messages"][0]["content"], "be kind");
    assert_eq!(sent(&questions[2])["messages"][0]["content"], "hi");
    assert_eq!(questions[3].ask, Ask::Patterns(2));
    assert_eq!(run.texts_of(3), ["be kind", "hi", "42"]);
    assert!(run.texts_of(4).is_empty());
    assert_eq!((run.is_complete(), run.outcome()), (false, None));
    let printed = format!("{run:?} {:?} {questions:?}", user("secret text"));
    assert!(!printed.contains("be kind") && !printed.contains("secret"), "{printed}");
}

#[test]
fn outcomes() {
    let one = |action: &str, api: &str, fields: &str| checks(&[check("x", api, action, fields)]);
    let refused =
        |category: &str| CheckOutcome::Refuse(CheckRefusal::Content { check: "x".into(), category: category.into() });
    let failed = |failure| CheckOutcome::Refuse(CheckRefusal::Unavailable { check: "x".into(), failure });
    let toxic = || answer(&[Reading::Clean, flagged("hate")]);
    let email = || answer(&[Reading::Clean, found("EMAIL_ADDRESS", 0..1)]);
    let rewrite = |mode| {
        let finding = Finding { entity: "EMAIL_ADDRESS".into(), span: 0..1, score: 1.0, replacement: None };
        CheckOutcome::Rewrite { passages: vec![vec![], vec![PassageRewrite::new(vec![finding], mode)]], flags: vec![] }
    };
    let flag = |category: &str| CheckOutcome::Flagged(vec![Flag { check: "x".into(), category: category.into() }]);
    let (allow, dry) = (r#""on_failure":"allow","#, r#""dry_run":true,"#);
    let moderations = "openai_moderations";
    let cases = [
        (one("block", moderations, ""), answer(&[Reading::Clean, Reading::Clean]), CheckOutcome::Pass, "pass"),
        (one("block", moderations, ""), toxic(), refused("hate"), "block"),
        (one("block", moderations, dry), toxic(), CheckOutcome::Pass, "would_block"),
        (one("flag", moderations, ""), toxic(), flag("hate"), "flag"),
        (one("flag", moderations, dry), toxic(), CheckOutcome::Pass, "would_flag"),
        (one("block", "presidio", ""), email(), refused("EMAIL_ADDRESS"), "block"),
        (one("flag", "presidio", ""), email(), flag("EMAIL_ADDRESS"), "flag"),
        (one("mask", "presidio", ""), email(), rewrite(RewriteMode::Mask), "mask"),
        (one("mask", "presidio", dry), email(), CheckOutcome::Pass, "would_mask"),
        (one("restore", "patterns", ""), email(), rewrite(RewriteMode::Restore), "restore"),
        (one("restore", "patterns", dry), email(), CheckOutcome::Pass, "would_restore"),
        (one("mask", "presidio", ""), Err(Failure::Timeout), failed(Failure::Timeout), "error_timeout"),
        (one("mask", "presidio", allow), Err(Failure::Timeout), CheckOutcome::Pass, "error_timeout"),
        (one("block", moderations, ""), Err(Failure::Refused), failed(Failure::Refused), "error_refused"),
        (one("block", moderations, ""), Err(Failure::Status(500)), failed(Failure::Status(500)), "error_status"),
        (one("block", moderations, dry), Err(Failure::Status(500)), CheckOutcome::Pass, "error_status"),
        (one("flag", moderations, ""), Err(Failure::Busy), failed(Failure::Busy), "error_busy"),
        (one("flag", moderations, ""), answer(&[Reading::Clean]), failed(Failure::Shape), "error_shape"),
        (one("flag", moderations, ""), answer(&[]), failed(Failure::Shape), "error_shape"),
    ];
    for (guard, answer, want, label) in cases {
        let mut run = run(&guard, &["a", "b"]);
        let mut memory = cache();
        run.answered(0, answer, &mut memory, NOW);
        assert_eq!(run.outcome(), Some(want), "{label}");
        assert_eq!(labels(&run), [format!("x:{label}")]);
        assert!(run.questions().is_empty());
    }
}

#[test]
fn restore_masks_in_answers() {
    let guard = checks(&[check("x", "presidio", "restore", r#""phase":["request","response"],"#)]);
    let passage = PassageText { speaker: Speaker::Assistant, text: "a".into(), signed: false, given: false, fresh: 0 };
    let mut run = CheckRun::new(guard, &RESPONSE, vec![passage], &cache(), NOW);
    run.answered(0, answer(&[found("A", 0..1)]), &mut cache(), NOW);
    let Some(CheckOutcome::Rewrite { passages, .. }) = run.outcome() else { panic!("{:?}", run.outcome()) };
    assert_eq!(passages[0][0].mode(), RewriteMode::Mask);
}

#[test]
fn a_block_ends_early() {
    let guard = checks(&[
        check("slow", "presidio", "mask", ""),
        check("tox", "openai_moderations", "block", ""),
        check("dry", "openai_moderations", "block", r#""dry_run":true,"#),
    ]);
    let mut run = run(&guard, &["a"]);
    let mut memory = cache();
    run.answered(2, answer(&[flagged("a")]), &mut memory, NOW);
    assert!(!run.is_complete(), "what is only counted ends nothing");
    assert_eq!(labels(&run), ["dry:would_block"]);
    run.answered(1, answer(&[flagged("hate")]), &mut memory, NOW);
    let want = Some(CheckOutcome::Refuse(CheckRefusal::Content { check: "tox".into(), category: "hate".into() }));
    assert_eq!((run.is_complete(), run.outcome()), (true, want.clone()));
    assert!(run.questions().is_empty());
    run.answered(0, Err(Failure::Timeout), &mut memory, NOW);
    run.answered(1, answer(&[Reading::Clean]), &mut memory, NOW);
    assert_eq!((run.outcome(), labels(&run)), (want, vec!["tox:block".into(), "dry:would_block".into()]));
}

/// A failure does not end a run, and a block outranks it, whichever came first.
#[test]
fn a_block_outranks_a_failure() {
    let guard = checks(&[check("a", "presidio", "mask", ""), check("b", "openai_moderations", "block", "")]);
    for order in [[0, 1], [1, 0]] {
        let mut run = run(&guard, &["a"]);
        for id in order {
            let answer = if id == 0 { Err(Failure::Timeout) } else { answer(&[flagged("hate")]) };
            run.answered(id, answer, &mut cache(), NOW);
        }
        assert!(matches!(run.outcome(), Some(CheckOutcome::Refuse(CheckRefusal::Content { .. }))), "{order:?}");
    }
}

#[test]
fn repeated_and_unknown_answers() {
    let guard = checks(&[check("a", "presidio", "flag", ""), check("b", "openai_moderations", "flag", "")]);
    let mut run = run(&guard, &["a"]);
    let mut memory = cache();
    run.answered(7, Err(Failure::Timeout), &mut memory, NOW);
    run.answered(0, answer(&[found("A", 0..1)]), &mut memory, NOW);
    run.answered(0, Err(Failure::Timeout), &mut memory, NOW);
    assert!(!run.is_complete());
    assert_eq!(run.questions().iter().map(|question| question.id).collect::<Vec<_>>(), [1]);
    run.answered(1, answer(&[Reading::Clean]), &mut memory, NOW);
    assert_eq!(labels(&run), ["a:flag", "b:pass"]);
    assert_eq!(run.read(7, 200, b"[[]]"), Err(Failure::Shape));
    assert_eq!(run.read(0, 200, b"[[]]").map(Readings::into_readings), Ok(vec![Reading::Clean]));
}

#[test]
fn too_much() {
    let guard = checks(&[
        check("tox", "openai_moderations", "block", ""),
        check("local", "patterns", "block", ""),
        check("llama", "chat_classifier", "block", r#""model":"m","on_failure":"allow","#),
    ]);
    let texts = ["x".repeat(512), "y".repeat(512), "z".into()];
    let mut large = run(&guard, &[&texts[0], &texts[1], &texts[2]]);
    assert_eq!(large.questions().iter().map(|question| &question.ask).collect::<Vec<_>>(), [&Ask::Patterns(1)]);
    large.answered(0, answer(&[Reading::Clean, Reading::Clean, Reading::Clean]), &mut cache(), NOW);
    let want = CheckRefusal::Unavailable { check: "tox".into(), failure: Failure::TooLarge };
    assert_eq!(large.outcome(), Some(CheckOutcome::Refuse(want)));
    assert_eq!(labels(&large), ["tox:error_too_large", "local:pass", "llama:error_too_large"]);
    assert_eq!(run(&guard, &[&texts[0], &texts[1]]).questions().len(), 4, "as much as there may be");
    for (count, want) in [(64, 66), (65, 2)] {
        let texts: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(run(&guard, &texts).questions().len(), want, "{count} texts for a service that reads one at a time");
    }
}

#[test]
fn cached_results_are_not_asked_again() {
    let guard = checks(&[check("a", "presidio", "mask", ""), check("b", "openai_moderations", "block", "")]);
    let mut memory = cache();
    let mut first = run(&guard, &["one", "two"]);
    first.answered(0, answer(&[found("A", 0..3), Reading::Clean]), &mut memory, NOW);
    first.answered(1, answer(&[Reading::Clean, Reading::Clean]), &mut memory, NOW);
    assert_eq!(memory.len(), 4);
    let texts = || ["two", "three", "one"].map(user).to_vec();
    let mut second = CheckRun::new(Rc::clone(&guard), &REQUEST, texts(), &memory, NOW);
    let questions = second.questions();
    assert_eq!(sent(&questions[0])["text"], serde_json::json!(["three"]));
    assert_eq!(sent(&questions[1])["input"], serde_json::json!(["three"]));
    second.answered(0, answer(&[found("B", 1..2)]), &mut memory, NOW);
    second.answered(1, Err(Failure::Timeout), &mut memory, NOW);
    assert_eq!(memory.len(), 5, "a failure is not remembered");
    let mut third = CheckRun::new(Rc::clone(&guard), &REQUEST, texts(), &memory, NOW);
    third.answered(0, answer(&[Reading::Clean]), &mut memory, NOW);
    let Some(CheckOutcome::Rewrite { passages, .. }) = third.outcome() else { panic!("{:?}", third.outcome()) };
    let entities: Vec<Vec<&str>> =
        passages.iter().map(|rewrite| rewrite.iter().map(|rewrite| &*rewrite.findings()[0].entity).collect()).collect();
    assert_eq!(entities, [vec![], vec!["B"], vec!["A"]]);
    let later = CheckRun::new(Rc::clone(&guard), &REQUEST, texts(), &memory, NOW + Duration::from_secs(60));
    assert_eq!(sent(&later.questions()[0])["text"], serde_json::json!(["two", "three", "one"]));
    let mut all = cache();
    for text in ["two", "three", "one"] {
        all.insert(0, text, &Reading::Clean, NOW);
        all.insert(1, text, &flagged("hate"), NOW);
    }
    let cache = CheckRun::new(guard, &REQUEST, texts(), &all, NOW);
    assert!(cache.questions().is_empty());
    assert_eq!(labels(&cache), ["a:pass", "b:block"]);
}

#[test]
fn each_check_ends_at_its_own_time() {
    let named = |name: &str| check(name, "openai_moderations", "flag", "");
    let guard = checks(&[named("late"), named("early"), named("known")]);
    let mut memory = cache();
    memory.insert(2, "hi", &Reading::Clean, NOW);
    let mut run = CheckRun::new(guard, &REQUEST, vec![user("hi")], &memory, NOW);
    let later = |milliseconds| NOW + Duration::from_millis(milliseconds);
    run.answered(1, answer(&[Reading::Clean]), &mut memory, later(10));
    run.answered(0, Err(Failure::Timeout), &mut memory, later(200));
    let ends: Vec<_> = run.verdicts().into_iter().map(|(check, _, ended)| (check.name.clone(), ended)).collect();
    assert_eq!(ends, [("late".into(), Some(later(200))), ("early".into(), Some(later(10))), ("known".into(), None)]);
}

#[test]
fn refusals() {
    let content = CheckRefusal::Content { check: "tox".into(), category: "hate".into() };
    let failed = |failure| CheckRefusal::Unavailable { check: "tox".into(), failure };
    let unavailable = "The check `tox` could not be made; try again later.";
    let large = "The request has more text than the check `tox` takes; shorten it.";
    let (request, response) = (CheckPhase::Request, CheckPhase::Response);
    let cases = [
        (&content, request, 400, "content_filter", "The request was blocked by the check `tox`: hate."),
        (&content, response, 400, "content_filter", "The response was blocked by the check `tox`: hate."),
        (&failed(Failure::Timeout), request, 503, "guard_unavailable", unavailable),
        (&failed(Failure::Status(500)), response, 503, "guard_unavailable", unavailable),
        (&failed(Failure::TooLarge), request, 413, "guard_text_too_large", large),
        (&failed(Failure::TooLarge), response, 503, "guard_unavailable", unavailable),
    ];
    for (refusal, phase, status, code, message) in cases {
        let error = refusal.error(phase, Some("messages"));
        assert_eq!((error.status, error.code, error.message.as_str()), (status, code, message));
        assert_eq!(error.param, (status != 503).then_some("messages"), "{message}");
        assert_eq!(error.retry_after, None);
    }
    let busy = failed(Failure::Busy).error(request, None);
    assert_eq!(busy.retry_after, Some(Duration::from_secs(1)));
    let body = content.error(request, Some("messages")).body(Shape::OpenAi);
    let want = r#"{"error":{"message":"The request was blocked by the check `tox`: hate.","type":"invalid_request_error","param":"messages","code":"content_filter"}}"#;
    assert_eq!(body, want);
    assert_eq!(Flag { check: "tox".into(), category: "self-harm/intent".into() }.to_string(), "tox:self-harm/intent");
}

/// A service's result for two texts, if it answers.
fn answers() -> impl Strategy<Value = Result<Vec<Reading>, Failure>> {
    let reading = || prop_oneof![3 => Just(Reading::Clean), 1 => Just(flagged("a")), 1 => Just(found("B", 0..1)),];
    let failure = prop::sample::select(vec![Failure::Timeout, Failure::Refused, Failure::Status(500), Failure::Shape]);
    prop_oneof![
        4 => (reading(), reading()).prop_map(|(a, b)| Ok(vec![a, b])),
        1 => failure.prop_map(Err),
    ]
}

/// What a service for masking finds has a place.
fn placed(answer: &Result<Vec<Reading>, Failure>) -> Result<Vec<Reading>, Failure> {
    let place = |reading: &Reading| if *reading == flagged("a") { found("A", 1..2) } else { reading.clone() };
    answer.as_ref().map(|readings| readings.iter().map(place).collect()).map_err(|failure| *failure)
}

proptest! {
    /// Answers come in any order. The order only decides which of several blocking checks is reported.
    #[test]
    fn the_order_does_not_matter(
        answers in prop::collection::vec(answers(), 7),
        order in Just((0..7).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        // the chat classifier is called twice, and only the first reading of each answer counts
        let guard = checks(&[
            check("mask", "presidio", "mask", r#""on_failure":"allow","#),
            check("block", "openai_moderations", "block", ""),
            check("flag", "openai_moderations", "flag", ""),
            check("restore", "patterns", "restore", ""),
            check("llama", "chat_classifier", "flag", r#""model":"m","#),
            check("dry", "openai_moderations", "block", r#""dry_run":true,"#),
        ]);
        let run = |order: &[usize]| {
            let mut run = run(&guard, &["one", "two"]);
            for id in order {
                let texts = run.texts_of(*id).len();
                let answer = if [0, 3].contains(id) { placed(&answers[*id]) } else { answers[*id].clone() };
                let answer = answer.map(|readings| Readings::new(readings[..texts].to_vec()));
                prop_assert_eq!(run.outcome().is_some(), run.is_complete());
                run.answered(*id, answer, &mut cache(), NOW);
            }
            prop_assert!(run.is_complete());
            Ok((run.outcome(), labels(&run)))
        };
        let (straight, straight_labels) = run(&[0, 1, 2, 3, 4, 5, 6])?;
        let (shuffled, shuffled_labels) = run(&order)?;
        let blocked = matches!(straight, Some(CheckOutcome::Refuse(CheckRefusal::Content { .. })));
        prop_assert_eq!(straight, shuffled);
        prop_assert!(blocked || straight_labels == shuffled_labels);
        let blocks = answers[1].as_ref().is_ok_and(|readings| readings.iter().any(|reading| *reading != Reading::Clean));
        prop_assert_eq!(blocked, blocks);
    }

    /// If every check has `deny`, nothing passes without all answers.
    #[test]
    fn nothing_passes_unchecked(answers in prop::collection::vec(answers(), 2)) {
        let guard = checks(&[check("a", "presidio", "mask", ""), check("b", "openai_moderations", "flag", "")]);
        let mut run = run(&guard, &["one", "two"]);
        prop_assert_eq!(run.outcome(), None);
        for (id, answer) in answers.iter().enumerate() {
            let answer = if id == 0 { placed(answer) } else { answer.clone() };
            run.answered(id, answer.map(Readings::new), &mut cache(), NOW);
        }
        let refused = matches!(run.outcome(), Some(CheckOutcome::Refuse(CheckRefusal::Unavailable { .. })));
        prop_assert_eq!(refused, answers.iter().any(Result::is_err));
    }
}
