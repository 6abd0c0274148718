//! The lease of a probe.

/// The right to probe a half-open cluster, as its end and a number. No two leases of a record are equal, so an expired
/// one is not mistaken for its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease(pub(super) u64);

impl Lease {
    const NUMBER_BITS: u32 = 16;

    /// `end`: in milliseconds since the epoch.
    pub(super) fn new(end: u64, number: u16) -> Self {
        Lease(end.min(u64::MAX >> Self::NUMBER_BITS) << Self::NUMBER_BITS | u64::from(number))
    }

    pub(super) fn is_live(self, now: u64) -> bool {
        now < self.0 >> Self::NUMBER_BITS
    }
}
