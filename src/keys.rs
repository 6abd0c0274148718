//! Client keys: who is calling.
//!
//! Only the SHA-256 of a key is configured; the presented key is hashed and looked up by its digest, so the
//! time a lookup takes says nothing about how much of a guessed *key* was right.

use std::fmt;
use std::rc::Rc;

use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use crate::pattern::Patterns;

/// The longest key that is hashed; a longer one is no key of ours.
const MAX_KEY: usize = 4096;

/// What a caller may do beyond using models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Uses models.
    User,
    /// Also sees and changes the gateway's state.
    Admin,
}

/// Who is calling, once the key is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key's id: the name it has in stats and logs.
    pub id: String,
    /// The caller's role.
    pub role: Role,
    /// The models the key may use.
    pub models: Patterns,
}

/// The SHA-256 of a client key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash(***)")
    }
}

impl KeyHash {
    /// Hashes a key.
    pub fn of(key: &str) -> Self {
        KeyHash(Sha256::digest(key.as_bytes()).into())
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
}

/// Every key the gateway knows.
#[derive(Debug, Default)]
pub struct KeyRing {
    by_hash: HashMap<KeyHash, Rc<Identity>>,
}

impl KeyRing {
    /// Adds a key; `false` if the hash was already there.
    pub fn insert(&mut self, hash: KeyHash, identity: Identity) -> bool {
        self.by_hash.insert(hash, Rc::new(identity)).is_none()
    }

    /// Whom a presented key belongs to.
    ///
    /// ```
    /// use sluice::keys::{Identity, KeyHash, KeyRing, Role};
    /// use sluice::pattern::Patterns;
    ///
    /// let mut ring = KeyRing::default();
    /// ring.insert(KeyHash::of("sk-1"), Identity { id: "one".into(), role: Role::User, models: Patterns::any() });
    /// assert_eq!(ring.find("sk-1").map(|identity| identity.id.as_str()), Some("one"));
    /// assert!(ring.find("sk-2").is_none());
    /// ```
    pub fn find(&self, presented: &str) -> Option<&Rc<Identity>> {
        if presented.is_empty() || presented.len() > MAX_KEY {
            return None;
        }
        self.by_hash.get(&KeyHash::of(presented))
    }
}

/// The key in an `authorization` header: after `Bearer`, in any case (RFC 9110, 11.1).
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}
