//! A set of targets, small enough to be copied.

/// The most targets one model may have: a [`TargetSet`] is one bit each.
pub const MAX_TARGETS: usize = 64;

/// A set of a model's targets by index, one bit each, so that a pick allocates nothing.
///
/// A model has at most [`MAX_TARGETS`](crate::routing::MAX_TARGETS); a higher index is in no set.
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
    /// The targets 0 to `count - 1`: all there are, if the model has `count`.
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

    /// Takes a target out.
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

    /// How many targets are in it.
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

    /// What of it is not in `other`.
    pub fn without(self, other: Self) -> Self {
        TargetSet(self.0 & !other.0)
    }

    /// What of it is also in `other`, or all of it if nothing is.
    pub fn preferring(self, other: Self) -> Self {
        match self.intersection(other) {
            none if none.is_empty() => self,
            some => some,
        }
    }

    /// What is in it or in `other`.
    pub fn union(self, other: Self) -> Self {
        TargetSet(self.0 | other.0)
    }

    /// What is both in it and in `other`.
    pub fn intersection(self, other: Self) -> Self {
        TargetSet(self.0 & other.0)
    }
}

impl FromIterator<usize> for TargetSet {
    fn from_iter<I: IntoIterator<Item = usize>>(targets: I) -> Self {
        TargetSet(targets.into_iter().fold(0, |bits, target| bits | bit(target)))
    }
}

/// The target's bit; none for an index that no model has.
fn bit(target: usize) -> u64 {
    u32::try_from(target).ok().and_then(|target| 1u64.checked_shl(target)).unwrap_or(0)
}
