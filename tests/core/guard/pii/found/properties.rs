use proptest::collection::vec;
use proptest::prelude::*;

use super::super::all;

proptest! {
    #![proptest_config(crate::cases(1024))]

    /// For any text, findings are sorted, on character boundaries, and do not overlap.
    #[test]
    fn findings_can_be_cut_out(text in hostile()) {
        let mut end = 0;
        for finding in all().find(&text) {
            prop_assert!(finding.span.start >= end && finding.span.start < finding.span.end);
            prop_assert!(text.get(finding.span.clone()).is_some());
            prop_assert!((0.0..=1.0).contains(&finding.score));
            end = finding.span.end;
        }
    }
}

/// Texts from pieces of what the patterns look for.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "@",
        ".",
        "a",
        "jo",
        "com",
        "1",
        "12",
        "4111",
        "1111",
        "255",
        " ",
        "-",
        "/",
        "(",
        ")",
        "+",
        "49",
        "0",
        ":",
        "::",
        "fe80",
        "DE89",
        "AKIA",
        "sk-",
        "ghp_",
        "eyJ",
        "é",
        "я",
        "谢",
        "😀",
        "\u{a0}",
        "\u{2011}",
        "_",
        "call ",
        "version ",
        "x",
        "%",
        "$",
        "00",
        "555",
        "0123",
        "123-45-6789",
        "[",
    ]);
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A search in parts finds the same as a search of the whole text, for any boundaries of the parts.
#[test]
fn in_parts() {
    let patterns = super::all();
    let whole = |text: &str| {
        let mut search = sluice::guard::pii::Search::default();
        while !search.step(&patterns, &["a jo@example.com", text, ""]) {}
        search.into_findings()
    };
    let token = format!("eyJ{}.eyJ{}.{}", "a".repeat(9000), "b".repeat(4000), "c".repeat(3000));
    for value in [
        "4111 1111 1111 1111",
        "jo@example.com",
        "+49 30 1234567",
        "DE89 3704 0044 0532 0130 00",
        "::ffff:10.0.0.1",
        &token,
        "jo&#64;example.com",
        "sk&#45;&#97;&#98;c123def456ghi789jkl",
        &token.replacen("ey", "&#101;&#121;", 1),
    ] {
        for shift in (0..value.len() + 2).step_by(1 + value.len() / 40) {
            let text = format!("{}é {value} {}", "x ".repeat(32 * 1024 - shift / 2), "y ".repeat(45_000));
            let shifted = format!("{}{text}", " ".repeat(shift % 2));
            let found = whole(&shifted);
            assert_eq!(found[1], patterns.find(&shifted), "{shift}: {}", &value[..15]);
            assert_eq!((found.len(), found[0].len(), found[1].len(), found[2].len()), (3, 1, 1, 0));
        }
    }
    let many = "jo@example.com, 4111 1111 1111 1111; +49 30 1234567 ".repeat(10_000);
    assert_eq!(whole(&many)[1], patterns.find(&many));
}
