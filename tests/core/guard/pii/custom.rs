//! Custom patterns.

use sluice::guard::pii::{mask, PatternError, Patterns, MAX_MATCH, MAX_PATTERN, MAX_PATTERNS};

fn patterns(pattern: &str) -> Patterns {
    Patterns::new(&[], &[("CUSTOM", pattern)]).unwrap()
}

#[test]
fn masked() {
    for (pattern, text, want) in [
        (r"\bE-[0-9]{5}\b", "E-12345, E-123456, XE-12345", "<CUSTOM>, E-123456, XE-12345"),
        ("(?i)project (falcon|eagle)", "Project Falcon, PROJECT EAGLE", "<CUSTOM>, <CUSTOM>"),
        (r"\d{4}", "12345678", "<CUSTOM><CUSTOM>"),
        ("é+", "caféé!", "caf<CUSTOM>!"),
        ("^a", "aa\na", "<CUSTOM>a\na"),
        ("(?m)^a$", "a\na\nb", "<CUSTOM>\n<CUSTOM>\nb"),
        (r"x*\b", "a xx b", "a <CUSTOM> b"),
        ("🦊", "a🦊b", "a<CUSTOM>b"),
    ] {
        assert_eq!(mask(text, &patterns(pattern).find(text)), want, "{pattern}");
    }
}

/// A match is found at any position in a long text.
#[test]
fn at_every_place() {
    let pattern = patterns(r"\bK-[0-9]+\b");
    let value = format!("K-{}", "7".repeat(MAX_MATCH - 2));
    for filler in ["a ", "é ", "🦊 "] {
        for count in [0, 1, 500, 700, 760, 767, 768, 769, 800, 1020, 1023, 1024, 1025, 1500] {
            let before = filler.repeat(count);
            let text = format!("{before}{value} {}", "b ".repeat(2000));
            let found = pattern.find(&text);
            assert_eq!(found.len(), 1, "{count}");
            assert_eq!(found[0].span, before.len()..before.len() + value.len(), "{count}");
        }
    }
}

#[test]
fn a_match_that_is_too_long_is_found_in_parts() {
    let text = "7".repeat(100_000);
    assert_eq!(patterns("7+").find(&text).iter().map(|finding| finding.span.len()).sum::<usize>(), text.len());
}

#[test]
fn refused() {
    let long = "a".repeat(MAX_PATTERN + 1);
    let long_name = "A".repeat(65);
    let cases: &[(&str, &str, &str)] = &[
        ("A", "(", "custom pattern A: unclosed group"),
        ("A", "[z-a]", "custom pattern A: invalid character class range, the start must be <= the end"),
        ("A", r"(a)\1", "custom pattern A: backreferences are not supported"),
        ("A", "a(?=b)", "custom pattern A: look-around, including look-ahead and look-behind, is not supported"),
        ("A", "a*", "custom pattern A: it matches the empty text"),
        ("A", "", "custom pattern A: it matches the empty text"),
        ("A", &long, "custom pattern A: longer than 1024 bytes"),
        ("A", "(?:a{1000}){1000}", "custom pattern A: too large once compiled"),
        ("A", r"\w{1000}", "custom pattern A: too large once compiled"),
        ("a", "a", "custom pattern \"a\": a name has capitals"),
        ("", "a", "custom pattern \"\": a name has capitals"),
        ("1A", "a", "custom pattern \"1A\": a name has capitals"),
        ("A-B", "a", "custom pattern \"A-B\": a name has capitals"),
        ("Ä", "a", "custom pattern \"Ä\": a name has capitals"),
        (&long_name, "a", "custom pattern \"AAAA"),
    ];
    for (name, pattern, want) in cases {
        let error = Patterns::new(&[], &[("FIRST", "a"), (name, pattern)]).unwrap_err().to_string();
        assert!(error.starts_with(want), "{name} {pattern}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let many = vec![("A", "a"); MAX_PATTERNS + 1];
    assert_eq!(Patterns::new(&[], &many).unwrap_err(), PatternError::TooMany);
    assert!(Patterns::new(&[], &many[1..]).is_ok());
    for (name, pattern) in [("_", "a"), ("A_1", "a"), ("WORDS", r"\b\w{3,8}\b"), ("DIGITS", r"\d{1,32}")] {
        assert!(Patterns::new(&[], &[(name, pattern)]).is_ok(), "{name} {pattern}");
    }
}
