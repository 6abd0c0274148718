//! Values that are hidden from the model and restored.

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::guard::pii::{Vault, VaultError, MAX_BYTES, MAX_PLACEHOLDER, MAX_RESERVED, MAX_VALUES};

use super::{all, finding};

/// The hidden texts in order, and the vault.
fn hide(texts: &[&str]) -> (Vec<String>, Vault) {
    let mut vault = Vault::default();
    for text in texts {
        vault.reserve(text).unwrap();
    }
    let hidden = texts.iter().map(|text| vault.hide(text, &all().find(text)).unwrap()).collect();
    (hidden, vault)
}

/// A vault with one value for each placeholder.
fn vault(values: &[(&str, &str)]) -> Vault {
    let mut vault = Vault::default();
    for (entity, value) in values {
        vault.hide(value, &[finding(entity, 0..value.len(), 1.0)]).unwrap();
    }
    vault
}

/// Restores a text in pieces of this many characters.
fn stream(vault: &Vault, text: &str, sizes: &[usize]) -> String {
    let mut restorer = vault.restorer();
    let mut out = String::new();
    let mut sizes = sizes.iter().copied().cycle();
    let mut rest = text;
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(1).max(1);
        let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
        let (piece, tail) = rest.split_at(end);
        out.push_str(&restorer.push(piece));
        assert!(restorer.held() < MAX_PLACEHOLDER);
        rest = tail;
    }
    out + &restorer.finish()
}

#[test]
fn the_same_value_the_same_number() {
    let texts = ["I am jo@example.com, not me@example.com.", "You are jo@example.com at 10.0.0.1", "jo@example.com!"];
    let want = [
        "I am <EMAIL_ADDRESS_1>, not <EMAIL_ADDRESS_2>.",
        "You are <EMAIL_ADDRESS_1> at <IP_ADDRESS_1>",
        "<EMAIL_ADDRESS_1>!",
    ];
    for count in 0..=texts.len() {
        let (hidden, vault) = hide(&texts[..count]);
        assert_eq!(hidden, want[..count], "a longer conversation is numbered alike");
        for (hidden, text) in hidden.iter().zip(texts) {
            assert_eq!(vault.restore(hidden), text);
        }
    }
}

#[test]
fn the_users_own_text_is_not_a_placeholder() {
    let texts = [
        "jo@example.com",
        "Literally <EMAIL_ADDRESS_1>, &lt;EMAIL_ADDRESS_2&gt;, <EMAIL_ADDRESS_04>, <EMAIL_ADDRESS_99999999999999999999>",
        "<email address 3> me@example.com, EMAIL_ADDRESS_4",
    ];
    let (hidden, vault) = hide(&texts);
    assert_eq!(hidden, ["<EMAIL_ADDRESS_5>", texts[1], "<email address 3> <EMAIL_ADDRESS_6>, EMAIL_ADDRESS_4"]);
    for (hidden, text) in hidden.iter().zip(texts) {
        assert_eq!(vault.restore(hidden), text);
    }
}

#[test]
fn restored() {
    let values: Vec<String> = (1..=12).map(|number| format!("user{number}@example.com")).collect();
    let mut pairs: Vec<(&str, &str)> = values.iter().map(|value| ("EMAIL_ADDRESS", value.as_str())).collect();
    pairs.extend([("A", "one"), ("A_1", "two"), ("B", "<A_1>"), ("C", "é谢")]);
    let vault = vault(&pairs);
    for (text, want) in [
        ("", ""),
        ("nothing", "nothing"),
        ("<EMAIL_ADDRESS_1>", "user1@example.com"),
        ("<EMAIL_ADDRESS_12>", "user12@example.com"),
        ("<EMAIL_ADDRESS_13>", "<EMAIL_ADDRESS_13>"),
        ("<EMAIL_ADDRESS_123>", "<EMAIL_ADDRESS_123>"),
        ("<EMAIL_ADDRESS_01>", "<EMAIL_ADDRESS_01>"),
        ("<EMAIL_ADDRESS_1", "user1@example.com"),
        ("<EMAIL_ADDRESS_1 is", "user1@example.com is"),
        ("<EMAIL_ADDRESS_1_copy>", "<EMAIL_ADDRESS_1_copy>"),
        ("<EMAIL_ADDRESS_1 >", "user1@example.com"),
        ("< EMAIL_ADDRESS_1>", "user1@example.com"),
        ("<EMAIL ADDRESS 1>", "user1@example.com"),
        ("<EMAIL-ADDRESS-1>", "user1@example.com"),
        ("<EMAIL ADDRESS 1 or", "<EMAIL ADDRESS 1 or"),
        ("EMAIL_ADDRESS_1", "user1@example.com"),
        ("EMAIL_ADDRESS_1>.", "user1@example.com."),
        ("[EMAIL_ADDRESS_12], `EMAIL_ADDRESS_1`", "[user12@example.com], `user1@example.com`"),
        (
            "MY_EMAIL_ADDRESS_1 xEMAIL_ADDRESS_1 EMAIL_ADDRESS_1x",
            "MY_EMAIL_ADDRESS_1 xEMAIL_ADDRESS_1 EMAIL_ADDRESS_1x",
        ),
        ("email_address_1 A_1 <A_1 B_1>", "email_address_1 A_1 one B_1>"),
        ("<email_address_1>", "user1@example.com"),
        ("<Email_Address_1>", "user1@example.com"),
        (r"\u003cEMAIL_ADDRESS_1\u003e", "user1@example.com"),
        (r"\\u003cEMAIL_ADDRESS_1\\u003E", "user1@example.com"),
        (r"\x3cEMAIL_ADDRESS_1\x3e", "user1@example.com"),
        (r"\<EMAIL\_ADDRESS\_1\>", "user1@example.com"),
        ("&#60;EMAIL_ADDRESS_1&#62;&#x3C;EMAIL_ADDRESS_1&#x3E;", "user1@example.comuser1@example.com"),
        ("?to=%3CEMAIL_ADDRESS_1%3E&x", "?to=user1%40example.com&x"),
        ("%253cEMAIL_ADDRESS_1%253e", "user1%2540example.com"),
        ("＜EMAIL_ADDRESS_1＞", "user1@example.com"),
        ("<EMAIL_ADDRESS_1/></EMAIL_ADDRESS_1>", "user1@example.com</EMAIL_ADDRESS_1>"),
        ("<EMAIL_ADDRESS_>", "<EMAIL_ADDRESS_>"),
        ("<EMAIL_ADDRESS>", "<EMAIL_ADDRESS>"),
        ("&lt;EMAIL_ADDRESS_1&gt;", "user1@example.com"),
        ("&lt;EMAIL_ADDRESS_1>", "user1@example.com"),
        ("<EMAIL_ADDRESS_1&gt;", "user1@example.com"),
        ("&lt;&lt;EMAIL_ADDRESS_1&gt;&gt;", "&lt;user1@example.com&gt;"),
        ("&amp;lt;", "&amp;lt;"),
        ("<<EMAIL_ADDRESS_1>>", "<user1@example.com>"),
        ("<EMAIL_ADDRESS_1<EMAIL_ADDRESS_2>", "user1@example.comuser2@example.com"),
        ("<EMAIL_ADDRESS_1><EMAIL_ADDRESS_2>", "user1@example.comuser2@example.com"),
        ("<A_1><A_1_1><B_1>", "onetwo<A_1>"),
        ("é<C_1>😀", "éé谢😀"),
        ("a < b && c > d, <p>, &lt;p&gt;, <", "a < b && c > d, <p>, &lt;p&gt;, <"),
        ("<EMAIL_ADDRÉSS_1>", "<EMAIL_ADDRÉSS_1>"),
    ] {
        assert_eq!(vault.restore(text), want, "{text}");
        for size in 1..=text.chars().count() {
            assert_eq!(stream(&vault, text, &[size]), want, "{text} in pieces of {size}");
        }
    }
}

/// A value that is percent-encoded already is not encoded twice.
#[test]
fn restored_in_a_url() {
    let (hidden, vault) = hide(&["mailto:mario%40example.com"]);
    assert_eq!(hidden, ["mailto:<EMAIL_ADDRESS_1>"]);
    for (text, want) in [
        ("mailto:<EMAIL_ADDRESS_1>", "mailto:mario%40example.com"),
        ("?to=%3CEMAIL_ADDRESS_1%3E&x", "?to=mario%40example.com&x"),
        ("?next=%253CEMAIL_ADDRESS_1%253E", "?next=mario%2540example.com"),
    ] {
        assert_eq!(vault.restore(text), want);
    }
}

/// Text that cannot become a placeholder is released at once.
#[test]
fn held_back() {
    let vault = vault(&[("EMAIL_ADDRESS", "jo@example.com"), ("IP_ADDRESS", "10.0.0.1")]);
    for (piece, held) in [
        ("a", ""),
        ("a <", "<"),
        ("a <E", "<E"),
        ("a <F", ""),
        ("<EMAIL_ADDRESS_2", ""),
        ("<EMAIL_ADDRESS_1 ", "<EMAIL_ADDRESS_1 "),
        ("<e", "<e"),
        ("x EMAIL_", "EMAIL_"),
        ("x EMAIL ", ""),
        ("\\", "\\"),
        ("&", "&"),
        ("&l", "&l"),
        ("&a", ""),
        ("&lt;IP_", "&lt;IP_"),
        ("&lt;IP_ADDRESS_1&g", "&lt;IP_ADDRESS_1&g"),
        ("<<<", "<"),
    ] {
        let mut restorer = vault.restorer();
        let released = restorer.push(piece);
        assert_eq!((format!("{released}{held}").as_str(), restorer.held()), (piece, held.len()), "{piece}");
        let restored = if held.contains("_1") && held.starts_with(['<', '&']) {
            vault.restore(held).into_owned()
        } else {
            held.to_owned()
        };
        assert_eq!(restorer.finish(), restored);
        assert_eq!(restorer.held(), 0);
    }
    let mut empty = Vault::default().restorer();
    assert_eq!(empty.push("<EMAIL_ADDRESS_1"), "<EMAIL_ADDRESS_1", "nothing to restore");
}

#[test]
fn nothing_is_copied_if_nothing_is_restored() {
    use std::borrow::Cow;

    let vault = vault(&[("A", "one")]);
    assert!(matches!(vault.restore("a < b"), Cow::Borrowed(_)));
    assert!(matches!(vault.restore("a <A_"), Cow::Borrowed(_)));
    assert!(matches!(vault.restore("a <A_1>"), Cow::Owned(_)));
}

#[test]
fn bounded() {
    let mut vault = Vault::default();
    let hide = |vault: &mut Vault, value: &str| vault.hide(value, &[finding("A", 0..value.len(), 1.0)]);
    for number in 0..MAX_VALUES {
        hide(&mut vault, &format!("value {number}")).unwrap();
    }
    assert_eq!(hide(&mut vault, "one more"), Err(VaultError::TooManyValues));
    assert_eq!(hide(&mut vault, "value 9999").as_deref(), Ok("<A_10000>"), "known ones still count");
    assert_eq!(vault.len(), MAX_VALUES);

    let mut vault = Vault::default();
    assert_eq!(hide(&mut vault, &"x".repeat(MAX_BYTES + 1)), Err(VaultError::TooManyBytes));
    hide(&mut vault, &"x".repeat(MAX_BYTES)).unwrap();
    assert_eq!(hide(&mut vault, "y"), Err(VaultError::TooManyBytes));

    let mut vault = Vault::default();
    let literals = |from: usize, to: usize| (from..=to).map(|number| format!("<A_{number}>")).collect::<String>();
    vault.reserve(&literals(1, MAX_RESERVED)).unwrap();
    vault.reserve(&literals(1, MAX_RESERVED)).unwrap();
    assert_eq!(vault.reserve("<A_10001>"), Err(VaultError::TooManyReserved));
    assert_eq!(hide(&mut vault, "value").as_deref(), Ok("<A_10001>"));
}

#[test]
fn never_shown() {
    let vault = vault(&[("A", "jo@example.com")]);
    let mut restorer = vault.restorer();
    restorer.push("<A_");
    let shown = format!("{vault:?} {restorer:?} {}", VaultError::TooManyBytes);
    assert!(!shown.contains("jo@") && !shown.contains("A_1"), "{shown}");
}

/// The template with digits for `#` (not zero), small letters for `?`, capitals for `^`.
fn written(template: &'static str) -> impl Strategy<Value = String> {
    vec(any::<u8>(), template.len()).prop_map(move |random| {
        let one_of = |from: u8, count: u8, random: u8| char::from(from + random % count);
        let write = |(character, random)| match character {
            '#' => one_of(b'1', 9, random),
            '?' => one_of(b'a', 26, random),
            '^' => one_of(b'A', 26, random),
            other => other,
        };
        template.chars().zip(random).map(write).collect()
    })
}

/// Personal data of every kind, all different.
fn value() -> impl Strategy<Value = String> {
    let card = |digits: u64| {
        let body = format!("4{:014}", digits % 100_000_000_000_000);
        (0..10).map(|check| format!("{body}{check}")).find(|card| sluice::guard::pii::is_card_number(card)).unwrap()
    };
    let iban = |digits: u64| {
        let account = format!("{:018}", digits % 1_000_000_000_000_000_000);
        (2..99).map(|check| format!("DE{check:02}{account}")).find(|iban| sluice::guard::pii::is_iban(iban)).unwrap()
    };
    prop_oneof![
        written("???????##@?????.com"),
        written("?##@??.?????.de"),
        written("+49 ### #######"),
        written("(2##) 3##-####"),
        any::<u64>().prop_map(card),
        any::<u64>().prop_map(iban),
        any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}")),
        any::<[u16; 8]>().prop_map(|parts| parts.map(|part| format!("{:x}", part | 0x1000)).join(":")),
        written("1##-##-####"),
        written("sk-??????????7x????????????????####"),
        written("AKIA^^^^^^^^^^^^^^^7"),
    ]
}

/// The texts in between.
fn filler() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => crate::generate::text().prop_map(|text| text.replace(|character: char| character.is_numeric(), "")),
        1 => prop::sample::select(vec![
            "<EMAIL_ADDRESS_1>", "&lt;CREDIT_CARD_1&gt;", "<EMAIL_ADDRESS_", "<", "&lt;", "&", ">", "<IP_ADDRESS_2>", "<PHONE_NUMBER_1",
        ]).prop_map(str::to_owned),
    ]
}

/// The texts of a conversation.
fn conversation() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
    let text = vec((filler(), value()), 0..5).prop_map(|parts| {
        let text = parts.iter().map(|(filler, value)| format!("{filler} {value} ")).collect();
        (text, parts.into_iter().map(|(_, value)| value).collect())
    });
    vec(text, 1..5)
}

proptest! {
    #![proptest_config(crate::cases(600))]

    #[test]
    fn a_conversation_is_restored(texts in conversation(), sizes in vec(1usize..30, 1..8)) {
        let plain: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
        let (hidden, vault) = hide(&plain);
        let sent = hidden.concat();
        for value in texts.iter().flat_map(|(_, values)| values) {
            prop_assert!(!sent.contains(value.as_str()), "{value:?} in {sent:?}");
        }
        prop_assert_eq!(vault.restore(&sent), plain.concat());
        prop_assert_eq!(stream(&vault, &sent, &[1]), plain.concat());
        prop_assert_eq!(stream(&vault, &sent, &sizes), plain.concat());
        let (shorter, _) = hide(&plain[..plain.len() - 1]);
        if plain[plain.len() - 1].contains(['<', '&', '\\', '%', '＜']) {
            return Ok(()); // it may reserve a number
        }
        prop_assert_eq!(&shorter[..], &hidden[..hidden.len() - 1]);
    }

    /// For any text of a model, restoring in pieces gives the same result as restoring the whole text.
    #[test]
    fn in_pieces_as_whole(pieces in vec(prop::sample::select(vec![
        "<", ">", "&", "&lt;", "&gt;", "lt;", "gt;", "EMAIL", "_", "ADDRESS", "EMAIL_ADDRESS_1", "1", "2", "A", "A_1", "<A_1>", "é", " ", "😀",
    ]), 0..24), sizes in vec(1usize..12, 1..6)) {
        let vault = vault(&[("EMAIL_ADDRESS", "jo@example.com"), ("A", "one"), ("A", "other"), ("A_1", "two")]);
        let text = pieces.concat();
        let whole = vault.restore(&text);
        prop_assert_eq!(stream(&vault, &text, &[1]), whole.as_ref());
        prop_assert_eq!(stream(&vault, &text, &sizes), whole.as_ref());
    }
}
