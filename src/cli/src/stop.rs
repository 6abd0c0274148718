//! The signals that request a stop.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Failure;

/// Counts SIGTERM and SIGINT, and wakes whoever waits.
#[derive(Default)]
pub(crate) struct Stop {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Stop {
    /// Takes over the signals of this program.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn on_signals() -> Result<Arc<Stop>, Failure> {
        let failed = |error| Failure::Usage(format!("cannot wait for signals: {error}"));
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
        let stop = Arc::new(Stop::default());
        let counted = Arc::clone(&stop);
        std::thread::spawn(move || {
            for _ in signals.forever() {
                *counted.locked() += 1;
                counted.changed.notify_all();
            }
        });
        Ok(stop)
    }

    /// How many signals have come.
    pub(crate) fn signals(&self) -> usize {
        *self.locked()
    }

    /// Sleeps for `time`, or until there are more signals than `seen`; returns whether there are.
    pub(crate) fn wait(&self, time: Duration, seen: usize) -> bool {
        let waited = self.changed.wait_timeout_while(self.locked(), time, |count| *count <= seen);
        *waited.unwrap_or_else(PoisonError::into_inner).0 > seen
    }

    fn locked(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
