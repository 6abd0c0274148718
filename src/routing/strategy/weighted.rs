//! `weighted`: each target gets exactly its share, without bursts.
//!
//! Smooth weighted round robin among the allowed targets; [`turns`](super::turns) has the algorithm. It is
//! deterministic, so a sequence can be reproduced.
//!
//! ```
//! use sluice::config::Object;
//! use sluice::routing::{by_name, PickInputs, Member, Pick, TargetSet};
//!
//! let members = [3, 2, 1].map(|weight| Member { weight, ..Member::default() });
//! let weighted = (by_name("weighted").unwrap().build)(&Object::empty("strategy"), &members).unwrap();
//! let picks = [(); 6].map(|()| weighted.pick(&PickInputs::among(TargetSet::first(3))));
//! assert_eq!(picks, [0, 1, 0, 2, 1, 0].map(Pick::Target));
//! ```

use super::turns::{Turn, Turns};
use super::{weight, Factory, Member, Pick, PickInputs, Strategy};

pub(super) const FACTORY: Factory = Factory {
    name: "weighted",
    options: &[],
    target_fields: &["weight"],
    build: |_, members| Ok(Box::new(Weighted { members: members.to_vec(), turns: Turns::new(members.len()) })),
};

#[derive(Debug)]
struct Weighted {
    members: Vec<Member>,
    turns: Turns,
}

impl Strategy for Weighted {
    fn name(&self) -> &'static str {
        FACTORY.name
    }

    fn pick(&self, choice: &PickInputs<'_>) -> Pick {
        let turn = Turn {
            sharing: choice.allowed,
            eligible: choice.allowed,
            weight: |target| weight(&self.members, target),
            taken: choice.first,
        };
        self.turns.next(turn).into()
    }
}
