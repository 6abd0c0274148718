//! Merging lists of findings, and masking.

#![allow(clippy::reversed_empty_ranges)] // hostile spans are cases

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::guard::pii::{byte_spans, mask, merge};
use sluice::guard::Finding;

use super::finding;

#[test]
fn one_of_several_that_overlap() {
    let email = finding("EMAIL_ADDRESS", 0..14, 1.0);
    let cases: Vec<(&str, Vec<Finding>, Vec<Finding>, Vec<Finding>)> = vec![
        ("nothing", vec![], vec![], vec![]),
        ("a URL within an address", vec![email.clone()], vec![finding("URL", 3..14, 1.0)], vec![email.clone()]),
        (
            "within, with a higher score",
            vec![finding("A", 0..9, 0.1)],
            vec![finding("B", 2..5, 1.0)],
            vec![finding("A", 0..9, 0.1)],
        ),
        ("the same", vec![email.clone()], vec![email.clone()], vec![email.clone()]),
        (
            "the same, a higher score",
            vec![finding("A", 0..9, 0.4)],
            vec![finding("B", 0..9, 0.5)],
            vec![finding("B", 0..9, 0.5)],
        ),
        (
            "the same span and score",
            vec![finding("PHONE_NUMBER", 0..9, 0.5)],
            vec![finding("US_SSN", 0..9, 0.5)],
            vec![finding("US_SSN", 0..9, 0.5)],
        ),
        (
            "a custom name is specific",
            vec![finding("EMPLOYEE", 0..9, 0.5)],
            vec![finding("DATE_TIME", 0..9, 0.5)],
            vec![finding("EMPLOYEE", 0..9, 0.5)],
        ),
        (
            "in part: the longer",
            vec![finding("A", 0..5, 1.0)],
            vec![finding("B", 3..9, 0.1)],
            vec![finding("B", 3..9, 0.1)],
        ),
        (
            "in part, as long: the score",
            vec![finding("A", 0..5, 0.1)],
            vec![finding("B", 3..8, 1.0)],
            vec![finding("B", 3..8, 1.0)],
        ),
        (
            "in part, all else the same: the first",
            vec![finding("A", 3..8, 1.0)],
            vec![finding("B", 0..5, 1.0)],
            vec![finding("B", 0..5, 1.0)],
        ),
        (
            "a chain: what only the loser overlapped stays",
            vec![finding("A", 0..4, 1.0), finding("B", 3..10, 1.0)],
            vec![finding("C", 8..20, 1.0)],
            vec![finding("A", 0..4, 1.0), finding("C", 8..20, 1.0)],
        ),
        (
            "side by side",
            vec![finding("A", 5..9, 1.0)],
            vec![finding("B", 0..5, 1.0)],
            vec![finding("B", 0..5, 1.0), finding("A", 5..9, 1.0)],
        ),
        ("of nothing", vec![finding("A", 5..5, 1.0)], vec![finding("B", 9..3, 1.0)], vec![]),
        (
            "no number",
            vec![finding("A", 0..5, f32::NEG_INFINITY)],
            vec![finding("B", 0..5, 0.5)],
            vec![finding("B", 0..5, 0.5)],
        ),
    ];
    for (name, local, remote, want) in cases {
        assert_eq!(merge(local.clone(), remote.clone()), want, "{name}");
        assert_eq!(merge(remote, local), want, "{name}, the other way round");
    }
}

#[test]
fn code_points() {
    let text = "aé谢😀z";
    let cases: &[(std::ops::Range<usize>, Option<&str>)] = &[
        (0..1, Some("a")),
        (1..2, Some("é")),
        (2..4, Some("谢😀")),
        (4..5, Some("z")),
        (0..5, Some(text)),
        (5..6, None),
        (0..6, None),
        (2..2, None),
        (3..1, None),
        (0..usize::MAX, None),
        (usize::MAX..usize::MAX, None),
    ];
    let spans: Vec<_> = cases.iter().map(|(span, _)| span.clone()).collect();
    let values: Vec<_> = byte_spans(text, &spans).into_iter().map(|span| span.map(|span| &text[span])).collect();
    assert_eq!(values, cases.iter().map(|(_, want)| *want).collect::<Vec<_>>());
    assert_eq!(byte_spans("", &[0..0, 0..1]), [None, None]);
    assert_eq!(byte_spans(text, &[]), []);
}

#[test]
fn masked_for_any_findings() {
    let text = "aé谢😀z";
    for (name, findings, want) in [
        ("none", vec![], text),
        ("one", vec![finding("A", 1..3, 1.0)], "a<A>谢😀z"),
        ("all", vec![finding("A", 0..11, 1.0)], "<A>"),
        ("out of order", vec![finding("B", 10..11, 1.0), finding("A", 0..1, 1.0)], "<A>é谢😀<B>"),
        ("overlapping", vec![finding("A", 0..3, 1.0), finding("B", 1..6, 1.0)], "<A><B>😀z"),
        ("within", vec![finding("A", 0..6, 1.0), finding("B", 1..3, 1.0)], "<A>😀z"),
        ("through a character", vec![finding("A", 2..4, 1.0)], "a<A>😀z"),
        ("beyond the text", vec![finding("A", 10..99, 1.0), finding("B", 50..60, 1.0)], "aé谢😀<A>"),
        ("reversed", vec![finding("A", 10..1, 1.0)], text),
        ("a strange name", vec![finding("us ssn>", 0..1, 1.0)], "<US_SSN_>é谢😀z"),
        ("no name", vec![finding("", 0..1, 1.0)], "<PII>é谢😀z"),
        ("a name that begins with a digit", vec![finding("1", 0..1, 1.0)], "<PII>é谢😀z"),
    ] {
        assert_eq!(mask(text, &findings), want, "{name}");
    }
    let long = mask("a", &[finding(&"N".repeat(1000), 0..1, 1.0)]);
    assert_eq!(long.len(), 66);
}

fn any_finding() -> impl Strategy<Value = Finding> {
    (0usize..40, 0usize..40, prop::sample::select(vec!["A", "URL", "US_SSN"]), 0u8..4)
        .prop_map(|(start, end, entity, score)| finding(entity, start..end, f32::from(score) / 4.0))
}

proptest! {
    #![proptest_config(crate::cases(1024))]

    /// The remaining findings are sorted and do not overlap; each dropped one overlaps a remaining one.
    #[test]
    fn merged(local in vec(any_finding(), 0..12), remote in vec(any_finding(), 0..12)) {
        let kept = merge(local.clone(), remote.clone());
        prop_assert!(kept.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start));
        for gone in local.into_iter().chain(remote).filter(|finding| finding.span.start < finding.span.end) {
            let overlaps = |kept: &&Finding| kept.span.start < gone.span.end && gone.span.start < kept.span.end;
            let longest = kept.iter().filter(overlaps).map(|kept| kept.span.len()).max();
            prop_assert!(longest.is_some_and(|longest| longest >= gone.span.len()), "{gone:?}");
        }
    }

    #[test]
    fn as_counted_one_by_one(text in crate::generate::text(), spans in vec((0usize..14, 0usize..14), 0..8)) {
        let spans: Vec<_> = spans.into_iter().map(|(start, end)| start..end).collect();
        let characters: Vec<char> = text.chars().collect();
        for (span, bytes) in spans.iter().zip(byte_spans(&text, &spans)) {
            let want = characters.get(span.clone()).filter(|part| !part.is_empty()).map(String::from_iter);
            prop_assert_eq!(bytes.map(|bytes| text[bytes].to_owned()), want);
        }
    }

    #[test]
    fn masking_never_fails(text in crate::generate::text(), findings in vec(any_finding(), 0..8)) {
        let _ = mask(&text, &findings);
    }
}
