//! The record's encoding.
//!
//! After the version: reason (0: in the pool; one byte); the last lease's number (2); consecutive failures, ejections
//! (4 each). In the pool: the time it returned, the start of the current window (8 each), and the successes and
//! failures of the current and the previous window (4 each). Out of the pool: the time it ends (all ones: until
//! restored), the lease (8 each), and zeros.

use super::failure_window::{Counts, FailureWindow};
use super::lease::Lease;
use super::machine::{Circuit, Health};
use super::policy::Reason;
use crate::codec::{Forgettable, Reader, SharedRecord, Writer};

const IN_POOL: u8 = 0;
const NO_LEASE: u64 = 0;
const BY_HAND: u64 = u64::MAX;

/// ```
/// use sluice::codec::{Forgettable, SharedRecord};
/// use sluice::health::Health;
///
/// let health = Health::default();
/// assert_eq!(Health::decode(&health.encode()), health);
/// assert_eq!(Health::decode(b"?"), Health::default());
/// ```
impl SharedRecord for Health {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        let (code, times, counts) = match self.circuit {
            Circuit::Closed { since, window: FailureWindow { began, current, previous } } => {
                (IN_POOL, [since, began], [current, previous])
            }
            Circuit::Open { reason, until, lease } => {
                let lease = lease.map_or(NO_LEASE, |Lease(lease)| lease);
                (code(reason), [until.unwrap_or(BY_HAND), lease], [Counts::default(); 2])
            }
        };
        out.u8(code);
        out.u16(self.lease_number);
        out.u32(self.failures);
        out.u32(self.ejections);
        times.into_iter().for_each(|time| out.u64(time));
        for Counts { successes, failures } in counts {
            out.u32(successes);
            out.u32(failures);
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let (code, lease_number) = (input.u8()?, input.u16()?);
        let [failures, ejections] = [input.u32()?, input.u32()?];
        let [first, second] = [input.u64()?, input.u64()?];
        let [current, previous] = [read_counts(input)?, read_counts(input)?];
        let circuit = match code {
            IN_POOL => Circuit::Closed { since: first, window: FailureWindow { began: second, current, previous } },
            code => Circuit::Open {
                reason: reason(code)?,
                until: (first != BY_HAND).then_some(first),
                lease: (second != NO_LEASE).then_some(Lease(second)),
            },
        };
        Some(Health { failures, ejections, lease_number, circuit })
    }
}

/// An unreadable record is a healthy cluster, so that nothing is locked out by mistake.
impl Forgettable for Health {}

fn code(reason: Reason) -> u8 {
    match reason {
        Reason::ConsecutiveFailures => 1,
        Reason::FailureRatio => 2,
        Reason::RetryAfter => 3,
        Reason::Credential => 4,
        Reason::Manual => 5,
        Reason::NoCluster => 6,
    }
}

fn reason(wanted: u8) -> Option<Reason> {
    Reason::ALL.into_iter().find(|reason| code(*reason) == wanted)
}

fn read_counts(input: &mut Reader<'_>) -> Option<Counts> {
    Some(Counts { successes: input.u32()?, failures: input.u32()? })
}
