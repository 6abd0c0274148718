//! Texts rewritten for several checks.

use proptest::prelude::*;
use sluice::guard::checks::{PassageRewrite, RewriteMode};
use sluice::guard::pii::{mask, merge, Vault};
use sluice::guard::rewriting::{replacements, rewrite_answer, rewrite_request};
use sluice::guard::texts::{answer_passages, passages, PassageKind};
use sluice::guard::Finding;

fn rewrite(span: std::ops::Range<usize>, mode: RewriteMode) -> PassageRewrite {
    PassageRewrite::new(vec![Finding { entity: "X".into(), span, score: 1.0, replacement: None }], mode)
}

#[test]
fn masked_values_are_not_restored() {
    let text = "abcdefghij";
    let rewrites =
        [rewrite(0..2, RewriteMode::Restore), rewrite(4..8, RewriteMode::Restore), rewrite(6..9, RewriteMode::Mask)];
    let body = format!(r#"{{"input":"{text}"}}"#);
    let rewritten = rewrite_request(
        body.as_bytes(),
        &passages(body.as_bytes()).unwrap(),
        &[rewrites.into()],
        &mut Vault::default(),
    );
    assert_eq!(String::from_utf8(rewritten.unwrap()).unwrap(), r#"{"input":"<X_1>cd<X>ij"}"#);
}

/// The rewritten request, and its vault.
fn hidden(body: &str, mode: RewriteMode) -> (String, Vault) {
    let found = passages(body.as_bytes()).unwrap();
    let rewrites: Vec<Vec<PassageRewrite>> = found.iter().map(|passage| rewrites(&passage.text, mode)).collect();
    let mut vault = Vault::default();
    let rewritten = rewrite_request(body.as_bytes(), &found, &rewrites, &mut vault).unwrap();
    (String::from_utf8(rewritten).unwrap(), vault)
}

fn rewrites(text: &str, mode: RewriteMode) -> Vec<PassageRewrite> {
    let all = sluice::guard::pii::Patterns::new(sluice::guard::pii::Entity::ALL, &[]).unwrap();
    vec![PassageRewrite::new(all.find(text), mode)]
}

#[test]
fn many_findings_are_rewritten_like_a_single_text() {
    let one = |number: usize| format!("a{}@b.co \"4111 1111 1111 1111\" ü 192.0.2.{}\n", number % 700, number % 256);
    let text: String = (0..5_000).map(one).collect();
    let body = serde_json::json!({"input": text}).to_string();
    let findings = rewrites(&text, RewriteMode::Mask)[0].findings().to_vec();
    assert_eq!(findings.len(), 15_000);
    let said = |body: &str| passages(body.as_bytes()).unwrap()[0].text.clone();
    assert_eq!(said(&hidden(&body, RewriteMode::Mask).0), mask(&text, &findings));
    let (rewritten, vault) = hidden(&body, RewriteMode::Restore);
    assert_eq!(said(&rewritten), Vault::default().hide(&text, &findings).unwrap());
    assert_eq!(vault.restore(&said(&rewritten)), text);
}

/// As texts of requests: values must be hidden in nested JSON as its reader sees it, and JSON must stay valid.
const WITHIN: &[(&str, &str)] = &[
    (
        r#"{"body":"Hello,\nmario@example.com\n123-45-6789\n4111 1111 1111 1111"}"#,
        r#"{"body":"Hello,\n<EMAIL_ADDRESS_1>\n<US_SSN_1>\n<CREDIT_CARD_1>"}"#,
    ),
    (r#"{"note":"Data:\n123-45-6789"}"#, r#"{"note":"Data:\n<US_SSN_1>"}"#),
    (r#"{"a":"{\"b\":\"x\\nmario@example.com\"}"}"#, r#"{"a":"{\"b\":\"x\\n<EMAIL_ADDRESS_1>\"}"}"#),
    (r#"{"a":"mario\u0040example.com"}"#, r#"{"a":"<EMAIL_ADDRESS_1>"}"#),
    (r#"{"a":"{\"b\":\"mario\\u0040example.com\"}"}"#, r#"{"a":"{\"b\":\"<EMAIL_ADDRESS_1>\"}"}"#),
    (r#"{"card":4111111111111111,"n":1}"#, r#"{"card":"<CREDIT_CARD_1>","n":1}"#),
    (r#"{"a":"{\"card\":4111111111111111}"}"#, r#"{"a":"{\"card\":\"<CREDIT_CARD_1>\"}"}"#),
    (r#"{"mario@example.com":"x"}"#, r#"{"<EMAIL_ADDRESS_1>":"x"}"#),
    (r#""Hello,\nmario@example.com""#, r#""Hello,\n<EMAIL_ADDRESS_1>""#),
    ("See:\n```json\n{\"a\":\"x\\nmario@example.com\"}\n```", "See:\n```json\n{\"a\":\"x\\n<EMAIL_ADDRESS_1>\"}\n```"),
    ("[Note] mario@example.com", "[Note] <EMAIL_ADDRESS_1>"),
];

#[test]
fn texts_within_texts() {
    for (text, want) in WITHIN {
        let quoted = serde_json::to_string(text).unwrap();
        for body in [
            format!(r#"{{"messages":[{{"role":"user","content":{quoted}}}]}}"#),
            format!(
                r#"{{"messages":[{{"role":"assistant","tool_calls":[{{"function":{{"name":"f","arguments":{quoted}}}}}]}}]}}"#
            ),
            format!(r#"{{"input":[{{"type":"function_call_output","output":{quoted}}}]}}"#),
            format!(r#"{{"messages":[{{"role":"user","content":[{{"type":"tool_result","content":{quoted}}}]}}]}}"#),
        ] {
            let (hidden, vault) = hidden(&body, RewriteMode::Restore);
            assert_eq!(passages(hidden.as_bytes()).unwrap()[0].source(), *want, "{body}");
            assert!(!hidden.contains("mario") && !hidden.contains("4111"), "{hidden}");
            let answer = format!(
                r#"{{"choices":[{{"message":{{"content":{0},"tool_calls":[{{"function":{{"arguments":{0}}}}}]}}}}]}}"#,
                serde_json::to_string(want).unwrap()
            );
            let found = answer_passages(answer.as_bytes()).unwrap();
            let restored = rewrite_answer(answer.as_bytes(), &found, &[], &vault);
            for passage in answer_passages(&restored).unwrap() {
                if serde_json::from_str::<serde_json::Value>(text).is_ok() {
                    serde_json::from_str::<serde_json::Value>(passage.source()).unwrap();
                }
                assert_eq!(vault.restore(want), passage.source());
            }
        }
    }
}

/// Values with escapes get as many escapes as the strings around them need.
#[test]
fn restored_within_texts() {
    let value = "say \"é\"\\\n";
    let mut vault = Vault::default();
    let finding = Finding { entity: "A".into(), span: 0..value.len(), score: 1.0, replacement: None };
    vault.hide(value, &[finding]).unwrap();
    let json = |value: &str| serde_json::json!({"a": value}).to_string();
    for (wrote, want) in [
        ("x <A_1>".to_owned(), format!("x {value}")),
        (json("<A_1>"), json(value)),
        (json(&json("<A_1>")), json(&json(value))),
        (json(&json(&json("<A_1>"))), json(&json(&json(value)))),
        (r#"{"a":"\u003cA_1\u003E"}"#.into(), json(value)),
        (json(r#"{"a":"\u003cA_1\u003e"}"#), json(&json(value))),
    ] {
        assert_eq!(vault.restore(&wrote), want, "{wrote}");
        for size in 1..wrote.len() {
            let mut restorer = vault.restorer();
            let characters: Vec<char> = wrote.chars().collect();
            let pieces = characters.chunks(size).map(|piece| restorer.push(&piece.iter().collect::<String>()));
            let out = pieces.collect::<String>();
            assert_eq!(out + &restorer.finish(), want, "{wrote} in pieces of {size}");
        }
    }
}

/// Clients choose the number of findings.
#[test]
fn many_rewrites_take_no_longer_each() {
    let text = "a@b.cc ".repeat(100_000);
    for mode in [RewriteMode::Mask, RewriteMode::Restore] {
        let found = (0..100_000).map(|at| Finding {
            entity: "X".into(),
            span: at * 7..at * 7 + 6,
            score: 1.0,
            replacement: None,
        });
        let rewrites = [PassageRewrite::new(found.collect(), mode)];
        assert_eq!(replacements(&text, PassageKind::Plain, &rewrites, &mut Vault::default()).unwrap().len(), 100_000);
    }
}

proptest! {
    #[test]
    fn a_mask_outranks_whatever_it_overlaps(
        rewrites in prop::collection::vec((0..40_usize, 1..8_usize, any::<bool>()), 0..20),
    ) {
        let mode = |masks: bool| if masks { RewriteMode::Mask } else { RewriteMode::Restore };
        let rewrites: Vec<PassageRewrite> =
            rewrites.into_iter().map(|(start, length, masks)| rewrite(start..start + length, mode(masks))).collect();
        let text = "x".repeat(48);
        let findings: Vec<Finding> = rewrites.iter().flat_map(|rewrite| rewrite.findings().to_vec()).collect();
        let want: Vec<_> = merge(findings, Vec::new())
            .into_iter()
            .map(|found| {
                let overlaps = |other: &&PassageRewrite| {
                    let span = &other.findings()[0].span;
                    span.start < found.span.end && found.span.start < span.end
                };
                let masks = rewrites.iter().filter(overlaps).any(|other| other.mode() == RewriteMode::Mask);
                (found.span, masks)
            })
            .collect();
        let got = replacements(&text, PassageKind::Plain, &rewrites, &mut Vault::default()).unwrap();
        let got: Vec<_> = got.into_iter().map(|(span, written)| (span, written == "<X>")).collect();
        prop_assert_eq!(got, want);
    }
}
