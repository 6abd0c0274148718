use proptest::prelude::*;
use serde::de::IgnoredAny;
use sluice::json::{write_number, write_string, JsonError, Scanner, Value, MAX_DEPTH};

use crate::generate::{json, json_like, json_text, text};

/// Scans a text with one value.
fn scan(text: &[u8]) -> Result<Value<'_>, JsonError> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value()?;
    scanner.end()?;
    Ok(value)
}

/// Scans a text with callbacks, at all depths.
fn walk(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    match scanner.peek() {
        Some(b'{') => scanner.object(|_, scanner| walk(scanner)).map(|_| ()),
        Some(b'[') => scanner.array(walk).map(|_| ()),
        _ => scanner.value().map(|_| ()),
    }
}

/// Whether serde_json accepts the text. `IgnoredAny` has no depth limit, and does not check what is in strings and numbers.
fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

const END: Result<(), JsonError> = Err(JsonError::UnexpectedEnd);

const fn at(at: usize) -> Result<(), JsonError> {
    Err(JsonError::Unexpected { at })
}

#[test]
fn grammar() {
    let cases: &[(&str, &[u8], Result<(), JsonError>)] = &[
        ("null", b"null", Ok(())),
        ("white space of all kinds", b" \t\r\n[ \t\r\n] \t\r\n", Ok(())),
        ("a string", b"\"a\"", Ok(())),
        ("an empty key", br#"{"":0}"#, Ok(())),
        ("the same key twice", br#"{"a":0,"a":1}"#, Ok(())),
        ("every escape", br#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00""#, Ok(())),
        ("a lone surrogate", br#""\ud800""#, Ok(())),
        ("DEL is no control character", b"\"\x7f\"", Ok(())),
        ("invalid UTF-8 is the caller's to judge", b"\"\xff\"", Ok(())),
        ("zero", b"0", Ok(())),
        ("minus zero", b"-0", Ok(())),
        ("a fraction and an exponent", b"-1.50e+07", Ok(())),
        ("an exponent without sign", b"1E7", Ok(())),
        ("a number no double can hold", b"1e999999", Ok(())),
        ("nothing", b"", END),
        ("white space alone", b" \n", END),
        ("two values", b"1 2", at(2)),
        ("a stray bracket after it", b"[]]", at(2)),
        ("a BOM", b"\xef\xbb\xbf{}", at(0)),
        ("NUL", b"\0", at(0)),
        ("form feed is no white space", b"\x0c1", at(0)),
        ("no-break space is no white space", b"\xc2\xa01", at(0)),
        ("NaN", b"NaN", at(0)),
        ("nil", b"nil", at(1)),
        ("upper case", b"True", at(0)),
        ("a longer word", b"nulll", at(4)),
        ("half a word", b"tru", END),
        ("single quotes", b"'a'", at(0)),
        ("a comment", b"[1] // x", at(4)),
        ("a key without quotes", b"{a:1}", at(1)),
        ("a number as key", b"{1:1}", at(1)),
        ("no colon", br#"{"a" 1}"#, at(5)),
        ("no value", br#"{"a":}"#, at(5)),
        ("a comma before the end of an object", br#"{"a":1,}"#, at(7)),
        ("a comma before the end of an array", b"[1,]", at(3)),
        ("a comma at the start", b"[,1]", at(1)),
        ("no comma", b"[1 2]", at(3)),
        ("the wrong bracket", b"[1}", at(2)),
        ("the wrong bracket deeper", br#"[{"a":[1}]"#, at(8)),
        ("an open array", b"[1", END),
        ("an open array after a comma", b"[1,", END),
        ("an open object", b"{", END),
        ("an object cut after a key", br#"{"a""#, END),
        ("an object cut after a colon", br#"{"a":"#, END),
        ("an open string", b"\"a", END),
        ("a cut escape", b"\"\\", END),
        ("a cut \\u", b"\"\\u12", END),
        ("an unknown escape", br#""\x""#, at(2)),
        ("an upper-case \\U", br#""\U0041""#, at(2)),
        ("no hexadecimal digit", br#""\u12g4""#, at(5)),
        ("a line break in a string", b"\"a\nb\"", at(2)),
        ("a control character far in", b"\"0123456789abcdef\x1f\"", at(17)),
        ("a plus sign", b"+1", at(0)),
        ("a minus sign alone", b"-", END),
        ("a minus sign and a letter", b"-a", at(1)),
        ("a leading zero", b"01", at(1)),
        ("a leading point", b".5", at(0)),
        ("a point at the end", b"1.", END),
        ("a point before a bracket", b"[1.]", at(3)),
        ("an exponent without digits", b"1e", END),
        ("an exponent with a sign alone", b"[1e+]", at(4)),
        ("hexadecimal", b"0x10", at(1)),
    ];
    for (name, input, want) in cases {
        assert_eq!(scan(input).map(|_| ()), *want, "{name}");
        assert_eq!(is_json(input), want.is_ok(), "serde_json: {name}");
        let mut scanner = Scanner::new(input);
        assert_eq!(walk(&mut scanner).and_then(|()| scanner.end()), *want, "walked: {name}");
    }
}

#[test]
fn depth() {
    let nested = |open: &str, middle: &str, close: &str, levels: usize| {
        [open.repeat(levels), middle.to_owned(), close.repeat(levels)].concat()
    };
    let limit = MAX_DEPTH as usize;
    let brackets = [("arrays", "[", "", "]"), ("objects", r#"{"a":"#, "1", "}"), ("arrays of values", "[0,", "1", "]")];
    for (name, open, middle, close) in brackets {
        for (levels, want) in [(1, true), (limit, true), (limit + 1, false), (10_000, false)] {
            let text = nested(open, middle, close, levels);
            let want = if want { Ok(()) } else { Err(JsonError::TooDeep) };
            assert_eq!(scan(text.as_bytes()).map(|_| ()), want, "{levels} {name}");
            let mut scanner = Scanner::new(text.as_bytes());
            assert_eq!(walk(&mut scanner), want, "{levels} {name}, walked");
        }
    }
    for (name, levels, middle, want) in [
        ("at the limit", limit / 2, "1", Ok(())),
        ("an empty array more", limit / 2, "[]", Err(JsonError::TooDeep)),
        ("an empty object more", limit / 2, "{}", Err(JsonError::TooDeep)),
    ] {
        let mixed = nested(r#"{"a":["#, middle, "]}", levels);
        assert_eq!(scan(mixed.as_bytes()).map(|_| ()), want, "objects and arrays in turn, {name}");
    }
    let wide = format!("[{}0]", "[[]],{\"a\":{}},".repeat(10_000));
    assert_eq!(scan(wide.as_bytes()), Ok(Value::Array { empty: false }), "siblings are no depth");
    let open = "[".repeat(10_000);
    assert_eq!(scan(open.as_bytes()), Err(JsonError::TooDeep), "never closed");
}

#[test]
fn values() {
    let cases: &[(&str, Value)] = &[
        ("null", Value::Null),
        (" false ", Value::Bool(false)),
        ("-1.5e3", Value::Number(b"-1.5e3")),
        ("[]", Value::Array { empty: true }),
        ("[ \n]", Value::Array { empty: true }),
        ("[[]]", Value::Array { empty: false }),
        ("[{},[]]", Value::Array { empty: false }),
        ("{}", Value::Object),
        (r#"{"a":[]}"#, Value::Object),
    ];
    for (input, want) in cases {
        assert_eq!(scan(input.as_bytes()), Ok(*want), "{input}");
    }
}

#[test]
fn counts() {
    let cases = [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("12", Some(12)),
        ("12.0", Some(12)),
        ("12.9", Some(12)),
        ("1.2e3", Some(1200)),
        ("9999999999999999999", Some(9_999_999_999_999_999_999)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("9007199254740992.0", Some(1 << 53)),
        ("1e17", None),
        ("1e999", None),
        ("-1", None),
        ("-0.5", None),
        ("\"12\"", None),
        ("null", None),
        ("[12]", None),
    ];
    for (input, want) in cases {
        assert_eq!(scan(input.as_bytes()).unwrap().as_count(), want, "{input}");
    }
}

/// Strings are scanned in blocks of several sizes.
#[test]
fn strings_end_anywhere() {
    for length in 0..200 {
        let plain = "é".repeat(length / 2) + &"a".repeat(length % 2);
        for after in ["", ",\"b\":\"c\"", &" ".repeat(100)] {
            let text = format!("\"{plain}\"{after}");
            let mut scanner = Scanner::new(text.as_bytes());
            let Ok(Value::String(string)) = scanner.value() else {
                panic!("{text:?} begins with a string");
            };
            assert_eq!((string.decode().as_ref(), scanner.position()), (plain.as_str(), length + 2));
            let escaped = format!("\"{plain}\\n{plain}\"{after}");
            let Ok(Value::String(string)) = Scanner::new(escaped.as_bytes()).value() else {
                panic!("{escaped:?} begins with a string");
            };
            assert_eq!(string.decode(), format!("{plain}\n{plain}"));
            for control in ['\0', '\x1f'] {
                let broken = format!("\"{plain}{control}{plain}\"{after}");
                let error = JsonError::Unexpected { at: length + 1 };
                assert_eq!(Scanner::new(broken.as_bytes()).value(), Err(error), "{broken:?}");
            }
        }
    }
}

#[test]
fn strings() {
    let cases: &[(&[u8], &str)] = &[
        (br#""plain""#, "plain"),
        (br#""mod\u0065l""#, "model"),
        (br#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (br#""\u0000""#, "\0"),
        (br#""\uD83d\uDe00!""#, "😀!"),
        (br#""\ud800""#, "\u{fffd}"),
        (br#""\udc00""#, "\u{fffd}"),
        (br#""\ud800\ud83d\ude00""#, "\u{fffd}😀"),
        (br#""\ud800\u0041""#, "\u{fffd}A"),
        (br#""\ud800\n""#, "\u{fffd}\n"),
        (br#""\udbff\udfff""#, "\u{10ffff}"),
        (b"\"\xf0\x9f\x98\x80\"", "😀"),
        (b"\"a\xffb\"", "a\u{fffd}b"),
        (b"\"a\xff\\n\"", "a\u{fffd}\n"),
    ];
    for (input, want) in cases {
        let Ok(Value::String(found)) = scan(input) else { panic!("no string: {want}") };
        assert_eq!(found.decode(), *want, "{want}");
        assert!(found.is(want) || input.contains(&0xff), "is: {want}");
        assert!(!found.is("other"), "is not: {want}");
    }
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn accepts_what_serde_json_accepts(text in prop_oneof![json_like(), json_text().prop_map(String::into_bytes)]) {
        prop_assert_eq!(scan(&text).is_ok(), is_json(&text));
        let mut scanner = Scanner::new(&text);
        prop_assert_eq!(walk(&mut scanner).and_then(|()| scanner.end()).is_ok(), is_json(&text));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(scan(&bytes).is_ok(), is_json(&bytes));
    }

    #[test]
    fn spans_and_strings_equal_serde_json(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut found = Vec::new();
        let mut scanner = Scanner::new(text.as_bytes());
        let is_object = scanner
            .object(|key, scanner| {
                let (value, span) = scanner.spanned()?;
                found.push((key.decode().into_owned(), value, span));
                Ok(())
            })
            .unwrap();
        prop_assert_eq!(is_object, value.is_object());
        prop_assert_eq!(found.len(), value.as_object().map_or(0, serde_json::Map::len));
        for (key, scanned, span) in found {
            let parsed: serde_json::Value = serde_json::from_str(&text[span]).unwrap();
            prop_assert_eq!(&parsed, &value[key.as_str()]);
            let string = if let Value::String(string) = scanned { Some(string.decode().into_owned()) } else { None };
            prop_assert_eq!(string.as_deref(), parsed.as_str());
        }
    }

    #[test]
    fn written_strings_read_back(string in text()) {
        let mut written = String::new();
        write_string(&mut written, &string);
        prop_assert_eq!(&serde_json::from_str::<String>(&written).unwrap(), &string);
        let Ok(Value::String(read)) = scan(written.as_bytes()) else { panic!("no string: {written}") };
        prop_assert!(read.decode() == string.as_str());
        prop_assert!(read.is(&string));
    }

    #[test]
    fn numbers_are_written_as_they_are_formatted(number in any::<u64>(), digits in 0..64_u32) {
        for number in [number >> digits, u64::MAX, 10, 9, 0] {
            let mut written = String::from("x");
            write_number(&mut written, number);
            prop_assert_eq!(written, format!("x{number}"));
        }
    }

    #[test]
    fn every_truncation_is_an_error(value in json().prop_filter("numbers end anywhere", |value| !value.is_number())) {
        let text = serde_json::to_string(&value).unwrap();
        for end in 0..text.len() {
            prop_assert_eq!(scan(&text.as_bytes()[..end]), Err(JsonError::UnexpectedEnd), "{} of {}", end, &text);
        }
    }
}
