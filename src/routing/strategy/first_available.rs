//! `first_available`: the first target in configured order with a free slot; if there is none, the request waits.
//!
//! For model servers that can only serve so many requests at once (such as an own GPU: `slots: 1`), where a further
//! request would slow down the running ones. The order is the operator's preference: a later target is only used while
//! all earlier ones are full.
//!
//! ```
//! use sluice::config::Object;
//! use sluice::routing::{by_name, PickInputs, Member, Pick, TargetSet};
//!
//! let members = [2, 1].map(|slots| Member { slots, ..Member::default() });
//! let first_available = (by_name("first_available").unwrap().build)(&Object::empty("strategy"), &members).unwrap();
//! let pick = |in_flight: [u64; 2]| {
//!     let in_flight = |target| in_flight[target];
//!     first_available.pick(&PickInputs { in_flight: &in_flight, ..PickInputs::among(TargetSet::first(2)) })
//! };
//! assert_eq!(pick([1, 0]), Pick::Target(0));
//! assert_eq!(pick([2, 0]), Pick::Target(1));
//! assert_eq!(pick([2, 1]), Pick::Full);
//! ```

use std::time::Duration;

use super::{Factory, Member, Pick, PickInputs, Strategy};

/// The default waiting time.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) const FACTORY: Factory = Factory {
    name: "first_available",
    options: &["queue_timeout"],
    target_fields: &["slots"],
    build: |options, members| {
        let queue_timeout = options.get("queue_timeout").map(|node| node.duration()).transpose()?;
        let queue_timeout = queue_timeout.unwrap_or(QUEUE_TIMEOUT);
        Ok(Box::new(FirstAvailable { members: members.to_vec(), queue_timeout }))
    },
};

#[derive(Debug)]
struct FirstAvailable {
    members: Vec<Member>,
    queue_timeout: Duration,
}

impl Strategy for FirstAvailable {
    fn name(&self) -> &'static str {
        FACTORY.name
    }

    fn pick(&self, choice: &PickInputs<'_>) -> Pick {
        let mut pick = Pick::None;
        for target in choice.allowed.iter() {
            let Some(member) = self.members.get(target) else {
                break;
            };
            if (choice.in_flight)(target) < u64::from(member.slots) {
                return Pick::Target(target);
            }
            pick = Pick::Full;
        }
        pick
    }

    fn is_over(&self, target: usize, in_flight: u64) -> bool {
        self.members.get(target).is_some_and(|member| in_flight > u64::from(member.slots))
    }

    fn queue_timeout(&self) -> Option<Duration> {
        Some(self.queue_timeout)
    }

    fn counts_in_flight(&self) -> bool {
        true
    }
}
