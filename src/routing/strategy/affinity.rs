//! `affinity`: the same user, key or prompt goes to the same target, whose prompt cache has its prompt.
//!
//! Weighted rendezvous hashing (highest random weight: Thaler and Ravishankar, 1998; the logarithmic method for
//! weights: Schindelhauer and Schomaker, 2005). Each target's score for a request is `-weight / ln(h)`, where `h` is a
//! number between 0 and 1 hashed from both; the highest score wins. There is no state, so all workers and gateways
//! agree, and a restart changes nothing. When a target is ejected, only its own requests move, each to the next target
//! in its own order; when it returns, they move back. A new target takes over just its share.
//!
//! ```
//! use sluice::config::Object;
//! use sluice::routing::{by_name, PickInputs, Member, Pick, TargetSet};
//!
//! let members = [11, 22, 33].map(|identity| Member { identity, ..Member::default() });
//! let affinity = (by_name("affinity").unwrap().build)(&Object::empty("strategy"), &members).unwrap();
//! let pick = |user, allowed| affinity.pick(&PickInputs { affinity: user, ..PickInputs::among(allowed) });
//! let mut allowed = TargetSet::first(3);
//! let Pick::Target(home) = pick(42, allowed) else { panic!() };
//! assert_eq!(pick(42, allowed), Pick::Target(home));
//! allowed.remove(home);
//! assert_ne!(pick(42, allowed), Pick::Target(home));
//! ```

use super::{Factory, Member, Pick, PickInputs, Strategy};
use crate::config::{ConfigError, Object};

/// The affinity of requests: what they have in common at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AffinityBy {
    /// The same user, from the request's body.
    User,
    /// The same client key.
    Key,
    /// The same prompt prefix.
    Prompt {
        /// Its length in bytes.
        bytes: usize,
    },
}

/// The default prefix length: past the first words of the system prompt, before most questions.
const PREFIX_BYTES: usize = 512;

pub(super) const FACTORY: Factory = Factory {
    name: "affinity",
    options: &["by", "prefix_bytes"],
    target_fields: &["weight"],
    build: |options, members| Ok(Box::new(Affinity { by: by(options)?, members: distinct(members) })),
};

fn by(options: &Object<'_>) -> Result<AffinityBy, ConfigError> {
    let choices =
        [("user", AffinityBy::User), ("key", AffinityBy::Key), ("prompt", AffinityBy::Prompt { bytes: PREFIX_BYTES })];
    let by = match options.get("by") {
        Some(node) => node.choice(&choices)?,
        None => AffinityBy::User,
    };
    match (by, options.get("prefix_bytes")) {
        (by, None) => Ok(by),
        (AffinityBy::Prompt { .. }, Some(node)) => Ok(AffinityBy::Prompt { bytes: node.integer(16, 4096)? as usize }),
        (AffinityBy::User | AffinityBy::Key, Some(node)) => {
            Err(node.error("has a meaning only with `by: prompt`; leave it out"))
        }
    }
}

/// The members; those with the same identity are distinguished by their order, or one of them would never be picked.
fn distinct(members: &[Member]) -> Vec<Member> {
    let mut distinct: Vec<Member> = Vec::with_capacity(members.len());
    for member in members {
        let mut identity = mix(member.identity);
        while distinct.iter().any(|other| other.identity == identity) {
            identity = mix(identity);
        }
        distinct.push(Member { identity, ..*member });
    }
    distinct
}

#[derive(Debug)]
struct Affinity {
    by: AffinityBy,
    /// The identities are already uniformly distributed.
    members: Vec<Member>,
}

impl Strategy for Affinity {
    fn name(&self) -> &'static str {
        FACTORY.name
    }

    fn pick(&self, choice: &PickInputs<'_>) -> Pick {
        let score = |target| Some((target, score(self.members.get(target)?, choice.affinity)));
        let higher = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
        choice.allowed.iter().filter_map(score).reduce(higher).map(|(target, _)| target).into()
    }

    fn affinity(&self) -> Option<AffinityBy> {
        Some(self.by)
    }
}

fn score(member: &Member, affinity: u64) -> f64 {
    -f64::from(member.weight.max(1)) / fraction(mix(member.identity ^ affinity)).ln()
}

/// A hash as a number strictly between 0 and 1: its upper 52 bits, in the middle of their step.
fn fraction(hash: u64) -> f64 {
    ((hash >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

/// Spreads each bit's change over all bits (the finalizer of SplitMix64: Steele, Lea and Flood, 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
