use proptest::prelude::*;
use sluice::base64::{decode_standard, decode_url, encode_standard, encode_url};

use crate::generate::of_characters;

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
