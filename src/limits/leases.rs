//! The running requests, by the VM (a worker's wasm) that serves them.
//!
//! A VM that crashes cannot release its slots. So each VM holds its slots on a lease, which it renews while it runs.
//! When a lease expires, its slots are free.

use std::time::Duration;

use crate::codec::{Reader, Writer};

/// How long a VM keeps its slots without renewing them. Times are whole seconds, so it may be one second more.
pub const LEASE: Duration = Duration::from_secs(6);

/// The maximum number of VMs with slots of one subject: one for each of Envoy's workers, and some that are about to
/// end. A further VM is refused until one of them leaves.
pub const MAX_VMS: usize = 256;

/// The slots of one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    vm: u64,
    count: u32,
    /// Seconds since the last renewal.
    age: u64,
}

/// The taken slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ConcurrencyLeases {
    shares: Vec<Share>,
}

impl ConcurrencyLeases {
    /// Advances by `seconds`; slots with an expired lease are free.
    pub(super) fn slide(&mut self, seconds: u64) {
        self.shares.retain_mut(|share| {
            share.age = share.age.saturating_add(seconds);
            share.age <= LEASE.as_secs()
        });
    }

    /// How many slots will still be taken `seconds` from now: those whose lease has not expired by then.
    pub(super) fn used(&self, seconds: u64) -> u64 {
        let live = self.shares.iter().filter(|share| share.age.saturating_add(seconds) <= LEASE.as_secs());
        live.map(|share| u64::from(share.count)).sum()
    }

    /// Whether a slot can be recorded for a VM.
    pub(super) fn has_room_for(&self, vm: u64) -> bool {
        self.shares.len() < MAX_VMS || self.shares.iter().any(|share| share.vm == vm)
    }

    /// Takes a slot.
    pub(super) fn take(&mut self, vm: u64) {
        match self.share(vm) {
            Some(share) => *share = Share { count: share.count.saturating_add(1), age: 0, ..*share },
            None => self.set(vm, 1),
        }
    }

    /// Releases a slot, if the VM still holds one.
    pub(super) fn give_back(&mut self, vm: u64) {
        if let Some(share) = self.share(vm) {
            let left = share.count.saturating_sub(1);
            self.set(vm, left);
        }
    }

    /// Records the number of slots that a VM holds now.
    pub(super) fn set(&mut self, vm: u64, count: u32) {
        let is_full = self.shares.len() >= MAX_VMS;
        match self.share(vm) {
            Some(_) if count == 0 => self.shares.retain(|share| share.vm != vm),
            Some(share) => *share = Share { vm, count, age: 0 },
            None if count == 0 || is_full => {}
            None => self.shares.push(Share { vm, count, age: 0 }),
        }
    }

    fn share(&mut self, vm: u64) -> Option<&mut Share> {
        self.shares.iter_mut().find(|share| share.vm == vm)
    }

    /// Writes the number of VMs, and each: eight bytes of name, little-endian, its slots, and their age.
    pub(super) fn write(&self, out: &mut Writer) {
        out.number(self.shares.len() as u64);
        for share in &self.shares {
            out.u64(share.vm);
            out.number(u64::from(share.count));
            out.number(share.age);
        }
    }

    /// Reads the slots; `None` if they are invalid, or too many.
    pub(super) fn read(input: &mut Reader<'_>) -> Option<Self> {
        let length = input.number()?;
        let shares = input.list(length, MAX_VMS, |input| {
            let (vm, count) = (input.u64()?, u32::try_from(input.number()?).ok()?);
            let age = input.number().filter(|age| *age <= LEASE.as_secs())?;
            Some(Share { vm, count, age })
        });
        Some(ConcurrencyLeases { shares: shares? })
    }
}
