//! Virtual keys: claims that the gateway itself has signed, so every gateway with the secret accepts them at once.
//!
//! ```text
//! sk-sluice-<claims as JSON, base64url>.<HMAC-SHA256 over "sluice-key-v1." and the text before the point, base64url>
//! ```

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Claims, MAX_KEY};
use crate::base64::{decode_url, encode_url};

/// The prefix of every virtual key.
pub const TOKEN_PREFIX: &str = "sk-sluice-";

/// Signed before the payload, so that a signature for another purpose is never valid for a key.
const DOMAIN: &[u8] = b"sluice-key-v1.";

/// The shortest secret, in bytes: as long as the tag (RFC 2104, 3).
const MIN_SECRET: usize = 32;

/// Signs and verifies virtual keys. The first secret signs; the second, if there is one, is the previous one, whose
/// keys are valid until they expire.
#[derive(Clone)]
pub struct Signer {
    first: Hmac<Sha256>,
    second: Option<Hmac<Sha256>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer(***)")
    }
}

/// The secret has fewer than 32 bytes, so the owner of a key could guess it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretError {
    /// Its number of bytes.
    pub length: usize,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.length;
        write!(f, "has {length} bytes, but needs {MIN_SECRET} or more; make one with: openssl rand -hex 32")
    }
}

/// Why a text is not a valid virtual key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It does not look like one.
    NotAToken,
    /// It looks like one, but is unreadable.
    Malformed,
    /// None of the secrets signed it.
    BadSignature,
    /// It has expired.
    Expired,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenError::NotAToken => "not a virtual key: those begin with sk-sluice-",
            TokenError::Malformed => "malformed: it was cut, or is of another version",
            TokenError::BadSignature => "the signature is not of this secret, or the key was changed",
            TokenError::Expired => "expired",
        })
    }
}

impl Signer {
    /// Signs with `first` and verifies with both.
    ///
    /// # Errors
    /// One of them is too short.
    pub fn new(first: &[u8], second: Option<&[u8]>) -> Result<Self, SecretError> {
        Ok(Signer { first: keyed(first)?, second: second.map(keyed).transpose()? })
    }

    /// The key for these claims.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::keys::{IssueRequest, Signer, TokenError};
    ///
    /// let at = Duration::from_secs;
    /// let signer = Signer::new(b"a secret that has at least 32 bytes", None).unwrap();
    /// let claims = IssueRequest::read(br#"{"id": "alice", "expires_in": 60}"#, at(3600), at(1000), "").unwrap();
    /// let key = signer.sign(&claims);
    /// assert_eq!(signer.verify(&key, at(1059)), Ok(claims));
    /// assert_eq!(signer.verify(&key, at(1060)), Err(TokenError::Expired));
    /// assert_eq!(signer.verify(&format!("{key}A"), at(1059)), Err(TokenError::Malformed));
    /// ```
    pub fn sign(&self, claims: &Claims) -> String {
        let payload = encode_url(claims.to_json().as_bytes());
        let tag = over(&self.first, &payload).finalize().into_bytes();
        format!("{TOKEN_PREFIX}{payload}.{}", encode_url(&tag))
    }

    /// The claims of a key that is valid at `now` (since the epoch). Nothing is parsed before the signature is
    /// verified.
    ///
    /// # Errors
    /// Why it is not valid.
    pub fn verify(&self, presented: &str, now: Duration) -> Result<Claims, TokenError> {
        let (payload, tag) = parts(presented)?;
        let tag = decode_url(tag).filter(|tag| tag.len() == 32).ok_or(TokenError::Malformed)?;
        let signed = |secret: &Hmac<Sha256>| over(secret, payload).verify_slice(&tag).is_ok();
        // both are always tried, so that the time does not reveal which one matches
        if !(signed(&self.first) | self.second.as_ref().is_some_and(signed)) {
            return Err(TokenError::BadSignature);
        }
        let claims = read(payload)?;
        if now >= claims.expires() {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }
}

impl Claims {
    /// The claims of a virtual key without verification: only for display, never for decisions.
    ///
    /// # Errors
    /// It does not look like one, or is unreadable.
    pub fn unverified(presented: &str) -> Result<Self, TokenError> {
        parts(presented).and_then(|(payload, _)| read(payload))
    }
}

/// The payload and the tag, as written.
fn parts(presented: &str) -> Result<(&str, &str), TokenError> {
    if presented.len() > MAX_KEY {
        return Err(TokenError::NotAToken);
    }
    let body = presented.strip_prefix(TOKEN_PREFIX).ok_or(TokenError::NotAToken)?;
    body.split_once('.').ok_or(TokenError::Malformed)
}

fn read(payload: &str) -> Result<Claims, TokenError> {
    let json = decode_url(payload).ok_or(TokenError::Malformed)?;
    Claims::from_json(&json).ok_or(TokenError::Malformed)
}

fn keyed(secret: &[u8]) -> Result<Hmac<Sha256>, SecretError> {
    let error = SecretError { length: secret.len() };
    if secret.len() < MIN_SECRET {
        return Err(error);
    }
    Hmac::new_from_slice(secret).map_err(|_| error)
}

fn over(secret: &Hmac<Sha256>, payload: &str) -> Hmac<Sha256> {
    secret.clone().chain_update(DOMAIN).chain_update(payload.as_bytes())
}
