//! A set of targets, small enough to copy.

/// The maximum number of a model's targets: a [`TargetSet`] has one bit for each.
pub const MAX_TARGETS: usize = 64;

/// A set of a model's targets by index, one bit each, so that a pick allocates nothing.
///
/// A model has at most [`MAX_TARGETS`](crate::routing::MAX_TARGETS); a higher index is never in a set.
///
/// ```
/// use sluice::routing::TargetSet;
///
/// let mut allowed = TargetSet::first(4);
/// allowed.remove(1);
/// assert!(allowed.contains(3) && !allowed.contains(1));
/// assert_eq!(allowed.iter().collect::<Vec<_>>(), [0, 2, 3]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetSet(u64);

impl TargetSet {
    /// The targets 0 to `count - 1`: all of a model with `count` targets.
    pub fn first(count: usize) -> Self {
        match bit(count) {
            0 => TargetSet(u64::MAX),
            above => TargetSet(above - 1),
        }
    }

    /// Adds a target.
    pub fn insert(&mut self, target: usize) {
        self.0 |= bit(target);
    }

    /// Removes a target.
    pub fn remove(&mut self, target: usize) {
        self.0 &= !bit(target);
    }

    /// Whether a target is in it.
    pub fn contains(self, target: usize) -> bool {
        self.0 & bit(target) != 0
    }

    /// Whether no target is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number of targets.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Its targets in configured order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let lowest = rest.trailing_zeros();
            rest &= rest.wrapping_sub(1);
            (lowest < u64::BITS).then_some(lowest as usize)
        })
    }

    /// The targets that are not in `other`.
    pub fn without(self, other: Self) -> Self {
        TargetSet(self.0 & !other.0)
    }

    /// The targets that are also in `other`, or all if there are none.
    pub fn preferring(self, other: Self) -> Self {
        match self.intersection(other) {
            none if none.is_empty() => self,
            some => some,
        }
    }

    /// The union.
    pub fn union(self, other: Self) -> Self {
        TargetSet(self.0 | other.0)
    }

    /// The intersection.
    pub fn intersection(self, other: Self) -> Self {
        TargetSet(self.0 & other.0)
    }
}

impl FromIterator<usize> for TargetSet {
    fn from_iter<I: IntoIterator<Item = usize>>(targets: I) -> Self {
        TargetSet(targets.into_iter().fold(0, |bits, target| bits | bit(target)))
    }
}

/// The target's bit; none for an index out of range.
fn bit(target: usize) -> u64 {
    u32::try_from(target).ok().and_then(|target| 1u64.checked_shl(target)).unwrap_or(0)
}
