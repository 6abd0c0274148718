//! The strategies: which of a model's targets gets a request.
//!
//! | Name | Picks | For |
//! |---|---|---|
//! | `weighted` | in turns, by weight | exact shares |
//! | `least_used` | the fewest running attempts relative to its weight | answers of uneven length |
//! | `random` | at random, by weight | shares without state |
//! | `priority` | the lowest tier, within it by weight | cheap or near capacity first |
//! | `dynamic_weighted` | in turns, by weight and measured speed | providers whose speed changes |
//! | `first_available` | the first with a free slot, else waits | servers with limited concurrency |
//! | `affinity` | the same one for the same user, key or prompt | prompt caches |
//!
//! # Adding a strategy
//!
//! 1. Write one file here: a type that implements [`Strategy`], and a `FACTORY` that names its options and the
//!    fields of a target it reads. `random.rs` is the shortest to start from; what shares in turns uses `turns`.
//! 2. Add its line to [`STRATEGIES`], which is where the configuration looks for it, and to the table above.
//!
//! A strategy belongs to one worker, which is single-threaded, so its state is a `Cell` or a `RefCell`. It has no clock
//! and no random numbers; [`PickInputs`] has all inputs. It must only pick allowed targets, for any allowed set: the
//! properties in `tests/core/strategy/` check that as soon as it is in the list.

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

/// All strategies for the configuration; the first one is the default.
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

/// How to build a strategy from its configuration.
#[derive(Clone, Copy, Debug)]
pub struct Factory {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its options: the fields besides its name.
    pub options: &'static [&'static str],
    /// The fields of a target that it reads: some of `weight`, `tier`, `slots`. The others would have no effect, which
    /// is an error in the configuration.
    pub target_fields: &'static [&'static str],
    /// Builds it for a model with these targets, in configured order.
    pub build: Build,
}

/// Builds a strategy; fails for a mistake in an option.
pub type Build = fn(&Object<'_>, &[Member]) -> Result<Box<dyn Strategy>, ConfigError>;

/// One target's configuration. The defaults are weight 1, tier 0 and one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its share, relative to the others; at least 1.
    pub weight: u32,
    /// Lower ones come first.
    pub tier: u32,
    /// How many attempts it can serve at once.
    pub slots: u32,
    /// A hash of its identity (the names of its upstream and model), and of nothing else. It is the same in every
    /// worker and gateway, and after a restart, so all send a request to the same target.
    pub identity: u64,
}

impl Default for Member {
    fn default() -> Self {
        Member { weight: 1, tier: 0, slots: 1, identity: 0 }
    }
}

/// The inputs of a pick.
#[derive(Clone, Copy)]
pub struct PickInputs<'a> {
    /// The targets that may be picked: they serve the request's dialect, are not ejected and have not been tried.
    pub allowed: TargetSet,
    /// Whether it is the request's first attempt, which takes a turn. A retry does not change the turns, or one failing
    /// target would distort the shares of all others.
    pub first: bool,
    /// The number of running attempts at a target, in all workers.
    pub in_flight: &'a dyn Fn(usize) -> u64,
    /// A uniformly distributed number.
    pub random: u64,
    /// A hash of the strategy's [`Strategy::affinity`]; its bits need not be uniformly distributed.
    pub affinity: u64,
}

impl PickInputs<'_> {
    /// A request's first attempt, without further inputs.
    pub fn among(allowed: TargetSet) -> Self {
        PickInputs { allowed, first: true, in_flight: &|_| 0, random: 0, affinity: 0 }
    }
}

impl fmt::Debug for PickInputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PickInputs { allowed, first, in_flight: _, random, affinity } = self;
        f.debug_struct("Choice")
            .field("allowed", allowed)
            .field("first", first)
            .field("random", random)
            .field("affinity", affinity)
            .finish_non_exhaustive()
    }
}

/// The result of a pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This allowed target.
    Target(usize),
    /// Every allowed target is full: the request waits.
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
    /// Its name in the configuration, for operators who ask why a request went to its target.
    fn name(&self) -> &'static str;

    /// Picks one of the allowed targets.
    fn pick(&self, choice: &PickInputs<'_>) -> Pick;

    /// A target's answer began after this time. Only successful answers count: a refusal is quick, and would look like
    /// speed.
    fn learn(&self, _target: usize, _time_to_first_byte: Duration) {}

    /// Whether this many running attempts at a target are too many. Two workers may take the last slot at the same
    /// time; each then checks again, and releases it.
    fn is_over(&self, _target: usize, _in_flight: u64) -> bool {
        false
    }

    /// The part of `allowed` that may be picked if targets of `preferred` (those with the request's own dialect) come
    /// first where the strategy leaves a choice.
    fn prefer(&self, allowed: TargetSet, preferred: TargetSet) -> TargetSet {
        allowed.preferring(preferred)
    }

    /// How long a request may wait for [`Pick::Full`] to end; `None` if it never occurs.
    fn queue_timeout(&self) -> Option<Duration> {
        None
    }

    /// Whether it uses `in_flight`, which must then be exact at every pick.
    fn counts_in_flight(&self) -> bool {
        false
    }

    /// The source of [`PickInputs::affinity`]'s hash; `None` if it is not used.
    fn affinity(&self) -> Option<AffinityBy> {
        None
    }
}

/// A target's weight; 0 only if the target does not exist.
fn weight(members: &[Member], target: usize) -> u32 {
    members.get(target).map_or(0, |member| member.weight.max(1))
}
