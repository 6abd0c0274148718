//! The recently issued virtual keys, for operators. The keys themselves are not stored: only their owners have them.

use std::collections::VecDeque;
use std::time::Duration;

use super::Claims;
use crate::codec::{Forgettable, Reader, SharedRecord, Writer};

/// The claims of the last issued keys, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issued {
    claims: VecDeque<Claims>,
}

impl Issued {
    /// The maximum number of stored keys.
    pub const MAX: usize = 1_000;

    /// Adds a key. If it is full, the oldest one is dropped.
    pub fn add(&mut self, claims: Claims) {
        if self.claims.len() >= Self::MAX {
            self.claims.pop_front();
        }
        self.claims.push_back(claims);
    }

    /// Drops the keys that have expired at `now`.
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

/// The list is only for information.
impl Forgettable for Issued {}
