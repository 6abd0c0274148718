//! The strategies: which of a model's targets gets a request.
//!
//! | Name | Picks | For |
//! |---|---|---|
//! | `weighted` | in turns, by weight | exact shares |
//! | `least_used` | the fewest attempts in flight for its weight | answers of uneven length |
//! | `random` | by chance, by weight | shares without state |
//! | `priority` | the lowest tier, in it by weight | cheap or near capacity first |
//! | `dynamic_weighted` | in turns, by weight and measured speed | providers whose speed changes |
//! | `first_available` | the first with a free slot, else waits | servers that do so many at once |
//! | `affinity` | the same one for the same user, key or prompt | prompt caches |
//!
//! # Adding a strategy
//!
//! 1. Write one file here: a type that implements [`Strategy`], and a `FACTORY` that names its options and the
//!    fields of a target it reads. `random.rs` is the shortest to start from; what shares in turns uses `turns`.
//! 2. Add its line to [`STRATEGIES`], which is where the configuration looks for it, and to the table above.
//!
//! A strategy belongs to one worker, which does one thing at a time: state is a `Cell` or a `RefCell`. It sees no
//! clock and makes no random numbers; what it needs to know of the outside stands in [`Choice`]. It picks only what
//! is allowed, whatever is allowed: the properties in `tests/core/strategy/` hold it to that as soon as it is in
//! the list.

mod affinity;
mod dynamic_weighted;
mod first_available;
mod least_used;
mod priority;
mod random;
mod target_set;
mod turns;
mod weighted;

use std::fmt;
use std::time::Duration;

pub use affinity::AffinityBy;
pub use target_set::{TargetSet, MAX_TARGETS};

use crate::config::{ConfigError, Object};

/// Every strategy that a configuration can name; the first one is meant if it names none.
pub const STRATEGIES: &[Factory] = &[
    weighted::FACTORY,
    least_used::FACTORY,
    random::FACTORY,
    priority::FACTORY,
    dynamic_weighted::FACTORY,
    first_available::FACTORY,
    affinity::FACTORY,
];

/// The strategy of that name, or `None` if there is none.
///
/// ```
/// use sluice::routing::by_name;
///
/// assert_eq!(by_name("priority").map(|factory| factory.target_fields), Some(&["weight", "tier"][..]));
/// assert!(by_name("fastest").is_none());
/// ```
pub fn by_name(name: &str) -> Option<&'static Factory> {
    STRATEGIES.iter().find(|factory| factory.name == name)
}

/// How to make a strategy out of its configuration.
#[derive(Clone, Copy, Debug)]
pub struct Factory {
    /// What the configuration calls it.
    pub name: &'static str,
    /// Its options: the fields it may have beside its name.
    pub options: &'static [&'static str],
    /// What it reads of a target: some of `weight`, `tier`, `slots`. The others would have no effect there, which
    /// the operator should be told.
    pub target_fields: &'static [&'static str],
    /// Makes it for a model with these targets, in configured order.
    pub build: Build,
}

/// Makes a strategy; fails on an option's mistake.
pub type Build = fn(&Object<'_>, &[Member]) -> Result<Box<dyn Strategy>, ConfigError>;

/// What the configuration says of one target. Without a word it has a weight of 1, tier 0 and one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its share, relative to the others; at least 1.
    pub weight: u32,
    /// Lower ones come first.
    pub tier: u32,
    /// How many attempts it can work on at once.
    pub slots: u32,
    /// A hash of what it is (its upstream's and its model's names) and of nothing else: the same in every worker,
    /// every gateway and after a restart, so that all send a request to the same target.
    pub identity: u64,
}

impl Default for Member {
    fn default() -> Self {
        Member { weight: 1, tier: 0, slots: 1, identity: 0 }
    }
}

/// What a pick may depend on.
#[derive(Clone, Copy)]
pub struct Choice<'a> {
    /// The targets that may be picked: they speak the request's dialect, are not ejected and have not been tried.
    pub allowed: TargetSet,
    /// Whether it is the request's first attempt, which takes a turn. A retry leaves the turns as they are, or one
    /// failing target would bend the shares of all others.
    pub first: bool,
    /// How many attempts are under way at a target, in all workers.
    pub in_flight: &'a dyn Fn(usize) -> u64,
    /// A uniformly distributed number.
    pub random: u64,
    /// A hash of what [`Strategy::affinity`] asks for; its bits need not be well mixed.
    pub affinity: u64,
}

impl Choice<'_> {
    /// The first attempt of a request of which nothing else is known.
    pub fn among(allowed: TargetSet) -> Self {
        Choice { allowed, first: true, in_flight: &|_| 0, random: 0, affinity: 0 }
    }
}

impl fmt::Debug for Choice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Choice { allowed, first, in_flight: _, random, affinity } = self;
        f.debug_struct("Choice")
            .field("allowed", allowed)
            .field("first", first)
            .field("random", random)
            .field("affinity", affinity)
            .finish_non_exhaustive()
    }
}

/// What a strategy says to a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This target, one of those allowed.
    Target(usize),
    /// Every allowed target works on as many attempts as it can: the request waits.
    Full,
    /// No target is allowed.
    None,
}

impl From<Option<usize>> for Pick {
    fn from(target: Option<usize>) -> Self {
        target.map_or(Pick::None, Pick::Target)
    }
}

/// A way to choose among one model's targets, in one worker.
pub trait Strategy: fmt::Debug {
    /// Picks one of the allowed targets.
    fn pick(&self, choice: &Choice<'_>) -> Pick;

    /// A target's answer began this long after the attempt at it. Only answers that succeeded count: a refusal comes
    /// quickly, and would look like speed.
    fn learn(&self, _target: usize, _time_to_first_byte: Duration) {}

    /// Whether so many attempts under way at a target are more than it takes. Two workers may take the last slot at
    /// the same time; each then looks again, and gives it back.
    fn is_over(&self, _target: usize, _in_flight: u64) -> bool {
        false
    }

    /// What of `allowed` may be picked if targets of `preferred` come first where the strategy leaves a choice: those
    /// that speak the request's own dialect.
    fn prefer(&self, allowed: TargetSet, preferred: TargetSet) -> TargetSet {
        allowed.preferring(preferred)
    }

    /// How long a request may wait for [`Pick::Full`] to pass; `None` if it never says so.
    fn queue_timeout(&self) -> Option<Duration> {
        None
    }

    /// Whether it looks at `in_flight`, which must then be exact at every pick and not only now and then.
    fn counts_in_flight(&self) -> bool {
        false
    }

    /// Of what [`Choice::affinity`] must be a hash; `None` if it is not looked at.
    fn affinity(&self) -> Option<AffinityBy> {
        None
    }
}

/// The weight of a target; 0 if there is no such target, and only then.
fn weight(members: &[Member], target: usize) -> u32 {
    members.get(target).map_or(0, |member| member.weight.max(1))
}
