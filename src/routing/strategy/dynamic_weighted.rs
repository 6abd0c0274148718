//! `dynamic_weighted`: shares by weight and by the speed of a target's answers.
//!
//! A target's weight is divided by its average time to first byte. This is an exponentially weighted moving average:
//! each answer moves it by an eighth (the gain of TCP's round-trip estimate, RFC 6298). So one slow answer costs a
//! target little, and about a dozen show that it has changed.
//!
//! There are two bounds. A target counts as at most fifty times slower than the fastest allowed one: it keeps a
//! fiftieth of its share, or it could never show that it has recovered. A target without a measurement counts as fast
//! as the fastest, so that it gets measured. The shares are taken in turns, like those of `weighted`.
//!
//! ```
//! use std::time::Duration;
//!
//! use sluice::config::Object;
//! use sluice::routing::{by_name, PickInputs, Member, Pick, TargetSet};
//!
//! let members = [Member::default(); 2];
//! let dynamic = (by_name("dynamic_weighted").unwrap().build)(&Object::empty("strategy"), &members).unwrap();
//! dynamic.learn(0, Duration::from_millis(900));
//! dynamic.learn(1, Duration::from_millis(300));
//! let picks = [(); 4].map(|()| dynamic.pick(&PickInputs::among(TargetSet::first(2))));
//! assert_eq!(picks, [1, 1, 0, 1].map(Pick::Target));
//! ```

use std::cell::RefCell;
use std::time::Duration;

use super::turns::{Turn, Turns};
use super::{weight, Factory, Member, Pick, PickInputs, Strategy, TargetSet};
use crate::latency::Latency;

/// The minimum part of its weight that a slow target keeps.
const FLOOR: f64 = 1.0 / 50.0;

/// Units of share in one of weight. With the largest weight that can be configured, a million, a share is still a
/// `u32`; with the smallest, the floor is 80 units, so that rounding does not show.
const FINENESS: f64 = 4_000.0;

pub(super) const FACTORY: Factory = Factory {
    name: "dynamic_weighted",
    options: &[],
    target_fields: &["weight"],
    build: |_, members| Ok(Box::new(DynamicWeighted::new(members))),
};

#[derive(Debug)]
struct DynamicWeighted {
    members: Vec<Member>,
    /// Each target's average time to first byte in seconds; `None` before the first one.
    means: RefCell<Vec<Latency>>,
    turns: Turns,
}

impl DynamicWeighted {
    fn new(members: &[Member]) -> Self {
        DynamicWeighted {
            members: members.to_vec(),
            means: RefCell::new(vec![Latency::default(); members.len()]),
            turns: Turns::new(members.len()),
        }
    }

    fn mean(&self, target: usize) -> Option<f64> {
        self.means.borrow().get(target)?.seconds()
    }

    /// The average of the fastest target; infinity without measurements.
    fn fastest(&self, allowed: TargetSet) -> f64 {
        allowed.iter().filter_map(|target| self.mean(target)).fold(f64::INFINITY, f64::min)
    }

    /// The target's weight, scaled by its speed relative to the fastest one's.
    fn share(&self, target: usize, fastest: f64) -> u32 {
        let speed = self.mean(target).map_or(1.0, |mean| (fastest / mean).max(FLOOR));
        (f64::from(weight(&self.members, target)) * speed * FINENESS) as u32
    }
}

impl Strategy for DynamicWeighted {
    fn name(&self) -> &'static str {
        FACTORY.name
    }

    fn pick(&self, choice: &PickInputs<'_>) -> Pick {
        let fastest = self.fastest(choice.allowed);
        let turn = Turn {
            sharing: choice.allowed,
            eligible: choice.allowed,
            weight: |target| self.share(target, fastest),
            taken: choice.first,
        };
        self.turns.next(turn).into()
    }

    fn learn(&self, target: usize, time_to_first_byte: Duration) {
        if let Some(mean) = self.means.borrow_mut().get_mut(target) {
            mean.learn(time_to_first_byte);
        }
    }
}
