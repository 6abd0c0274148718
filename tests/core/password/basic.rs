use proptest::collection::vec;
use proptest::prelude::*;
use sluice::base64::encode_standard;
use sluice::password::{credentials, is_name, MAX_NAME, MAX_PASSWORD};

use crate::generate::text;

fn read(header: &str) -> Option<(String, String)> {
    credentials(header).map(|(name, password)| (name, password.expose().to_owned()))
}

fn basic(login: &[u8]) -> String {
    format!("Basic {}", encode_standard(login))
}

#[test]
fn headers() {
    let aladdin = Some(("Aladdin", "open sesame"));
    let cases = [
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", aladdin), // RFC 7617, section 2
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", aladdin),
        ("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", aladdin),
        ("BASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ== ", aladdin),
        ("Basic dGVzdDoxMjPCow==", Some(("test", "123£"))), // RFC 7617, section 2.1
        ("", None),
        ("Basic", None),
        ("Basic ", None),
        ("BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==", None),
        (" Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", None),
        ("Basic\tQWxhZGRpbjpvcGVuIHNlc2FtZQ==", None),
        ("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", None),
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==, Basic QWxh", None),
        ("Basic Aladdin:open", None),
    ];
    for (header, want) in cases {
        let read = read(header);
        assert_eq!(read.as_ref().map(|(name, password)| (name.as_str(), password.as_str())), want, "{header:?}");
    }
}

#[test]
fn logins() {
    let [name, password] = [MAX_NAME, MAX_PASSWORD].map(|length| "x".repeat(length));
    let cases: &[(&str, Vec<u8>, Option<(&str, &str)>)] = &[
        ("colons in the password", b"a:b:c:".to_vec(), Some(("a", "b:c:"))),
        ("spaces are kept", b" a : b ".to_vec(), Some((" a ", " b "))),
        ("the longest", format!("{name}:{password}").into(), Some((&name, &password))),
        ("too long a name", format!("{name}x:b").into(), None),
        ("too long a password", format!("a:{password}x").into(), None),
        ("too long altogether", format!("{name}x:{password}xxx").into(), None),
        ("no colon", b"ab".to_vec(), None),
        ("no name", b":b".to_vec(), None),
        ("no password", b"a:".to_vec(), None),
        ("a colon", b":".to_vec(), None),
        ("nothing", b"".to_vec(), None),
        ("a zero byte in the name", b"a\0:b".to_vec(), None),
        ("a line end in the name", b"a\n:b".to_vec(), None),
        ("a delete in the name", b"a\x7f:b".to_vec(), None),
        ("a C1 control in the name", "a\u{85}:b".into(), None),
        ("a control in the password", b"a:\x1bb".to_vec(), None),
        ("not UTF-8", b"a:\xff".to_vec(), None),
        ("half a character", b"a:\xe2\x82".to_vec(), None),
    ];
    for (case, login, want) in cases {
        let read = read(&basic(login));
        assert_eq!(read.as_ref().map(|(name, password)| (name.as_str(), password.as_str())), *want, "{case}");
    }
}

#[test]
fn a_password_is_not_printed() {
    let printed = format!("{:?}", credentials(&basic(b"alice:sesame")));
    assert!(printed.contains("alice") && !printed.contains("sesame"), "{printed}");
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn any_bytes(login in vec(prop_oneof![any::<u8>(), Just(b':'), Just(b'a')], 0..40)) {
        let header = basic(&login);
        if let Some((name, password)) = read(&header) {
            prop_assert!(is_name(&name));
            prop_assert_eq!([name.as_bytes(), password.as_bytes()].join(&b':'), login);
        }
    }

    #[test]
    fn any_header(header in text()) {
        let _ = credentials(&header);
        let _ = credentials(&format!("Basic {header}"));
    }
}
