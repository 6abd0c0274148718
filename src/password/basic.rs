//! The client's credentials: `authorization: Basic ...` (RFC 7617).

use crate::base64::decode_standard;
use crate::routing::Secret;

/// The longest name, in bytes.
pub const MAX_NAME: usize = 256;
/// The longest password, in bytes.
pub const MAX_PASSWORD: usize = 1024;
/// The longest base64 that can hold both.
const MAX_DIGITS: usize = (MAX_NAME + 1 + MAX_PASSWORD).div_ceil(3) * 4;

/// The name and password in an `authorization` header; the scheme may be in any letter case (RFC 9110, 11.1). The password
/// may contain colons, the name may not (RFC 7617, section 2).
///
/// `None` for another scheme, for anything that is not base64 or not UTF-8, without a colon, with a control character,
/// or empty or too long on either side. Bytes are compared without normalization.
///
/// ```
/// use sluice::password::credentials;
///
/// let (name, password) = credentials("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
/// assert_eq!((name.as_str(), password.expose()), ("Aladdin", "open sesame"));
/// assert_eq!(credentials("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), None);
/// ```
pub fn credentials(header: &str) -> Option<(String, Secret)> {
    let (scheme, digits) = header.split_once(' ')?;
    let digits = digits.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("basic") || digits.len() > MAX_DIGITS {
        return None;
    }
    let text = String::from_utf8(decode_standard(digits)?).ok()?;
    let (name, password) = text.split_once(':')?;
    let presented = is_name(name) && is_password(password);
    presented.then(|| (name.to_owned(), Secret::new(password.to_owned())))
}

/// Whether a client could send this name.
pub fn is_name(name: &str) -> bool {
    is_plain(name, MAX_NAME) && !name.contains(':')
}

fn is_password(password: &str) -> bool {
    is_plain(password, MAX_PASSWORD)
}

fn is_plain(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && !text.chars().any(char::is_control)
}
