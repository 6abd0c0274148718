//! Signed content of models: checked, but never rewritten.

use std::rc::Rc;
use std::time::Duration;

use sluice::endpoint::Endpoint;
use sluice::guard::api::{Reading, Readings};
use sluice::guard::checks::{
    CacheLimits, CheckOutcome, CheckPhase, CheckRefusal, CheckRun, CheckSubject, Guard, PassageRewrite, PassageText,
    ResultCache, RewriteMode,
};
use sluice::guard::pii::{Entity, Patterns, Vault};
use sluice::guard::rewriting::{rewrite_answer, rewrite_request, Restoring};
use sluice::guard::stream::{Limits, Mode, StreamGuard};
use sluice::guard::texts::{answer_passages, passages, PassageKind};
use sluice::usage::Framing;

use super::{guard, one};

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn all() -> Patterns {
    Patterns::new(Entity::ALL, &[]).unwrap()
}

/// The result of one pattern check for a body, and its verdict.
fn checked(guard: Guard, phase: CheckPhase, body: &str) -> (CheckOutcome, &'static str) {
    let read = if phase == CheckPhase::Request { passages } else { answer_passages };
    let texts: Vec<PassageText> = read(body.as_bytes()).unwrap().iter().map(PassageText::of).collect();
    let cache = || ResultCache::new(CacheLimits::default());
    let subject = CheckSubject { phase, model: "m", key: "k" };
    let mut run = CheckRun::new(Rc::new(guard), &subject, texts, &cache(), NOW);
    for question in run.questions() {
        let readings = run.texts_of(question.id).into_iter().map(|text| Reading::of(all().find(text))).collect();
        run.answered(question.id, Ok(Readings::new(readings)), &mut cache(), NOW);
    }
    let verdict = run.verdicts().first().map_or("none", |(check, verdict, _)| verdict.label(check.dry_run));
    (run.outcome().unwrap(), verdict)
}

/// Signed content with an address, in requests.
const SIGNED: &[&str] = &[
    r#"{"type":"thinking","thinking":"Write to jo@example.com","signature":"c2ln"}"#,
    r#"{"type":"thinking","thinking":"Write to jo@example.com"}"#,
    r#"{"thinking":"Write to jo@example.com","signature":"c2ln","type":"thinking"}"#,
    r#"{"type":"reasoning.text","text":"Write to jo@example.com","signature":"c2ln"}"#,
    r#"{"type":"text","text":"Write to jo@example.com","signature":"c2ln"}"#,
];
/// Unsigned content.
const OPEN: &[&str] = &[
    r#"{"type":"text","text":"Write to jo@example.com","signature":""}"#,
    r#"{"type":"text","text":"Write to jo@example.com","signature":null}"#,
    r#"{"text":"Write to jo@example.com","thoughtSignature":"c2ln"}"#,
    r#"{"functionCall":{"name":"f","args":{"to":"jo@example.com"}},"thought_signature":"c2ln"}"#,
    r#"{"type":"tool_use","id":"1","name":"f","input":{"to":"jo@example.com","signature":"c2ln"}}"#,
    r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"jo@example.com"}],"encrypted_content":"jo@example.org"}"#,
];

fn message(block: &str) -> String {
    format!(r#"{{"messages":[{{"role":"assistant","content":[{block}]}}]}}"#)
}

fn rewrite(text: &str, mode: RewriteMode) -> Vec<PassageRewrite> {
    vec![PassageRewrite::new(all().find(text), mode)]
}

#[test]
fn signed_content_is_not_rewritten() {
    for (blocks, signed) in [(SIGNED, true), (OPEN, false)] {
        for block in blocks {
            let body = message(block);
            let found = passages(body.as_bytes()).unwrap();
            assert!(
                !found.is_empty() && found.iter().all(|passage| (passage.kind == PassageKind::Signed) == signed),
                "{block}"
            );
            let rewrites: Vec<_> = found.iter().map(|passage| rewrite(&passage.text, RewriteMode::Restore)).collect();
            let rewritten = rewrite_request(body.as_bytes(), &found, &rewrites, &mut Vault::default()).unwrap();
            let want = if signed { body.clone() } else { body.replace("jo@example.com", "<EMAIL_ADDRESS_1>") };
            assert_eq!(String::from_utf8(rewritten).unwrap(), want);
        }
    }
}

#[test]
fn verdicts_in_requests() {
    let signed = message(SIGNED[0]);
    let both = message(&format!(r#"{},{{"type":"text","text":"jo@example.com"}}"#, SIGNED[0]));
    let other = message(&format!(r#"{},{{"type":"text","text":"me@example.com"}}"#, SIGNED[0]));
    let own = message(r#"{"type":"thinking","thinking":"Write to <EMAIL_ADDRESS_1>","signature":"c2ln"}"#);
    let cases: &[(&str, &str, &str)] = &[
        (r#""action":"mask""#, &signed, "unrewritable_block"),
        (r#""action":"mask""#, &both, "unrewritable_block"),
        (r#""action":"mask""#, &own, "pass"),
        (r#""action":"restore""#, &signed, "unrewritable_block"),
        (r#""action":"restore""#, &both, "restore"),
        (r#""action":"restore""#, &other, "unrewritable_block"),
        (r#""action":"restore""#, &own, "pass"),
        (r#""action":"mask","unrewritable":"allow""#, &signed, "unrewritable_allow"),
        (r#""action":"mask","unrewritable":"allow""#, &both, "mask"),
        (r#""action":"restore","unrewritable":"block""#, &both, "unrewritable_block"),
        (r#""action":"mask","dry_run":true"#, &signed, "would_unrewritable_block"),
        (r#""action":"flag""#, &own, "none"),
        (r#""action":"block","roles":["assistant"]"#, &signed, "block"),
    ];
    for (fields, body, want) in cases {
        let (outcome, verdict) = checked(one(&format!(r#""api":"patterns",{fields}"#)), CheckPhase::Request, body);
        assert_eq!(verdict, *want, "{fields} {body}");
        let refused = matches!(outcome, CheckOutcome::Refuse(_));
        assert_eq!(refused, matches!(*want, "unrewritable_block" | "block"), "{fields} {body}");
        if let CheckOutcome::Refuse(CheckRefusal::Content { category, .. }) = outcome {
            let want = if *want == "block" { "EMAIL_ADDRESS" } else { "EMAIL_ADDRESS in signed content" };
            assert_eq!(category, want);
        }
    }
}

#[test]
fn verdicts_in_answers() {
    let guard =
        guard(r#"{"checks":[{"name":"x","api":"patterns","action":"restore","phase":["request","response"]}]}"#);
    let body = format!(
        r#"{{"type":"message","content":[{},{{"type":"text","text":"<EMAIL_ADDRESS_1>"}}]}}"#,
        SIGNED[0].replace("Write", "Write <EMAIL_ADDRESS_1>")
    );
    let (outcome, verdict) = checked(guard, CheckPhase::Response, &body);
    assert_eq!((outcome, verdict), (CheckOutcome::Pass, "unrewritable_allow"));
    let mut vault = Vault::default();
    vault.hide("me@example.com", &all().find("me@example.com")).unwrap();
    let found = answer_passages(body.as_bytes()).unwrap();
    let rewrites: Vec<_> = found.iter().map(|passage| rewrite(&passage.text, RewriteMode::Mask)).collect();
    let shown = String::from_utf8(rewrite_answer(body.as_bytes(), &found, &rewrites, &vault)).unwrap();
    assert_eq!(shown, body.replace(r#""text":"<EMAIL_ADDRESS_1>""#, r#""text":"me@example.com""#));
}

/// A later turn: reasoning has placeholders, text has the values. The numbers stay the same.
#[test]
fn placeholders_in_thinking_are_not_reserved() {
    let body = r#"{"messages":[{"role":"user","content":"I am jo@example.com"},{"role":"assistant","content":[
        {"type":"thinking","thinking":"It is <EMAIL_ADDRESS_1>","signature":"c2ln"},{"type":"text","text":"Hi jo@example.com"}]}]}"#;
    let found = passages(body.as_bytes()).unwrap();
    let rewrites: Vec<_> = found.iter().map(|passage| rewrite(&passage.text, RewriteMode::Restore)).collect();
    let rewritten = rewrite_request(body.as_bytes(), &found, &rewrites, &mut Vault::default()).unwrap();
    assert_eq!(String::from_utf8(rewritten).unwrap(), body.replace("jo@example.com", "<EMAIL_ADDRESS_1>"));
}

/// Anthropic's stream, at every split: reasoning and its signature pass unchanged, text is masked and restored.
#[test]
fn streams() {
    let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\",{rest}}}\n\n");
    let delta =
        |index: u32, rest: &str| event("content_block_delta", &format!(r#""index":{index},"delta":{{{rest}}}"#));
    let thinking = [
        event("content_block_start", r#""index":0,"content_block":{"type":"thinking","thinking":"","signature":""}"#),
        delta(0, r#""type":"thinking_delta","thinking":"Write to <EMAIL_""#),
        delta(0, r#""type":"thinking_delta","thinking":"ADDRESS_1> or 4111 1111 1111 1111.""#),
        delta(0, r#""type":"signature_delta","signature":"<EMAIL_ADDRESS_1>""#),
        event("content_block_stop", r#""index":0"#),
        event(
            "content_block_start",
            r#""index":1,"content_block":{"type":"redacted_thinking","data":"<EMAIL_ADDRESS_1>"}"#,
        ),
        event("content_block_stop", r#""index":1"#),
    ];
    let text = delta(2, r#""type":"text_delta","text":"To <EMAIL_ADDRESS_1> 4111 1111 1111 1111.""#);
    let stop = event("message_stop", r#""x":1"#);
    let all_of_it = [thinking.concat(), text.clone(), stop.clone()].concat();
    let want = [
        thinking.concat(),
        text.replace("<EMAIL_ADDRESS_1>", "jo@example.com").replace("4111 1111 1111 1111", "<CREDIT_CARD>"),
        stop,
    ]
    .concat();
    let mut vault = Vault::default();
    vault.hide("jo@example.com", &all().find("jo@example.com")).unwrap();
    for size in [1, 7, 100, usize::MAX] {
        let limits = Limits { window: 10, ..Limits::default() };
        let guard = StreamGuard::new(Endpoint::Messages, Framing::Sse, Mode::Window, limits);
        let mut guard = guard.with_rewrite(Box::new(Restoring::new(vault.clone())));
        let mut out = Vec::new();
        let chunks: Vec<&[u8]> = all_of_it.as_bytes().chunks(size.min(all_of_it.len())).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            out.extend(guard.chunk(chunk, index + 1 == chunks.len(), NOW));
            while let Some(window) = guard.ready() {
                let card = window.text.find("4111").map(|at| (at..at + 19, "<CREDIT_CARD>".to_owned()));
                out.extend(guard.release(window.id, &card.into_iter().collect::<Vec<_>>()));
            }
        }
        assert_eq!(String::from_utf8(out).unwrap(), want, "{size}");
    }
}
