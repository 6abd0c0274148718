//! How a worker's VM divides its memory, and how much of request bodies Envoy keeps.
//!
//! All requests in a VM share its memory, and if it is full all of them end. So data whose size depends on clients and
//! servers stops at a share of the budget. Data kept from answers, only to be read, stops first; then texts that wait
//! for checks, and large bodies. Small requests stop last, because they cost least, and most callers send nothing else.

use std::time::Duration;

use serde_json::Value;

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};
use crate::config::{ConfigError, Environment, Node};

/// Envoy's environment variable for the budget of each worker's VM.
pub const MEMORY_VARIABLE: &str = "SLUICE_MEMORY";
/// Envoy's environment variable for the budget of request bodies that Envoy keeps for each worker.
pub const BODIES_VARIABLE: &str = "SLUICE_BODIES";

const MIB: usize = 1 << 20;

/// The purpose of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A new request.
    Request,
    /// A large body, while it is read.
    Body,
    /// Texts that wait for their checks.
    Check,
    /// Data kept from an answer to read its usage.
    Answer,
    /// A small body, kept so that attempts need not ask Envoy for it.
    Kept,
}

impl Purpose {
    /// The label in stats.
    pub fn label(self) -> &'static str {
        match self {
            Purpose::Request => "request",
            Purpose::Body => "body",
            Purpose::Check => "check",
            Purpose::Answer => "answer",
            Purpose::Kept => "kept",
        }
    }
}

/// A worker's budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    /// The VM's memory, in bytes.
    pub memory: usize,
    /// The bodies of running requests in Envoy's memory, in bytes.
    pub bodies: usize,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        MemoryBudget { memory: 256 * MIB, bodies: 512 * MIB }
    }
}

impl MemoryBudget {
    /// Reads the budget from Envoy's environment.
    ///
    /// # Errors
    /// Not a size, or out of range.
    pub fn read(environment: Environment<'_>) -> Result<Self, ConfigError> {
        let default = MemoryBudget::default();
        let size = |name: &str, default, range, wanted: &str| match environment(name) {
            Some(text) => Node::root(name, &Value::String(text)).size(range, wanted),
            None => Ok(default),
        };
        let memory = "must be a size from 32MiB to 768MiB, such as 256MiB (a VM of Envoy's has 1 GiB at most)";
        let bodies = "must be a size from 8MiB to 3GiB, such as 512MiB";
        Ok(MemoryBudget {
            memory: size(MEMORY_VARIABLE, default.memory, 32 * MIB..=768 * MIB, memory)?,
            bodies: size(BODIES_VARIABLE, default.bodies, 8 * MIB..=3072 * MIB, bodies)?,
        })
    }

    /// The number of free bytes for a purpose, when this many bytes are in use for all purposes.
    ///
    /// ```
    /// use sluice::memory_budget::{MemoryBudget, Purpose};
    ///
    /// let budget = MemoryBudget { memory: 256 << 20, ..MemoryBudget::default() };
    /// assert_eq!(budget.room(Purpose::Answer, 100 << 20), 28 << 20);
    /// assert_eq!(budget.room(Purpose::Answer, 200 << 20), 0);
    /// assert!(budget.room(Purpose::Request, 200 << 20) > 0);
    /// ```
    pub fn room(&self, purpose: Purpose, used: usize) -> usize {
        let quarters = match purpose {
            Purpose::Request => 4,
            Purpose::Body | Purpose::Check => 3,
            Purpose::Answer | Purpose::Kept => 2,
        };
        (self.memory / 4 * quarters).saturating_sub(used)
    }

    /// Whether bodies of `more` bytes fit beside those of running requests. A single one always fits: the listener
    /// limits its size.
    pub fn fits_body(&self, under_way: usize, more: usize) -> bool {
        under_way == 0 || under_way.saturating_add(more) <= self.bodies
    }

    /// The maximum in use when Envoy passes data to the VM. Above it the data is refused, which is better than a VM
    /// without memory.
    pub fn most(&self) -> usize {
        self.memory + 192 * MIB
    }
}

/// The fullest VM of all workers. Each reports separately, as often as it likes. A value that is not reported again for
/// some time, as after a crash, is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// When the current period began, in milliseconds.
    began: u64,
    /// The largest memory in this period, in bytes.
    pub size: u64,
    /// The maximum in use, in bytes.
    pub used: u64,
}

impl Peak {
    const PERIOD: u64 = 5_000;

    /// Adds one VM's report at `now`. Returns the peak to show, if a period has ended: until the next one ends, it can
    /// only rise.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::memory_budget::Peak;
    ///
    /// let mut peak = Peak::default();
    /// peak.report(7, 5, Duration::from_secs(100));
    /// assert_eq!(peak.report(9, 4, Duration::from_secs(101)), None);
    /// let shown = peak.report(2, 1, Duration::from_secs(106)).unwrap();
    /// assert_eq!((shown.size, shown.used), (9, 5));
    /// ```
    pub fn report(&mut self, size: u64, used: u64, now: Duration) -> Option<Peak> {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let raised = Peak { began: self.began, size: self.size.max(size), used: self.used.max(used) };
        // a clock set back ends the period, too
        if now.checked_sub(self.began).is_some_and(|passed| passed < Self::PERIOD) {
            *self = raised;
            return None;
        }
        *self = Peak { began: now, size, used };
        Some(raised)
    }
}

/// The start of the period, and the two sizes.
impl SharedRecord for Peak {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        [self.began, self.size, self.used].into_iter().for_each(|number| out.number(number));
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        Some(Peak { began: input.number()?, size: input.number()?, used: input.number()? })
    }
}

/// If lost, all VMs report again in a second.
impl Forgettable for Peak {}
