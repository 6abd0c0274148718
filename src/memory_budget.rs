//! How the memory of a worker's VM is shared out, and what Envoy keeps of request bodies for it.
//!
//! A VM has one memory for all its requests, and one that is full ends all of them. So what grows with what clients and
//! servers send stops at a share of the budget: first what is kept of answers only to be read, then texts that wait for
//! checks and large bodies, and small requests last, since they cost least and most callers send nothing else.

use std::time::Duration;

use serde_json::Value;

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};
use crate::config::{ConfigError, Environment, Node};

/// Envoy's environment variable with the budget of each worker's VM.
pub const MEMORY_VARIABLE: &str = "SLUICE_MEMORY";
/// Envoy's environment variable with the budget of request bodies that Envoy keeps for each worker.
pub const BODIES_VARIABLE: &str = "SLUICE_BODIES";

const MIB: usize = 1 << 20;

/// What memory is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A new request.
    Request,
    /// A large body, for as long as it is read.
    Body,
    /// Texts that wait for their checks.
    Check,
    /// What is kept of an answer to read its usage.
    Answer,
    /// A small body that is kept, so that attempts need not ask Envoy for it.
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

/// What a worker may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    /// The VM's memory, in bytes.
    pub memory: usize,
    /// The bodies of requests under way, which are in Envoy's memory, in bytes.
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
    /// No size, or none that works.
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

    /// How many bytes are left for a purpose when so many are in use for whatever.
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

    /// Whether bodies of `more` bytes fit beside those under way. A single one always does: how large it may be, the
    /// listener says.
    pub fn fits_body(&self, under_way: usize, more: usize) -> bool {
        under_way == 0 || under_way.saturating_add(more) <= self.bodies
    }

    /// The most that may be in use when Envoy hands something over. Whoever asked for it then does without, which is
    /// better than a VM that has no memory left.
    pub fn most(&self) -> usize {
        self.memory + 192 * MIB
    }
}

/// The fullest VM of all workers. Each reports for itself, as often as it likes; what none has reported for some time,
/// as after a crash, is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// When the running period began, in milliseconds.
    began: u64,
    /// The largest memory of this period, in bytes.
    pub size: u64,
    /// The most that was in use, in bytes.
    pub used: u64,
}

impl Peak {
    const PERIOD: u64 = 5_000;

    /// Takes in what one VM reports at `now`. Returns the peak to show, if a period has ended: until the next one ends,
    /// it can only rise.
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
        // a clock that has been set back ends the period, too
        if now.checked_sub(self.began).is_some_and(|passed| passed < Self::PERIOD) {
            *self = raised;
            return None;
        }
        *self = Peak { began: now, size, used };
        Some(raised)
    }
}

/// When the period began, and the two sizes.
impl SharedRecord for Peak {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        [self.began, self.size, self.used].into_iter().for_each(|number| out.number(number));
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        Some(Peak { began: input.number()?, size: input.number()?, used: input.number()? })
    }
}

/// All VMs report again in a second.
impl Forgettable for Peak {}
