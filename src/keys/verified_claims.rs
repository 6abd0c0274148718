//! Reads the claims of a token from Envoy.
//!
//! Envoy serialises a value for a filter without its type: a text as it is, a number as the eight bytes of a double, a
//! list in the format of header maps, with empty values. So only the expected type says how to read a claim. A value
//! with a null anywhere inside is not passed on at all. So claims are read one by one: a null in an unused claim does
//! no harm.

use serde_json::{Map, Number, Value};

use super::Oidc;

/// Envoy's answer to the request for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Property {
    /// There is none.
    Missing,
    /// It exists, but Envoy cannot pass it on.
    Unreadable,
    /// Its bytes.
    Is(Vec<u8>),
}

/// Converts a claim to JSON; `None` if it does not have the expected type.
type Reader = fn(&[u8]) -> Option<Value>;

/// Envoy's message for an expired token.
const EXPIRED: &[u8] = b"Jwt is expired";

impl Oidc {
    /// The relevant claims, by their configured names, for [`Oidc::identity`]. `read` asks Envoy for the value at a
    /// path within the claims. `None` if no token has been verified.
    ///
    /// ```
    /// use sluice::keys::{Oidc, Property};
    ///
    /// let read = |path: &[&str]| match path {
    ///     [] | ["roles"] => Property::Unreadable,
    ///     ["sub"] => Property::Is(b"alice".to_vec()),
    ///     _ => Property::Missing,
    /// };
    /// let claims = Oidc::new("jwt").verified_claims(&read).unwrap();
    /// assert_eq!(claims, serde_json::json!({"sub": "alice", "roles": false}));
    /// ```
    pub fn verified_claims(&self, read: &dyn Fn(&[&str]) -> Property) -> Option<Value> {
        if read(&[]) == Property::Missing {
            return None;
        }
        let readers: [(&str, Reader); 5] = [
            (&self.id_claim, |bytes| text(bytes).map(Value::from)),
            (&self.roles_claim, words),
            (&self.models_claim, words),
            ("exp", number),
            ("iat", number),
        ];
        let mut claims = Map::new();
        for (name, reader) in readers {
            let value = match find(name, read) {
                Property::Missing => continue,
                // neither text nor list: an unreadable claim must not count as missing
                Property::Unreadable => Value::Bool(false),
                Property::Is(bytes) => reader(&bytes).unwrap_or(Value::Bool(false)),
            };
            claims.insert(name.to_owned(), value);
        }
        Some(Value::Object(claims))
    }

    /// Whether the token that Envoy refused has expired; `message` is Envoy's reason.
    pub fn is_expired(message: &Property) -> bool {
        matches!(message, Property::Is(bytes) if bytes == EXPIRED)
    }
}

/// The claim with this exact name, or the nested one.
fn find(name: &str, read: &dyn Fn(&[&str]) -> Property) -> Property {
    match read(&[name]) {
        Property::Missing if name.contains('.') => read(&name.split('.').collect::<Vec<_>>()),
        found => found,
    }
}

/// A text. Numbers, lists and objects contain control characters, except for unusual numbers.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

fn words(bytes: &[u8]) -> Option<Value> {
    match text(bytes) {
        Some(text) => Some(text.into()),
        None => list(bytes)?.into_iter().map(|element| text(element).map(Value::from)).collect(),
    }
}

fn number(bytes: &[u8]) -> Option<Value> {
    let double = f64::from_le_bytes(bytes.try_into().ok()?);
    Number::from_f64(double).map(Value::Number)
}

/// The elements of a list: their number, the sizes of each element and of its empty value, then each element and its
/// empty value with a NUL after it (little endian, 32 bits).
fn list(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, rest) = size(bytes)?;
    let (sizes, mut rest) = rest.split_at_checked(count.checked_mul(8)?)?;
    let mut elements = Vec::with_capacity(count);
    for pair in sizes.chunks_exact(8) {
        let (length, beside) = size(pair)?;
        let (element, after) = rest.split_at_checked(length)?;
        rest = after.strip_prefix(&[0, 0])?;
        if beside != [0; 4] {
            return None;
        }
        elements.push(element);
    }
    rest.is_empty().then_some(elements)
}

fn size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}
