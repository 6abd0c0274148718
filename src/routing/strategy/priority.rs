//! `priority`: the lowest `tier` with a target left; within it, shares by weight.
//!
//! For capacity that should be used up first: reserved before pay-as-you-go, the near region before the far one. A
//! later tier only gets a request if no target of an earlier one is allowed: all are ejected, or have been tried.
//!
//! ```
//! use sluice::config::Object;
//! use sluice::routing::{by_name, PickInputs, Member, Pick, TargetSet};
//!
//! let members = [1, 0, 0].map(|tier| Member { tier, ..Member::default() });
//! let priority = (by_name("priority").unwrap().build)(&Object::empty("strategy"), &members).unwrap();
//! let pick = |allowed: &[usize]| priority.pick(&PickInputs::among(allowed.iter().copied().collect()));
//! assert_eq!(pick(&[0, 1, 2]), Pick::Target(1));
//! assert_eq!(pick(&[0, 1, 2]), Pick::Target(2));
//! assert_eq!(pick(&[0]), Pick::Target(0), "the others are ejected");
//! ```

use super::turns::{Turn, Turns};
use super::{weight, Factory, Member, Pick, PickInputs, Strategy, TargetSet};

pub(super) const FACTORY: Factory = Factory {
    name: "priority",
    options: &[],
    target_fields: &["weight", "tier"],
    build: |_, members| Ok(Box::new(Priority { members: members.to_vec(), turns: Turns::new(members.len()) })),
};

#[derive(Debug)]
struct Priority {
    members: Vec<Member>,
    turns: Turns,
}

impl Priority {
    /// The allowed targets of the first tier with any.
    fn first_tier(&self, allowed: TargetSet) -> TargetSet {
        let tier = |target: &usize| self.members.get(*target).map(|member| member.tier);
        let first = allowed.iter().filter_map(|target| tier(&target)).min();
        allowed.iter().filter(|target| tier(target) == first).collect()
    }
}

impl Strategy for Priority {
    fn name(&self) -> &'static str {
        FACTORY.name
    }

    fn pick(&self, choice: &PickInputs<'_>) -> Pick {
        let tier = self.first_tier(choice.allowed);
        let turn =
            Turn { sharing: tier, eligible: tier, weight: |target| weight(&self.members, target), taken: choice.first };
        self.turns.next(turn).into()
    }

    fn prefer(&self, allowed: TargetSet, preferred: TargetSet) -> TargetSet {
        self.first_tier(allowed).preferring(preferred)
    }
}
