//! The record as the bytes that the workers share.
//!
//! Little-endian, in this order: version and reason (0: in the pool), one byte each; the last lease's number (2);
//! failures in a row, ejections (4 each). In the pool follow the time it came back, the time the running window
//! began (8 each), and the successes and failures of the running and the previous window (4 each). Out of it
//! follow the time it ends (all ones: by hand), the lease (8 each), and zeros.

use super::failure_window::{Counts, FailureWindow};
use super::lease::Lease;
use super::machine::{Health, Place};
use super::policy::Reason;

const VERSION: u8 = 1;
const IN_POOL: u8 = 0;
const NO_LEASE: u64 = 0;
const BY_HAND: u64 = u64::MAX;

impl Health {
    /// The length of an encoded record, in bytes.
    pub const ENCODED: usize = 44;

    /// The bytes to share.
    ///
    /// ```
    /// use sluice::health::Health;
    ///
    /// let health = Health::default();
    /// assert_eq!(Health::decode(&health.encode()), health);
    /// assert_eq!(Health::decode(b"?"), Health::default());
    /// ```
    pub fn encode(&self) -> [u8; Self::ENCODED] {
        let (code, times, counts) = match self.place {
            Place::Pool { since, window: FailureWindow { began, current, previous } } => {
                (IN_POOL, [since, began], [current, previous])
            }
            Place::Out { reason, until, lease } => {
                let lease = lease.map_or(NO_LEASE, |Lease(lease)| lease);
                (code(reason), [until.unwrap_or(BY_HAND), lease], [Counts::default(); 2])
            }
        };
        let [first, second] = times.map(u64::to_le_bytes);
        let [current, previous] = counts.map(|counts| [counts.successes, counts.failures].map(u32::to_le_bytes));
        let fields: [&[u8]; 8] = [
            &[VERSION, code],
            &self.lease_number.to_le_bytes(),
            &self.failures.to_le_bytes(),
            &self.ejections.to_le_bytes(),
            &first,
            &second,
            current.as_flattened(),
            previous.as_flattened(),
        ];
        let mut bytes = [0; Self::ENCODED];
        for (slot, byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *slot = *byte;
        }
        bytes
    }

    /// Reads shared bytes. What it cannot read, such as another version's, is a cluster that never failed: the
    /// record is soon learnt anew, and nothing is locked out by mistake.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let [version, code] = take(rest)?;
        let lease_number = u16::from_le_bytes(take(rest)?);
        let [failures, ejections] = [read_u32(rest)?, read_u32(rest)?];
        let [first, second] = [read_u64(rest)?, read_u64(rest)?];
        let [current, previous] = [read_counts(rest)?, read_counts(rest)?];
        if version != VERSION || !rest.is_empty() {
            return None;
        }
        let place = match code {
            IN_POOL => Place::Pool { since: first, window: FailureWindow { began: second, current, previous } },
            code => Place::Out {
                reason: reason(code)?,
                until: (first != BY_HAND).then_some(first),
                lease: (second != NO_LEASE).then_some(Lease(second)),
            },
        };
        Some(Health { failures, ejections, lease_number, place })
    }
}

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

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

fn read_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_le_bytes)
}

fn read_u64(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

fn read_counts(rest: &mut &[u8]) -> Option<Counts> {
    Some(Counts { successes: read_u32(rest)?, failures: read_u32(rest)? })
}
