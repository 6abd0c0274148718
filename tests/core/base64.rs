use proptest::prelude::*;
use sluice::base64::{decode_standard, decode_url, encode_standard, encode_url};

use crate::generate::of_characters;

/// RFC 4648, 10.
const VECTORS: [(&str, &str); 7] = [
    ("", ""),
    ("f", "Zg=="),
    ("fo", "Zm8="),
    ("foo", "Zm9v"),
    ("foob", "Zm9vYg=="),
    ("fooba", "Zm9vYmE="),
    ("foobar", "Zm9vYmFy"),
];

#[test]
fn vectors() {
    for (bytes, text) in VECTORS {
        assert_eq!(encode_standard(bytes.as_bytes()), text);
        assert_eq!(decode_standard(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        let plain = text.trim_end_matches('=');
        assert_eq!(encode_url(bytes.as_bytes()), plain);
        assert_eq!(decode_url(plain).as_deref(), Some(bytes.as_bytes()), "{plain}");
        assert_eq!(decode_standard(plain).as_deref(), Some(bytes.as_bytes()), "{plain} without padding");
    }
    assert_eq!(decode_standard("+/+/").as_deref(), Some(&b"\xfb\xff\xbf"[..]));
    assert_eq!(decode_url("-_-_").as_deref(), Some(&b"\xfb\xff\xbf"[..]));
}

#[test]
fn other_texts_are_refused() {
    for text in
        ["A", "AAAAA", "Zh", "Zm9", "Zm-", "Zg==", "Zg=", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9+", "Zm9/", "Zmé", "="]
    {
        assert_eq!(decode_url(text), None, "{text:?}");
    }
    let wrong = [
        "Z", "Zm9vY", "Zh", "Zm9", "Zg=", "Zg===", "Z===", "====", "=", "==", "Zh==", "Zm9=", "Zm9v=", "Zm9vZg=a",
        "Zg==Zg==", "Zm9-", "Zm9_", "Zm9v\n", "Zm\n9", "é==", "Zm9v====",
    ];
    for text in wrong {
        assert_eq!(decode_standard(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn round_trip(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let text = encode_url(&bytes);
        prop_assert_eq!(decode_url(&text), Some(bytes.clone()));
        let standard = encode_standard(&bytes);
        prop_assert_eq!(standard.len() % 4, 0);
        prop_assert_eq!(standard.trim_end_matches('=').replace('+', "-").replace('/', "_"), text);
        prop_assert_eq!(decode_standard(&standard), Some(bytes));
    }

    /// Only one text decodes to each sequence of bytes.
    #[test]
    fn one_text_each(text in of_characters("AQgwZz019_-=+/", 0..12)) {
        if let Some(bytes) = decode_url(&text) {
            prop_assert_eq!(encode_url(&bytes), text);
        }
    }

    /// Only the padding is optional here.
    #[test]
    fn one_standard_text_each(text in of_characters("AQgwZz019+/=-_", 0..12)) {
        if let Some(bytes) = decode_standard(&text) {
            let written = encode_standard(&bytes);
            prop_assert!(text == written || text == written.trim_end_matches('='));
        }
    }
}
