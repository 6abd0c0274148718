//! A password's hash in the configuration.

use std::fmt;

use super::derivation::Derivation;
use crate::base64::{decode_standard, encode_standard};

/// The fewest iterations.
pub const MIN_ITERATIONS: u32 = 1_000;
/// The most iterations.
pub const MAX_ITERATIONS: u32 = 2_000_000;
/// The iterations for an unknown name if there are no users at all.
const DECOY_ITERATIONS: u32 = 600_000;
const MIN_SALT: usize = 8;
const MAX_SALT: usize = 64;
const SCHEME: &str = "pbkdf2-sha256";

/// A salted PBKDF2-HMAC-SHA256 hash: `pbkdf2-sha256$<iterations>$<base64 salt>$<base64 hash>`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    iterations: u32,
    salt: Vec<u8>,
    hash: [u8; 32],
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// Why a text is not a hash. The error never contains the text: an operator may have pasted the password itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashError {
    /// Not four parts, or the first is not the scheme.
    Form,
    /// Not a number of iterations, or one out of range.
    Iterations,
    /// Not base64, or a salt with an invalid length.
    Salt,
    /// Not base64, or not 32 bytes.
    Hash,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashError::Form => write!(f, "must be \"{SCHEME}$<iterations>$<base64 salt>$<base64 hash>\""),
            HashError::Iterations => write!(f, "its iterations must be {MIN_ITERATIONS} to {MAX_ITERATIONS}"),
            HashError::Salt => write!(f, "its salt must be {MIN_SALT} to {MAX_SALT} bytes in base64"),
            HashError::Hash => write!(f, "its hash must be 32 bytes in base64"),
        }?;
        f.write_str("; make one with: ")?;
        f.write_str(HOW_TO_MAKE_ONE)
    }
}

impl std::error::Error for HashError {}

/// Reads the password from the terminal, so that it is in no shell history.
const HOW_TO_MAKE_ONE: &str = "python3 -c 'import base64, getpass, hashlib, os; s = os.urandom(16); \
    h = hashlib.pbkdf2_hmac(\"sha256\", getpass.getpass().encode(), s, 600000); \
    print(\"pbkdf2-sha256$600000$%s$%s\" % tuple(base64.b64encode(b).decode() for b in (s, h)))'";

impl PasswordHash {
    /// Reads a hash. Padding of the base64 may be left out.
    ///
    /// # Errors
    /// The first invalid part.
    ///
    /// ```
    /// use sluice::password::{HashError, PasswordHash};
    ///
    /// let text = PasswordHash::make(b"open sesame", b"8 bytes+", 1_000).unwrap();
    /// assert!(PasswordHash::parse(&text).is_ok());
    /// assert_eq!(PasswordHash::parse("open sesame"), Err(HashError::Form));
    /// ```
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let mut parts = text.split('$');
        let (Some(SCHEME), Some(iterations), Some(salt), Some(hash), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HashError::Form);
        };
        let iterations = number(iterations).filter(|count| are_iterations(*count)).ok_or(HashError::Iterations)?;
        let salt = decode_standard(salt).filter(|salt| is_salt(salt)).ok_or(HashError::Salt)?;
        let hash = decode_standard(hash).and_then(|hash| hash.try_into().ok()).ok_or(HashError::Hash)?;
        Ok(PasswordHash { iterations, salt, hash })
    }

    /// Writes the hash of a password, for a command line: it does all the work at once, which a worker must not. The
    /// salt must be random.
    ///
    /// # Errors
    /// If [`PasswordHash::parse`] would refuse it.
    pub fn make(password: &[u8], salt: &[u8], iterations: u32) -> Result<String, HashError> {
        if !are_iterations(iterations) {
            return Err(HashError::Iterations);
        }
        if !is_salt(salt) {
            return Err(HashError::Salt);
        }
        let mut derivation = Derivation::start(password, salt, iterations);
        let _done = derivation.work(iterations);
        let hash = derivation.derived().ok_or(HashError::Hash)?;
        Ok(format!("{SCHEME}${iterations}${}${}", encode_standard(salt), encode_standard(&hash)))
    }

    /// A decoy if there are no users. The caller must make sure that it matches nothing.
    pub(super) fn decoy() -> Self {
        PasswordHash { iterations: DECOY_ITERATIONS, salt: vec![0; 16], hash: [0; 32] }
    }

    /// The cost of a check.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The derived hash of the right password.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

/// A number of digits without leading zeros, so that a hash has one spelling.
fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    is_plain.then(|| text.parse().ok()).flatten()
}

fn are_iterations(count: u32) -> bool {
    (MIN_ITERATIONS..=MAX_ITERATIONS).contains(&count)
}

fn is_salt(salt: &[u8]) -> bool {
    (MIN_SALT..=MAX_SALT).contains(&salt.len())
}
