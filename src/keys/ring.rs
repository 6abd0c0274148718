//! The configured keys.
//!
//! Only the SHA-256 of a key is configured. The presented key is hashed and looked up by its digest, so the time of a
//! lookup does not reveal how much of a guessed *key* was right. Digests are compared in constant time, so the time
//! does not reveal the digest either.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Identity, MAX_KEY};

/// The SHA-256 of a client key.
#[derive(Clone, Copy, Eq)]
pub struct KeyHash([u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash(***)")
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl KeyHash {
    /// Hashes a key.
    pub fn of(key: &str) -> Self {
        KeyHash(Sha256::digest(key.as_bytes()).into())
    }

    /// Hashes a client's key; `None` if it cannot be a key.
    pub(super) fn of_presented(presented: &str) -> Option<Self> {
        (!presented.is_empty() && presented.len() <= MAX_KEY).then(|| KeyHash::of(presented))
    }

    /// Reads `sha256:` and 64 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?;
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            for digit in pair {
                *byte = *byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
            }
        }
        Some(KeyHash(hash))
    }

    /// The text that [`KeyHash::parse`] reads.
    ///
    /// ```
    /// use sluice::keys::KeyHash;
    ///
    /// let text = KeyHash::of("sk-1").to_text();
    /// assert!(KeyHash::parse(&text) == Some(KeyHash::of("sk-1")));
    /// ```
    pub fn to_text(&self) -> String {
        use fmt::Write;
        self.0.iter().fold(String::from("sha256:"), |mut text, byte| {
            let _always_works = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No such key, or it was not signed by this gateway.
    Unknown,
    /// It has expired.
    Expired,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Unknown => write!(f, "Incorrect API key provided."),
            KeyError::Expired => write!(f, "The API key has expired."),
        }
    }
}

/// Every configured key.
#[derive(Debug, Default)]
pub struct KeyRing {
    by_hash: HashMap<KeyHash, Rc<Identity>>,
}

impl KeyRing {
    /// Adds a key; `false` if the hash was already there.
    pub fn insert(&mut self, hash: KeyHash, identity: Identity) -> bool {
        self.by_hash.insert(hash, Rc::new(identity)).is_none()
    }

    /// The owner of a presented key.
    ///
    /// # Errors
    /// No such key, or it has expired at `now` (since the epoch).
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::keys::{Identity, KeyError, KeyHash, KeyRing, Role};
    /// use sluice::pattern::Patterns;
    ///
    /// let now = Duration::from_secs(1_800_000_000);
    /// let mut ring = KeyRing::default();
    /// ring.insert(KeyHash::of("sk-1"), Identity::new("one", Role::User, Patterns::any()));
    /// assert_eq!(ring.find("sk-1", now).map(|identity| identity.id.clone()), Ok("one".to_owned()));
    /// assert_eq!(ring.find("sk-2", now), Err(KeyError::Unknown));
    /// ```
    pub fn find(&self, presented: &str, now: Duration) -> Result<Rc<Identity>, KeyError> {
        let hash = KeyHash::of_presented(presented).ok_or(KeyError::Unknown)?;
        self.get(&hash, now).ok_or(KeyError::Unknown)?
    }

    /// The owner of the key with this hash; `None` if there is none.
    pub(super) fn get(&self, hash: &KeyHash, now: Duration) -> Option<Result<Rc<Identity>, KeyError>> {
        let identity = self.by_hash.get(hash)?;
        Some(if identity.is_expired(now) { Err(KeyError::Expired) } else { Ok(identity.clone()) })
    }

    /// The owners of all keys, in any order.
    pub fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.by_hash.values().map(Rc::as_ref)
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }
}
