//! Bodies rewritten in slices: the same result as in one step, and each slice is a small part of the work.

use std::sync::OnceLock;

use proptest::prelude::*;
use sluice::guard::checks::{PassageRewrite, RewriteMode};
use sluice::guard::pii::{Entity, Patterns, Vault, VaultError, MAX_VALUES};
use sluice::guard::rewriting::{rewrite_answer, rewrite_request, BodyRewriting};
use sluice::guard::texts::{answer_passages, passages, Extracted, Extraction};
use sluice::guard::Finding;

fn patterns() -> &'static Patterns {
    static PATTERNS: OnceLock<Patterns> = OnceLock::new();
    PATTERNS.get_or_init(|| Patterns::new(Entity::ALL, &[]).unwrap())
}

/// A body's texts, in one step.
fn extracted(body: &[u8], mut extraction: Extraction) -> Extracted {
    while !extraction.step(body, usize::MAX).unwrap() {}
    extraction.finish()
}

/// Rewrites to the end; returns the number of steps.
fn run(rewriting: &mut BodyRewriting, vault: &mut Vault, size: usize) -> Result<usize, VaultError> {
    let mut steps = 1;
    while !rewriting.step(vault, size)? {
        steps += 1;
    }
    Ok(steps)
}

/// Contents of requests and answers: prose, JSON in strings, escapes cut at any place, numbers, placeholders.
const TEXTS: &[&str] = &[
    "Write to jo@example.com or to zoë@example.com, 4111 1111 1111 1111.",
    r#"{"a": "jo@example.com\n4111 1111 1111 1111", "n": 4111111111111111, "b": "{\"c\": \"x\\njo@example.com\\u0021\"}"}"#,
    "[4111111111111111, 4111111111111111]",
    r#"{"a":"\u006a\u006f@example.com","b":"\ud83d\ude00 jo@example.com","c":["jo@example.com"]}"#,
    "\"jo@example.com\" \\ü\n\t<EMAIL_ADDRESS_1> &lt;EMAIL_ADDRESS_2 %3CCREDIT_CARD_1%3E EMAIL\\_ADDRESS\\_1",
    r#"{"x": "<EMAIL_ADDRESS_1>", "y": "\u003cEMAIL_ADDRESS_1\u003e", "z": "{\"q\": \"EMAIL_ADDRESS_1\"}"}"#,
    "EMAIL_ADDRESS_3, EMAIL_ADDRESS",
    "",
    "日本語 jo@example.com 日本語",
];

fn request(texts: &[&str]) -> String {
    let roles = ["user", "system", "assistant", "tool"];
    let messages: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| serde_json::json!({"role": roles[at % 4], "content": text, "name": "EMAIL_ADDRESS_1"}))
        .collect();
    serde_json::json!({"model": "m", "messages": messages, "logprobs": {"content": []}}).to_string()
}

fn answer(texts: &[&str]) -> String {
    let call = |text: &str| serde_json::json!({"function": {"name": "to_EMAIL_ADDRESS_1", "arguments": text}});
    let choices: Vec<_> = texts
        .iter()
        .map(|text| serde_json::json!({"message": {"content": text, "tool_calls": [call(text)]}, "logprobs": {"content": [1]}}))
        .collect();
    serde_json::json!({"choices": choices}).to_string()
}

/// Each check's findings; the first check has the patterns' findings.
fn rewrites(text: &str, checks: &[(usize, usize, bool)]) -> Vec<PassageRewrite> {
    let mode = |masks: bool| if masks { RewriteMode::Mask } else { RewriteMode::Restore };
    let own = checks.first().map_or(RewriteMode::Restore, |(_, _, masks)| mode(*masks));
    let mut all = vec![PassageRewrite::new(patterns().find(text), own)];
    for (start, length, masks) in checks.iter().skip(1) {
        let spans = (0..4).map(|nth| (start + nth * 9..start + nth * 9 + length, 1.0 / (1.0 + nth as f32)));
        let findings = spans.map(|(span, score)| Finding { entity: "X".into(), span, score, replacement: None });
        all.push(PassageRewrite::new(findings.collect(), mode(*masks)));
    }
    all
}

fn vault() -> Vault {
    let text = "jo@example.com a\"b@example.com 4111 1111 1111 1111";
    let mut vault = Vault::default();
    vault.hide(text, &patterns().find(text)).unwrap();
    vault
}

/// Rewrites a request in one step, and in slices of these sizes.
fn check_request(texts: &[&str], checks: &[(usize, usize, bool)], sizes: impl Iterator<Item = usize>) {
    let body = request(texts);
    let found = passages(body.as_bytes()).unwrap();
    let rewrites: Vec<_> = found.iter().map(|passage| rewrites(&passage.text, checks)).collect();
    let mut known = Vault::default();
    let want = rewrite_request(body.as_bytes(), &found, &rewrites, &mut known).unwrap();
    let texts = extracted(body.as_bytes(), Extraction::of_request());
    for size in sizes {
        let mut rewriting = BodyRewriting::of_request(body.clone().into_bytes(), texts.clone(), rewrites.clone());
        let mut vault = Vault::default();
        run(&mut rewriting, &mut vault, size).unwrap();
        assert!(rewriting.finish() == want, "in slices of {size}: {body}");
        assert_eq!(vault.len(), known.len());
        assert_eq!(vault.restore("<EMAIL_ADDRESS_1> <X_2>"), known.restore("<EMAIL_ADDRESS_1> <X_2>"));
    }
}

/// The same for an answer.
fn check_answer(texts: &[&str], checks: &[(usize, usize, bool)], restores: bool, sizes: impl Iterator<Item = usize>) {
    let body = answer(texts);
    let found = answer_passages(body.as_bytes()).unwrap();
    let rewrites: Vec<_> = match checks.is_empty() {
        true => Vec::new(),
        false => found.iter().map(|passage| rewrites(&passage.text, checks)).collect(),
    };
    let mut vault = if restores { vault() } else { Vault::default() };
    let want = rewrite_answer(body.as_bytes(), &found, &rewrites, &vault);
    let texts = extracted(body.as_bytes(), Extraction::of_answer());
    for size in sizes {
        let mut rewriting = BodyRewriting::of_answer(body.clone().into_bytes(), texts.clone(), rewrites.clone());
        run(&mut rewriting, &mut vault, size).unwrap();
        assert!(rewriting.finish() == want, "in slices of {size}: {body}");
    }
}

#[test]
fn slices_of_every_size_give_the_same_result() {
    let sizes = || (1..200).chain([1000, 100_000]);
    for masks in [false, true] {
        check_request(TEXTS, &[(0, 1, masks)], sizes());
        check_request(TEXTS, &[(0, 1, masks), (0, 25, !masks), (3, 7, masks)], sizes());
        check_answer(TEXTS, &[], true, sizes());
        check_answer(TEXTS, &[(0, 1, true), (0, 25, true)], masks, sizes());
    }
}

proptest! {
    #[test]
    fn a_request_in_slices_gives_the_same_result(
        texts in prop::collection::vec(prop::sample::select(TEXTS), 0..5),
        checks in prop::collection::vec((0..40_usize, 1..30_usize, any::<bool>()), 0..4),
        size in 1..40_usize,
    ) {
        check_request(&texts, &checks, [size].into_iter());
    }

    #[test]
    fn an_answer_in_slices_gives_the_same_result(
        texts in prop::collection::vec(prop::sample::select(TEXTS), 0..4),
        checks in prop::collection::vec((0..40_usize, 1..30_usize, Just(true)), 0..3),
        restores in any::<bool>(),
        size in 1..40_usize,
    ) {
        check_answer(&texts, &checks, restores, [size].into_iter());
    }
}

/// For any text, no step writes much more than its limit, and the number of steps shows the work.
#[test]
fn a_step_is_a_small_part() {
    const SIZE: usize = 4 << 10;
    let dense = "a@b.co 4111 1111 1111 1111 ".repeat(4_000);
    let prose = format!("a@b.co {}", "some words that say nothing, ".repeat(4_000));
    let nested = format!(r#"{{"a": "a@b.co", "b": "{}"}}"#, r"some words\n".repeat(8_000));
    let escaped = "<EMAIL_ADDRESS_1> &lt;EMAIL_ADDRESS_20001 a@b.co \\\"".repeat(2_000);
    for text in [&dense, &prose, &nested, &escaped] {
        for mode in [RewriteMode::Mask, RewriteMode::Restore] {
            let body = serde_json::json!({"input": text}).to_string();
            let found = passages(body.as_bytes()).unwrap();
            let rewrites =
                found.iter().map(|passage| vec![PassageRewrite::new(patterns().find(&passage.text), mode)]).collect();
            let texts = extracted(body.as_bytes(), Extraction::of_request());
            let mut rewriting = BodyRewriting::of_request(body.clone().into_bytes(), texts, rewrites);
            let (mut vault, mut steps, mut written) = (Vault::default(), 1, 0);
            while !rewriting.step(&mut vault, SIZE).unwrap() {
                let more = rewriting.written() - written;
                assert!(more <= 2 * SIZE, "{more} bytes in step {steps}");
                written += more;
                steps += 1;
            }
            assert!(steps >= text.len() / SIZE, "{steps} steps");
            let hidden = rewriting.finish();
            let said = extracted(&hidden, Extraction::of_answer());
            let mut answer = BodyRewriting::of_answer(hidden, said, Vec::new());
            let steps = run(&mut answer, &mut vault, SIZE).unwrap();
            assert!(vault.is_empty() || steps >= text.len() / SIZE, "{steps} steps of the answer");
        }
    }
}

/// Each finding of one check overlaps two of the other's: these are not handled in one step either.
#[test]
fn findings_that_overlap_are_merged_in_slices() {
    let text = "x".repeat(60_000);
    let findings = |from: usize| -> Vec<Finding> {
        (from..59_000)
            .step_by(10)
            .map(|start| Finding { entity: "X".into(), span: start..start + 10, score: 1.0, replacement: None })
            .collect()
    };
    let body = serde_json::json!({"input": text}).to_string();
    let found = passages(body.as_bytes()).unwrap();
    let rewrites = vec![vec![
        PassageRewrite::new(findings(0), RewriteMode::Mask),
        PassageRewrite::new(findings(5), RewriteMode::Mask),
    ]];
    let want = rewrite_request(body.as_bytes(), &found, &rewrites, &mut Vault::default()).unwrap();
    let text = "<X>".repeat(5_900) + &"x".repeat(1_000);
    assert!(want == serde_json::json!({"input": text}).to_string().as_bytes());
    let texts = extracted(body.as_bytes(), Extraction::of_request());
    let mut rewriting = BodyRewriting::of_request(body.into_bytes(), texts, rewrites);
    let steps = run(&mut rewriting, &mut Vault::default(), 1_000).unwrap();
    assert!(steps >= 500, "{steps} steps for 11,800 findings");
    assert!(rewriting.finish() == want);
}

#[test]
fn too_many_values_are_reported_in_slices() {
    let text: String = (0..=MAX_VALUES).map(|number| format!("a{number}@b.co ")).collect();
    let body = serde_json::json!({"input": text}).to_string();
    let found = passages(body.as_bytes()).unwrap();
    let rewrites = vec![vec![PassageRewrite::new(patterns().find(&found[0].text), RewriteMode::Restore)]];
    let texts = extracted(body.as_bytes(), Extraction::of_request());
    let mut rewriting = BodyRewriting::of_request(body.into_bytes(), texts, rewrites);
    assert_eq!(run(&mut rewriting, &mut Vault::default(), 4 << 10), Err(VaultError::TooManyValues));
}
