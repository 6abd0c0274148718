//! The virtual keys that were issued lately, for operators to see. Not the keys themselves: nobody has those but
//! whom they were given to.

use std::collections::VecDeque;
use std::time::Duration;

use super::Claims;
use crate::codec::{Forgettable, Reader, SharedRecord, Writer};

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
}

/// The claims of each key, as JSON.
impl SharedRecord for Issued {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        self.claims.iter().for_each(|claims| out.text(&claims.to_json()));
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let claims = input.list_to_end(Self::MAX, |input| Claims::from_json(input.text()?.as_bytes()))?;
        Some(Issued { claims: claims.into() })
    }
}

/// No key depends on it.
impl Forgettable for Issued {}
