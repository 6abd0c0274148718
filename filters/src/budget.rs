//! This VM's memory: its use, refusals because of it, and the metrics about it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use sluice::codec::Changed;
use sluice::config::ConfigError;
use sluice::guard::checks::Failures;
use sluice::memory_budget::{MemoryBudget, Peak, Purpose};
use sluice::wire_names::{stats, MEMORY_PEAK};

use crate::allocator;
use crate::host::{self, shared_data, Buffer};
use crate::metrics::find_or_define;

/// How often a VM reports its memory.
const REPORTED_EVERY: Duration = Duration::from_secs(1);

thread_local! {
    static BUDGET: Cell<MemoryBudget> = Cell::default();
    static BODIES: Cell<usize> = const { Cell::new(0) };
    static REFUSED: RefCell<Vec<(Purpose, u32)>> = const { RefCell::new(Vec::new()) };
    static TOLD: RefCell<Failures> = RefCell::default();
    /// What has been promised, and is not in use yet.
    static PROMISED: Cell<usize> = const { Cell::new(0) };
    /// Whether Envoy has passed on less than was requested.
    static STARVED: Cell<bool> = const { Cell::new(false) };
    static REPORTED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static GAUGES: [Option<u32>; 2] = [stats::MEMORY, stats::MEMORY_USED].map(host::define_gauge);
}

/// Reads the budget from Envoy's environment.
///
/// # Errors
/// The variable with an invalid size.
pub fn configure() -> Result<(), ConfigError> {
    BUDGET.set(MemoryBudget::read(&|name| std::env::var(name).ok())?);
    Ok(())
}

/// The number of free bytes for a purpose.
pub fn room(purpose: Purpose) -> usize {
    BUDGET.get().room(purpose, allocator::used())
}

/// Whether this many bytes are free for a purpose; refusals are counted.
pub fn admits(purpose: Purpose, size: usize) -> bool {
    let admitted = room(purpose) > size;
    if !admitted {
        refuse(purpose);
    }
    admitted
}

/// The same, if all that has been promised is used as well.
pub fn admits_beside_promises(purpose: Purpose, size: usize) -> bool {
    admits(purpose, size.saturating_add(PROMISED.get()))
}

/// What has been promised, in bytes.
#[cfg(test)]
pub fn promised() -> usize {
    PROMISED.get()
}

/// Memory that longer work will need.
pub struct Promise(usize);

impl Promise {
    /// Of this many bytes.
    pub fn new(size: usize) -> Self {
        PROMISED.set(PROMISED.get().saturating_add(size));
        Promise(size)
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        PROMISED.set(PROMISED.get().saturating_sub(self.0));
    }
}

/// Counts a refusal because of memory, and logs it once a minute.
#[cold]
pub fn refuse(purpose: Purpose) {
    let define = || host::define_counter(&stats::memory_refused(purpose.label()));
    if let Some(counter) = REFUSED.with_borrow_mut(|known| find_or_define(known, purpose, define)) {
        host::increment(counter, 1);
    }
    let untold = TOLD.with_borrow_mut(|told| told.note("", purpose.label(), host::recent()));
    if let Some(untold) = untold {
        let MemoryBudget { memory, bodies } = BUDGET.get();
        let (mib, used, kept) = (1 << 20, allocator::used(), BODIES.get());
        log::warn!(
            "sluice: memory: no room ({}): {} MiB of {} MiB are in use, bodies of {} MiB of {} MiB in flight; and {untold} \
             times since this was logged last",
            purpose.label(),
            used / mib,
            memory / mib,
            kept / mib,
            bodies / mib,
        );
    }
}

/// Whether Envoy may pass on this many bytes.
pub fn may_receive(size: usize) -> bool {
    let fits = allocator::used().saturating_add(size) <= BUDGET.get().most();
    #[cfg(feature = "trap")]
    let fits = fits && crate::trap::hands_over(size);
    if !fits {
        STARVED.set(true);
    }
    fits
}

/// Whether something was not passed on since the last call.
pub fn was_starved() -> bool {
    STARVED.take()
}

/// There was no memory for data from Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// At most `size` bytes of a buffer, from `start` on; empty if there are none.
///
/// # Errors
/// There is no memory for them. The refusal is counted for `purpose`.
pub fn receive(purpose: Purpose, buffer: Buffer, start: usize, size: usize) -> Result<Vec<u8>, NoMemory> {
    if size == 0 {
        return Ok(Vec::new());
    }
    STARVED.set(false);
    match host::bytes_from(buffer, start, size) {
        Some(bytes) => Ok(bytes),
        None if STARVED.take() => {
            refuse(purpose);
            Err(NoMemory)
        }
        None => Ok(Vec::new()),
    }
}

/// The bytes of one request's body in Envoy, as part of the total.
#[derive(Default)]
pub struct BodyWeight(usize);

impl BodyWeight {
    /// The number of counted bytes.
    pub fn size(&self) -> usize {
        self.0
    }

    /// Changes the body's count. `false` if the total would be too large.
    pub fn grow(&mut self, size: usize) -> bool {
        let more = size.saturating_sub(self.0);
        if more == 0 {
            return true;
        }
        let others = BODIES.get().saturating_sub(self.0);
        let fits = BUDGET.get().fits_body(others, size);
        match fits {
            true => {
                BODIES.set(BODIES.get().saturating_add(more));
                self.0 = size;
            }
            false => refuse(Purpose::Body),
        }
        fits
    }
}

impl Drop for BodyWeight {
    fn drop(&mut self) {
        BODIES.set(BODIES.get().saturating_sub(self.0));
    }
}

/// Reports this VM's memory from time to time. Called on each tick.
pub fn report() {
    let now = host::recent();
    if now.checked_sub(REPORTED.get()).is_some_and(|passed| passed < REPORTED_EVERY) {
        return;
    }
    REPORTED.set(now);
    let (size, used) = (allocator::size() as u64, allocator::used() as u64);
    let (mut ended, mut changed) = (None, Changed::Keep);
    let peak = shared_data::update(MEMORY_PEAK, |peak: &mut Peak| {
        let known = *peak;
        ended = peak.report(size, used, now);
        changed = Changed::when(*peak != known);
        changed
    });
    if let (Some(peak), Changed::Write) = (peak, changed) {
        let shown = ended.unwrap_or(peak);
        for (gauge, value) in GAUGES.with(|gauges| *gauges).into_iter().zip([shown.size, shown.used]) {
            let Some(gauge) = gauge else {
                continue;
            };
            if ended.is_some() || value > host::metric(gauge) {
                host::record(gauge, value);
            }
        }
    }
}
