//! `least_used`: the target with the fewest running attempts relative to its weight; ties go to the least used one so
//! far.
//!
//! A slow target has more running attempts, so it gets fewer new requests without any measurement. It compares
//! `in_flight / weight`, like nginx's `least_conn`, and not `(in_flight + 1) / weight`: with that, light targets would
//! get no requests while the heavy one is not busy, and nobody would know whether they work.
//!
//! Of equal targets, the one furthest behind its share is next: with equal weights, the least used one. Then comes the
//! heaviest, then the first. A target that was skipped because it was busy makes up for its missed turns, but at most
//! 16, or it would be flooded after a long slowness. A target that was not allowed makes up for nothing.
//!
//! ```
//! use sluice::config::Object;
//! use sluice::routing::{by_name, PickInputs, Member, Pick, TargetSet};
//!
//! let members = [Member::default(); 3];
//! let least_used = (by_name("least_used").unwrap().build)(&Object::empty("strategy"), &members).unwrap();
//! let in_flight = |target| [4, 1, 1][target];
//! let choice = PickInputs { in_flight: &in_flight, ..PickInputs::among(TargetSet::first(3)) };
//! let picks = [(); 4].map(|()| least_used.pick(&choice));
//! assert_eq!(picks, [1, 2, 1, 2].map(Pick::Target));
//! ```

use std::cmp::Ordering;

use super::turns::{Turn, Turns};
use super::{weight, Factory, Member, Pick, PickInputs, Strategy, TargetSet};

pub(super) const FACTORY: Factory = Factory {
    name: "least_used",
    options: &[],
    target_fields: &["weight"],
    build: |_, members| Ok(Box::new(LeastUsed { members: members.to_vec(), turns: Turns::new(members.len()) })),
};

#[derive(Debug)]
struct LeastUsed {
    members: Vec<Member>,
    turns: Turns,
}

impl LeastUsed {
    /// The targets with the fewest running attempts relative to their weight.
    fn idlest(&self, choice: &PickInputs<'_>) -> TargetSet {
        let mut idlest = TargetSet::default();
        let mut least = Load { in_flight: u64::MAX, weight: 1 };
        for target in choice.allowed.intersection(TargetSet::first(self.members.len())).iter() {
            let load = Load { in_flight: (choice.in_flight)(target), weight: weight(&self.members, target) };
            match load.compare(&least) {
                Ordering::Less => {
                    idlest = TargetSet::from_iter([target]);
                    least = load;
                }
                Ordering::Equal => idlest.insert(target),
                Ordering::Greater => {}
            }
        }
        idlest
    }
}

impl Strategy for LeastUsed {
    fn name(&self) -> &'static str {
        FACTORY.name
    }

    fn pick(&self, choice: &PickInputs<'_>) -> Pick {
        let turn = Turn {
            sharing: choice.allowed,
            eligible: self.idlest(choice),
            weight: |target| weight(&self.members, target),
            taken: choice.first,
        };
        self.turns.next(turn).into()
    }

    fn counts_in_flight(&self) -> bool {
        true
    }
}

/// The load of a target.
struct Load {
    in_flight: u64,
    weight: u32,
}

impl Load {
    /// Compares `in_flight / weight`, exactly.
    fn compare(&self, other: &Self) -> Ordering {
        let scaled = |load: &Self, weight: u32| u128::from(load.in_flight) * u128::from(weight);
        scaled(self, other.weight).cmp(&scaled(other, self.weight))
    }
}
