//! The virtual keys that were issued lately, for operators to see. Not the keys themselves: nobody has those but
//! whom they were given to.

use std::collections::VecDeque;
use std::time::Duration;

use super::bytes::{read_text, write_text};
use super::Claims;

const VERSION: u8 = 1;

/// The claims of the keys issued last, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issued {
    claims: VecDeque<Claims>,
}

impl Issued {
    /// The most keys that are kept.
    pub const MAX: usize = 1_000;

    /// Adds a key. The oldest one makes room for it.
    pub fn add(&mut self, claims: Claims) {
        if self.claims.len() >= Self::MAX {
            self.claims.pop_front();
        }
        self.claims.push_back(claims);
    }

    /// Forgets the keys that have ended at `now`.
    pub fn prune(&mut self, now: Duration) {
        self.claims.retain(|claims| now < claims.expires());
    }

    /// The keys, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Claims> {
        self.claims.iter()
    }

    /// The bytes to share: the version, and for each key the length of its claims (2 bytes, little-endian) and the
    /// claims as JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for claims in &self.claims {
            write_text(&mut out, &claims.to_json());
        }
        out
    }

    /// Reads shared bytes; none at all are an empty list, and so is what cannot be read, such as another version's:
    /// no key depends on it.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut issued = Issued::default();
        let (version, mut rest) = bytes.split_first()?;
        while !rest.is_empty() {
            if issued.claims.len() >= Self::MAX {
                return None;
            }
            issued.add(Claims::from_json(read_text(&mut rest)?.as_bytes())?);
        }
        (*version == VERSION).then_some(issued)
    }
}
