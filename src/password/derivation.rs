//! PBKDF2-HMAC-SHA256 (RFC 8018, 5.2), a slice at a time.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// HMAC's block size: a shorter key is padded to it, a longer one is hashed first (RFC 2104).
const BLOCK: usize = 64;

/// The progress of a derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Iterations are left.
    More,
    /// No iterations are left.
    Done,
}

/// The derivation of one 32-byte hash. It holds HMAC's state, not the password.
#[derive(Clone)]
pub struct Derivation {
    /// HMAC with its key: cloned for each iteration, so that the key's two blocks are hashed only once.
    keyed: Hmac<Sha256>,
    last: [u8; 32],
    sum: [u8; 32],
    left: u32,
}

impl fmt::Debug for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Derivation(***, {} left)", self.left)
    }
}

impl Derivation {
    /// Does the first iteration.
    ///
    /// ```
    /// use sluice::password::{Derivation, PasswordHash, Progress};
    ///
    /// let text = PasswordHash::make(b"open sesame", b"8 bytes+", 1_000).unwrap();
    /// let hash = PasswordHash::parse(&text).unwrap();
    /// let mut derivation = Derivation::start(b"open sesame", hash.salt(), hash.iterations());
    /// assert_eq!(derivation.work(900), Progress::More);
    /// assert!(!derivation.matches(hash.hash()), "not yet");
    /// assert_eq!(derivation.work(900), Progress::Done);
    /// assert!(derivation.matches(hash.hash()));
    /// ```
    pub fn start(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let keyed = keyed(password);
        let first = mac(&keyed, &[salt, &1_u32.to_be_bytes()]);
        Derivation { keyed, last: first, sum: first, left: iterations.saturating_sub(1) }
    }

    /// Runs up to this many further iterations.
    pub fn work(&mut self, iterations: u32) -> Progress {
        let iterations = iterations.min(self.left);
        for _ in 0..iterations {
            self.last = mac(&self.keyed, &[&self.last]);
            for (sum, byte) in self.sum.iter_mut().zip(self.last) {
                *sum ^= byte;
            }
        }
        self.left -= iterations;
        match self.left {
            0 => Progress::Done,
            1.. => Progress::More,
        }
    }

    /// The number of iterations left.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// The derived hash; `None` while it is running.
    pub fn derived(&self) -> Option<[u8; 32]> {
        (self.left == 0).then_some(self.sum)
    }

    /// Whether it has finished with this hash. The time does not depend on where the two differ.
    pub fn matches(&self, hash: &[u8; 32]) -> bool {
        self.left == 0 && self.sum.ct_eq(hash).into()
    }
}

/// HMAC-SHA256 with this key, nothing hashed yet.
pub(super) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let digest: [u8; 32];
    let key = match key.len() {
        ..=BLOCK => key,
        _ => {
            digest = Sha256::digest(key).into();
            &digest
        }
    };
    let mut block = [0; BLOCK];
    for (byte, key) in block.iter_mut().zip(key) {
        *byte = *key;
    }
    Hmac::new(&block.into())
}

/// The MAC of these parts, one after the other.
pub(super) fn mac(keyed: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
