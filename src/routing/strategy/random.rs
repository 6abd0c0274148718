//! `random`: each target with a probability proportional to its weight.
//!
//! It has no state, so workers and gateways need not share any; in return, shares are only right on average. The random
//! number is scaled to the sum of the weights by multiplication (D. Lemire, "Fast Random Integer Generation in an
//! Interval", 2019).
//!
//! ```
//! use sluice::config::Object;
//! use sluice::routing::{by_name, PickInputs, Member, Pick, TargetSet};
//!
//! let members = [3, 1].map(|weight| Member { weight, ..Member::default() });
//! let random = (by_name("random").unwrap().build)(&Object::empty("strategy"), &members).unwrap();
//! let pick = |random_number| random.pick(&PickInputs { random: random_number, ..PickInputs::among(TargetSet::first(2)) });
//! assert_eq!(pick(0), Pick::Target(0));
//! assert_eq!(pick(u64::MAX / 4 * 3), Pick::Target(0));
//! assert_eq!(pick(u64::MAX), Pick::Target(1));
//! ```

use super::{weight, Factory, Member, Pick, PickInputs, Strategy};

pub(super) const FACTORY: Factory = Factory {
    name: "random",
    options: &[],
    target_fields: &["weight"],
    build: |_, members| Ok(Box::new(Random { members: members.to_vec() })),
};

#[derive(Debug)]
struct Random {
    members: Vec<Member>,
}

impl Strategy for Random {
    fn name(&self) -> &'static str {
        FACTORY.name
    }

    fn pick(&self, choice: &PickInputs<'_>) -> Pick {
        let weight = |target| u64::from(weight(&self.members, target));
        let sum: u64 = choice.allowed.iter().map(weight).sum();
        let mut point = scale(choice.random, sum);
        for target in choice.allowed.iter() {
            match point.checked_sub(weight(target)) {
                None => return Pick::Target(target),
                Some(beyond) => point = beyond,
            }
        }
        Pick::None
    }
}

/// Scales a uniformly distributed number to the range from 0 to `sum - 1`.
fn scale(random: u64, sum: u64) -> u64 {
    ((u128::from(random) * u128::from(sum)) >> u64::BITS) as u64
}
