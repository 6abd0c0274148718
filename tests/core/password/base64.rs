use proptest::collection::vec;
use proptest::prelude::*;
use sluice::password::{decode_standard, encode_standard};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn both_ways() {
    // RFC 4648, section 10
    let cases: [(&[u8], &str); 9] = [
        (b"", ""),
        (b"f", "Zg=="),
        (b"fo", "Zm8="),
        (b"foo", "Zm9v"),
        (b"foob", "Zm9vYg=="),
        (b"fooba", "Zm9vYmE="),
        (b"foobar", "Zm9vYmFy"),
        (b"\xfb\xff\xbf", "+/+/"),
        (b"\0\0\0", "AAAA"),
    ];
    for (bytes, text) in cases {
        assert_eq!(encode_standard(bytes), text);
        assert_eq!(decode_standard(text).as_deref(), Some(bytes), "{text}");
        assert_eq!(decode_standard(text.trim_end_matches('=')).as_deref(), Some(bytes), "{text} without padding");
    }
}

#[test]
fn refused() {
    let cases = [
        ("too little padding", "Zg="),
        ("too much padding", "Zg==="),
        ("a whole group of it", "Zm9v===="),
        ("padding that is not needed", "Zm9v="),
        ("nothing but padding", "="),
        ("nothing but padding, a group of it", "===="),
        ("padding for one digit", "Z==="),
        ("padding within", "Zg==Zg=="),
        ("one digit", "Z"),
        ("five digits", "Zm9vY"),
        ("bits left over", "Zh=="),
        ("bits left over, two bytes", "Zm9="),
        ("bits left over, no padding", "Zm9"),
        ("the URL's alphabet", "-_-_"),
        ("a space", "Zm 9v"),
        ("a line end", "Zm9v\n"),
        ("not ASCII", "Zmé"),
    ];
    for (name, text) in cases {
        assert_eq!(decode_standard(text), None, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read(bytes in vec(any::<u8>(), 0..80)) {
        let text = encode_standard(&bytes);
        prop_assert_eq!(text.len() % 4, 0);
        prop_assert_eq!(decode_standard(&text), Some(bytes));
    }

    #[test]
    fn a_value_has_one_text(digits in vec(prop::sample::select(b"ABQgw+/=".to_vec()), 0..12)) {
        let text = String::from_utf8(digits).unwrap();
        if let Some(bytes) = decode_standard(&text) {
            let written = encode_standard(&bytes);
            prop_assert!(text == written || text == written.trim_end_matches('='));
        }
    }
}
