//! Texts, and the findings in them.

mod properties;

use sluice::guard::pii::{Entity, Patterns};

use super::all;

const EMAIL: &str = "EMAIL_ADDRESS";
const PHONE: &str = "PHONE_NUMBER";
const CARD: &str = "CREDIT_CARD";
const IBAN: &str = "IBAN_CODE";
const IP: &str = "IP_ADDRESS";
const SSN: &str = "US_SSN";
const KEY: &str = "API_KEY";

/// A text, and its findings in order.
const FOUND: &[(&str, &[(&str, &str)])] = &[
    // e-mail addresses
    ("jo@example.com", &[(EMAIL, "jo@example.com")]),
    ("Write to jo.doe+news@mail.example.co.uk.", &[(EMAIL, "jo.doe+news@mail.example.co.uk")]),
    ("<jo@example.com>, (me@example.org)", &[(EMAIL, "jo@example.com"), (EMAIL, "me@example.org")]),
    ("mailto:jo@example.com?subject=hi", &[(EMAIL, "jo@example.com")]),
    ("'jo@example.com'", &[(EMAIL, "jo@example.com")]),
    ("email=jo@example.com;x", &[(EMAIL, "jo@example.com")]),
    ("{\"email\":\"jo@example.com\"}", &[(EMAIL, "jo@example.com")]),
    ("O'Brien: o'brien@example.ie!", &[(EMAIL, "o'brien@example.ie")]),
    ("我的邮箱是user@example.com谢谢", &[(EMAIL, "user@example.com")]),
    ("müller@exämple.de schreibt", &[(EMAIL, "müller@exämple.de")]),
    ("иван@пример.рф пишет", &[(EMAIL, "иван@пример.рф")]),
    ("jo@xn--exmple-cua.xn--p1ai ok", &[(EMAIL, "jo@xn--exmple-cua.xn--p1ai")]),
    ("see...jo@example.com...", &[(EMAIL, "jo@example.com")]),
    ("JO@EXAMPLE.COM", &[(EMAIL, "JO@EXAMPLE.COM")]),
    ("jo@example.com\u{200b}", &[(EMAIL, "jo@example.com")]),
    ("😀jo@example.com😀", &[(EMAIL, "jo@example.com")]),
    ("jo@example.com-", &[(EMAIL, "jo@example.com")]),
    ("jo@example.com/jo", &[(EMAIL, "jo@example.com")]),
    ("_jo_@example.museum", &[(EMAIL, "_jo_@example.museum")]),
    ("a@b.co,c@d.io", &[(EMAIL, "a@b.co"), (EMAIL, "c@d.io")]),
    ("jo@10mail.example.com", &[(EMAIL, "jo@10mail.example.com")]),
    // characters that HTML spells
    ("<a>mario&#64;example.com</a>", &[(EMAIL, "mario&#64;example.com")]),
    ("mario&#x40;example&#x2E;com", &[(EMAIL, "mario&#x40;example&#x2E;com")]),
    ("mario&commat;example&period;com!", &[(EMAIL, "mario&commat;example&period;com")]),
    ("mario&#46;rossi@example.com", &[(EMAIL, "mario&#46;rossi@example.com")]),
    ("&#106;&#111;&#64;&#97;&#46;&#105;&#111; ok", &[(EMAIL, "&#106;&#111;&#64;&#97;&#46;&#105;&#111;")]),
    ("&lt;jo@example.com&gt; &amp; jo&#64;example.com", &[(EMAIL, "jo@example.com"), (EMAIL, "jo&#64;example.com")]),
    ("4111&nbsp;1111&nbsp;1111&#160;1111", &[(CARD, "4111&nbsp;1111&nbsp;1111&#160;1111")]),
    ("&#52;111 1111 1111 1111.", &[(CARD, "&#52;111 1111 1111 1111")]),
    ("123&#45;45&#x2d;6789", &[(SSN, "123&#45;45&#x2d;6789")]),
    ("&plus;1 212 555 0123", &[(PHONE, "&plus;1 212 555 0123")]),
    ("10&period;1&#46;2.3", &[(IP, "10&period;1&#46;2.3")]),
    ("Tom &amp; Jerry &#8211; &copy; 2024, &#1234567890123; &#x; &#+64; a&#64 b.co &nbsp;", &[]),
    ("x &commat y, git&#64;github.com:acme/app.git", &[]),
    // characters that are percent-encoded
    ("mailto:mario%40example.com", &[(EMAIL, "mario%40example.com")]),
    ("https://x/?email=mario%40example.com&x=1", &[(EMAIL, "mario%40example.com")]),
    ("(?to=jo%2Btag%40sub%2eexample.co.uk#a)", &[(EMAIL, "jo%2Btag%40sub%2eexample.co.uk")]),
    ("/?next=%2F%3Femail%3Dmario%2540example.com", &[(EMAIL, "mario%2540example.com")]),
    ("tel:%2B49%2030%20123456", &[(PHONE, "%2B49%2030%20123456")]),
    ("card=4111%201111%201111%201111&x", &[(CARD, "4111%201111%201111%201111")]),
    ("ssn=123%2D45%2d6789", &[(SSN, "123%2D45%2d6789")]),
    ("100%40 off, \"%s%40d\", 40%, %40px, %+4 %4 %zz %0a, 5%20km, git%40github.com:acme/app.git", &[]),
    // telephone numbers with a country code
    ("+1 212 555 0123", &[(PHONE, "+1 212 555 0123")]),
    ("+12125550123", &[(PHONE, "+12125550123")]),
    ("Tel. +49 (0)30 123456-78.", &[(PHONE, "+49 (0)30 123456-78")]),
    ("+49 30 123456, heute", &[(PHONE, "+49 30 123456")]),
    ("https://x/?q=+49 30 123456&page=2", &[(PHONE, "+49 30 123456")]),
    ("PHONE=+4930123456", &[(PHONE, "+4930123456")]),
    ("tel=212-555-0123;fax=030 1234567", &[(PHONE, "212-555-0123"), (PHONE, "030 1234567")]),
    ("total=212-555-0123, id=+12", &[]),
    ("+44 20 7946 0958", &[(PHONE, "+44 20 7946 0958")]),
    ("+44 (0) 20 7946 0958", &[(PHONE, "+44 (0) 20 7946 0958")]),
    ("+33 1 42 68 53 00", &[(PHONE, "+33 1 42 68 53 00")]),
    ("+1-800-555-0199", &[(PHONE, "+1-800-555-0199")]),
    ("+1 (415) 555-2671", &[(PHONE, "+1 (415) 555-2671")]),
    ("+1 212 555 0123 5 times", &[(PHONE, "+1 212 555 0123")]),
    ("+86 138 0013 8000", &[(PHONE, "+86 138 0013 8000")]),
    ("+91-98765-43210", &[(PHONE, "+91-98765-43210")]),
    ("+420\u{a0}601\u{a0}123\u{a0}456", &[(PHONE, "+420\u{a0}601\u{a0}123\u{a0}456")]),
    ("(+34) 612 345 678", &[(PHONE, "+34) 612 345 678")]),
    ("0049 30 1234567", &[(PHONE, "0049 30 1234567")]),
    ("电话+8613800138000。", &[(PHONE, "+8613800138000")]),
    ("+49 30 123456 2nd floor", &[(PHONE, "+49 30 123456")]),
    // telephone numbers without a country code
    ("(212) 555-0123", &[(PHONE, "(212) 555-0123")]),
    ("(212)555-0123", &[(PHONE, "(212)555-0123")]),
    ("212-555-0123", &[(PHONE, "212-555-0123")]),
    ("212.555.0123", &[(PHONE, "212.555.0123")]),
    ("Ring 212 555 0123 or 415 555 2671", &[(PHONE, "212 555 0123"), (PHONE, "415 555 2671")]),
    ("1-800-555-0199", &[(PHONE, "1-800-555-0199")]),
    ("1 (800) 555-0199", &[(PHONE, "1 (800) 555-0199")]),
    ("212-555-0123x45", &[(PHONE, "212-555-0123")]),
    ("030 1234567", &[(PHONE, "030 1234567")]),
    ("0171/1234567", &[(PHONE, "0171/1234567")]),
    ("(030) 12345678", &[(PHONE, "(030) 12345678")]),
    ("020 7946 0958", &[(PHONE, "020 7946 0958")]),
    ("07911 123456", &[(PHONE, "07911 123456")]),
    ("06 12 34 56 78", &[(PHONE, "06 12 34 56 78")]),
    ("06-12345678", &[(PHONE, "06-12345678")]),
    ("0412 345 678", &[(PHONE, "0412 345 678")]),
    ("010-1234-5678", &[(PHONE, "010-1234-5678")]),
    ("(11) 91234-5678", &[(PHONE, "(11) 91234-5678")]),
    ("98765 43210", &[(PHONE, "98765 43210")]),
    ("138 0013 8000", &[(PHONE, "138 0013 8000")]),
    ("call me at 5550123", &[(PHONE, "5550123")]),
    ("phone: 555-0123", &[(PHONE, "555-0123")]),
    ("Mobile 07911123456", &[(PHONE, "07911123456")]),
    ("fax 2125550123.", &[(PHONE, "2125550123")]),
    // cards
    ("4111 1111 1111 1111", &[(CARD, "4111 1111 1111 1111")]),
    ("Card 4111-1111-1111-1111, 12/29", &[(CARD, "4111-1111-1111-1111")]),
    ("4111111111111111", &[(CARD, "4111111111111111")]),
    ("3782 822463 10005", &[(CARD, "3782 822463 10005")]),
    ("4111 1111 1111 1111 123", &[(CARD, "4111 1111 1111 1111")]),
    ("no. 12 5555 5555 5555 4444", &[(CARD, "5555 5555 5555 4444")]),
    ("4111\u{a0}1111\u{a0}1111\u{a0}1111", &[(CARD, "4111\u{a0}1111\u{a0}1111\u{a0}1111")]),
    ("卡号4111111111111111。", &[(CARD, "4111111111111111")]),
    ("5555555555554444 and 4222222222222", &[(CARD, "5555555555554444"), (CARD, "4222222222222")]),
    ("phone 4111 1111 1111 1111", &[(CARD, "4111 1111 1111 1111")]),
    // accounts
    ("DE89370400440532013000", &[(IBAN, "DE89370400440532013000")]),
    ("IBAN DE89 3704 0044 0532 0130 00 please", &[(IBAN, "DE89 3704 0044 0532 0130 00")]),
    ("gb29 nwbk 6016 1331 9268 19", &[(IBAN, "gb29 nwbk 6016 1331 9268 19")]),
    ("FR14 2004 1010 0505 0001 3M02 606", &[(IBAN, "FR14 2004 1010 0505 0001 3M02 606")]),
    ("(NL91ABNA0417164300)", &[(IBAN, "NL91ABNA0417164300")]),
    ("CH93-0076-2011-6238-5295-7", &[(IBAN, "CH93-0076-2011-6238-5295-7")]),
    ("账户NO9386011117947。", &[(IBAN, "NO9386011117947")]),
    // IP addresses
    ("192.168.0.1", &[(IP, "192.168.0.1")]),
    ("http://10.0.0.1:8080/x", &[(IP, "10.0.0.1")]),
    ("From 203.0.113.7, port 22", &[(IP, "203.0.113.7")]),
    ("10.0.0.0/8.", &[(IP, "10.0.0.0")]),
    ("8.8.8.8 8.8.4.4", &[(IP, "8.8.8.8"), (IP, "8.8.4.4")]),
    ("2001:db8::1", &[(IP, "2001:db8::1")]),
    ("It is 2001:db8:0:0:0:0:0:1.", &[(IP, "2001:db8:0:0:0:0:0:1")]),
    ("http://[2001:db8::1]:443/", &[(IP, "2001:db8::1")]),
    ("::1", &[(IP, "::1")]),
    ("fe80::1ff:fe23:4567:890a%eth2", &[(IP, "fe80::1ff:fe23:4567:890a")]),
    ("::ffff:192.0.2.128", &[(IP, "::ffff:192.0.2.128")]),
    ("2001:DB8::/32", &[(IP, "2001:DB8::")]),
    ("2001:db8::1: down", &[(IP, "2001:db8::1")]),
    // social security numbers
    ("123-45-6789", &[(SSN, "123-45-6789")]),
    ("SSN: 078-05-1120.", &[(SSN, "078-05-1120")]),
    ("ssn 536 22 1234", &[(SSN, "536 22 1234")]),
    // secrets
    ("sk-abcdefghij0123456789ABCDEFGHIJ", &[(KEY, "sk-abcdefghij0123456789ABCDEFGHIJ")]),
    ("key='sk-proj-Ab3dEf6hIj9kLmNoP-q_rStUvWxYz0123456'", &[(KEY, "sk-proj-Ab3dEf6hIj9kLmNoP-q_rStUvWxYz0123456")]),
    ("sk-ant-api03-Ab3dEf6hIj9kLmNoPqrStUv_Wx", &[(KEY, "sk-ant-api03-Ab3dEf6hIj9kLmNoPqrStUv_Wx")]),
    ("AKIAIOSFODNN7EXAMPLE", &[(KEY, "AKIAIOSFODNN7EXAMPLE")]),
    ("AWS_KEY=AKIAIOSFODNN7EXAMPLE;", &[(KEY, "AKIAIOSFODNN7EXAMPLE")]),
    ("ghp_0123456789abcdefghijABCDEFGHIJ012345", &[(KEY, "ghp_0123456789abcdefghijABCDEFGHIJ012345")]),
    ("gho_0123456789abcdefghijABCDEFGHIJ012345", &[(KEY, "gho_0123456789abcdefghijABCDEFGHIJ012345")]),
    (
        "github_pat_11ABCDEFG0abcdefghijkl_0123456789abcdefghij",
        &[(KEY, "github_pat_11ABCDEFG0abcdefghijkl_0123456789abcdefghij")],
    ),
    ("xoxb-000000000000-abcdefghijABCD", &[(KEY, "xoxb-000000000000-abcdefghijABCD")]),
    ("xoxp-000000000000-abcdefghijABCD.", &[(KEY, "xoxp-000000000000-abcdefghijABCD")]),
    ("AIzaSyA0123456789-abcdefghijklmnopqrstu", &[(KEY, "AIzaSyA0123456789-abcdefghijklmnopqrstu")]),
    (
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
        &[(KEY, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ")],
    ),
    // several findings
    (
        "jo@example.com, 10.0.0.1, 123-45-6789, +49 30 123456",
        &[(EMAIL, "jo@example.com"), (IP, "10.0.0.1"), (SSN, "123-45-6789"), (PHONE, "+49 30 123456")],
    ),
    ("jo@10.0.0.1", &[(IP, "10.0.0.1")]),
];

/// Texts without findings.
const NONE: &[&str] = &[
    "",
    "The quick brown fox jumps over the lazy dog.",
    // dates and times
    "2024-01-31",
    "31.01.2024",
    "01/02/2024",
    "2024-01-31T12:30:45.123456Z",
    "2024-01-31 12:30:45",
    "at 09:05 2024-01-15",
    "20240131123045",
    "call on 2024-01-31",
    "1700000000",
    "1700000000000",
    "12:30:45",
    // versions
    "1.2.3",
    "version 1.2.3.4",
    "v1.2.3.4",
    "Chrome/120.0.0.0 Safari/537.36",
    "Chrome/120.0.6099.109",
    "react@18.2.0",
    "lodash@4.17.21-rc.1",
    "C++17 and C++20",
    // prices and amounts
    "$1,234,567.89",
    "1.234.567,89 EUR",
    "12 345 678",
    "+5%",
    "2+34567890",
    "3.14159265358979",
    "0.123456789012",
    "1e+12345678",
    "100 000 000 000",
    // identifiers
    "550e8400-e29b-41d4-a716-446655440000",
    "12345678-1234-1234-1234-123456789012",
    "d41d8cd98f00b204e9800998ecf8427e",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "commit 5a977dd, issue #1234567",
    "ISBN 978-3-16-148410-0",
    "order 1234567890",
    "4111111111111112",
    "4111 1111 1111 1112",
    "1234 5678 9012 3456",
    "0000000000000000",
    "41111111111111111111",
    "x4111111111111111",
    "0.4111111111111111",
    "DE89370400440532013001",
    "XX89370400440532013000",
    "ADE89370400440532013000",
    "DE8937040044053201300",
    // invalid IP addresses
    "256.1.1.1",
    "1.2.3",
    "1.2.3.4.5",
    "01.02.03.04",
    "00:1a:2b:3c:4d:5e",
    "00:11:22:33:44:55:66:77",
    "::",
    "2001:db8:::1",
    "1:2:3:4:5:6:7:8:9",
    // invalid social security numbers
    "000-12-3456",
    "666-12-3456",
    "900-12-3456",
    "123-00-4567",
    "123-45-0000",
    "123-45-67890",
    "123-45-6789-1",
    "12345-6789",
    // code
    "std::vec::Vec<u8>",
    "Face::Add, dead::beef, a::b",
    "x[1::2] + y[::2]",
    "a[:, ::2]",
    "@decorator\ndef f(x): pass",
    "user@localhost",
    "a @ b.com",
    "@example.com",
    "jo@",
    "jo@.com",
    "jo@example",
    "jo@example.c",
    "jo.@example.com",
    "f(212) 5550",
    "sk-learn-and-other-names-of-packages-with-1-digit",
    "sk-short123",
    "task-abcdefghij0123456789ABCDEFGHIJ",
    "AKIAIOSFODNN7EXAMPL",
    "AKIAIOSFODNN7EXAMPLES",
    "XAKIAIOSFODNN7EXAMPLE",
    "AKIA",
    "ghp_tooshort",
    "my_ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJhbGciOiJIUzI1NiJ9.nothing.c2lnbmF0dXJl",
    "1, 2, 3, 10, 20, 30, 100, 200, 300",
    "01 02 03 04 05 06 07 08 09 10",
    "10 20 30 40 50 60 70 80 90",
    "rgb(255, 255, 255) #ffffff",
    "width=1234567890",
    "hotel 2125550123",
];

fn found(text: &str) -> Vec<(String, &str)> {
    all().find(text).into_iter().map(|finding| (finding.entity.to_string(), &text[finding.span])).collect()
}

fn expected<'a>(want: &[(&str, &'a str)]) -> Vec<(String, &'a str)> {
    want.iter().map(|(entity, value)| ((*entity).to_owned(), *value)).collect()
}

#[test]
fn findings() {
    assert!(FOUND.len() >= 80);
    let wrong: Vec<_> = FOUND.iter().filter(|(text, want)| found(text) != expected(want)).collect();
    for (text, want) in &wrong {
        println!("{text:?}\n  want {want:?}\n  have {:?}", found(text));
    }
    assert!(wrong.is_empty());
}

#[test]
fn texts_without_findings() {
    assert!(NONE.len() >= 40);
    let wrong: Vec<_> = NONE.iter().filter(|text| !found(text).is_empty()).collect();
    for text in &wrong {
        println!("{text:?}: {:?}", found(text));
    }
    assert!(wrong.is_empty());
}

#[test]
fn any_surroundings() {
    let surroundings = [("", ""), (" ", " "), ("\n", "\n"), ("(", ")"), ("\"", "\""), ("：", "。"), ("😀", "😀")];
    for (text, want) in FOUND {
        for (before, after) in surroundings {
            if before == "(" && want.iter().any(|(entity, _)| *entity == PHONE) {
                continue; // the parenthesis is a part of it
            }
            let text = format!("{before}{text}{after}");
            assert_eq!(found(&text), expected(want), "{text:?}");
        }
    }
}

#[test]
fn only_wanted_entities() {
    for entity in Entity::ALL {
        let patterns = Patterns::new(&[*entity], &[]).unwrap();
        for (text, want) in FOUND {
            let found: Vec<_> = patterns
                .find(text)
                .into_iter()
                .map(|finding| (finding.entity.to_string(), &text[finding.span]))
                .collect();
            let want: Vec<_> = expected(want).into_iter().filter(|(name, _)| name == entity.name()).collect();
            assert_eq!(found, want, "{text:?}, {}", entity.name());
        }
    }
    let nothing = Patterns::new(&[], &[]).unwrap();
    assert!(FOUND.iter().all(|(text, _)| nothing.find(text).is_empty()));
}

#[test]
fn names() {
    for entity in Entity::ALL {
        assert_eq!(Entity::from_name(entity.name()), Some(*entity));
    }
    assert_eq!(Entity::from_name("PERSON"), None);
}

#[test]
fn a_name_or_domain_that_is_too_long() {
    let address = |local: usize, label: usize| format!("{}@{}.com", "a".repeat(local), "b".repeat(label));
    for (local, label, count) in [(64, 63, 1), (65, 63, 0), (64, 64, 0)] {
        assert_eq!(all().find(&address(local, label)).len(), count, "{local}, {label}");
    }
    let long = format!("a@{}com", "b.".repeat(150));
    assert_eq!(all().find(&long).len(), 0);
}
