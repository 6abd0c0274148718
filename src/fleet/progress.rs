//! How far an Envoy is with its questions.

use std::time::Duration;

use crate::codec::{Changed, Forgettable, Reader, SharedRecord, Writer};

/// The maximum difference between the workers' clocks; a larger one means that a clock was set back.
const CLOCKS_APART: Duration = Duration::from_secs(60);
/// The longest name of a ledger's process, in bytes.
const MAX_INSTANCE: usize = 64;

/// Whether requests may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// They wait: the ledger has not told the usage yet.
    #[default]
    Starting,
    /// They pass: the windows begin with the ledger's usage.
    Seeded,
    /// They pass: the ledger did not answer in time, so the windows began empty.
    Alone,
}

/// The progress, which all workers of an Envoy share.
///
/// ```
/// use std::time::Duration;
/// use sluice::fleet::{Progress, Readiness};
///
/// let (at, timeout) = (Duration::from_secs, Duration::from_secs(2));
/// let mut progress = Progress::default();
/// assert!(progress.claim(at(100), timeout) && !progress.claim(at(101), timeout), "one worker asks");
/// progress.begin(at(100));
/// assert!(!progress.give_up(timeout, at(101)) && progress.give_up(timeout, at(102)));
/// assert_eq!(progress.stage(), (Readiness::Alone, at(102)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    stage: Readiness,
    /// When the first question was sent, or the first request came; in milliseconds since the epoch, as all times here.
    /// 0: neither has happened.
    began: u64,
    /// When requests began to pass.
    ended: u64,
    /// The time of the next question.
    next: u64,
    /// The process of the ledger that has answered last. Another one may have another store.
    instance: String,
    /// The number of the last known change at that ledger.
    last: u64,
}

impl Progress {
    /// The stage, and since when.
    pub fn stage(&self) -> (Readiness, Duration) {
        (self.stage, Duration::from_millis(self.ended))
    }

    /// Whether requests may pass.
    pub fn is_over(&self) -> bool {
        self.stage != Readiness::Starting
    }

    /// The time that requests wait begins now, if it has not begun yet.
    pub fn begin(&mut self, now: Duration) -> Changed {
        let is_new = self.began == 0 && !self.is_over();
        if is_new {
            self.began = millis(now);
        }
        Changed::when(is_new)
    }

    /// The rest of the time that requests wait.
    pub fn rest(&self, timeout: Duration, now: Duration) -> Duration {
        match self.began {
            0 => timeout,
            began => (Duration::from_millis(began) + timeout).saturating_sub(now).min(timeout),
        }
    }

    /// Ends the wait if it has taken this long. Returns whether it has.
    pub fn give_up(&mut self, timeout: Duration, now: Duration) -> bool {
        let began = Duration::from_millis(self.began);
        let set_back = now + CLOCKS_APART < began;
        let is_late = !self.is_over() && self.began > 0 && (set_back || now >= began + timeout);
        if is_late {
            self.end(Readiness::Alone, now);
        }
        is_late
    }

    /// The ledger's usage has been taken over. Returns whether this was in time.
    pub fn seeded(&mut self, now: Duration) -> bool {
        let in_time = !self.is_over();
        if in_time {
            self.end(Readiness::Seeded, now);
        }
        in_time
    }

    fn end(&mut self, stage: Readiness, now: Duration) {
        (self.stage, self.ended) = (stage, millis(now));
    }

    /// Whether it is time for a question. If so, it is this worker's: no other asks for so long.
    pub fn claim(&mut self, now: Duration, lease: Duration) -> bool {
        let next = Duration::from_millis(self.next);
        let is_due = now >= next || now + CLOCKS_APART < next;
        if is_due {
            self.put_off(now + lease);
        }
        is_due
    }

    /// The time of the next question.
    pub fn next(&self) -> Duration {
        Duration::from_millis(self.next)
    }

    /// Sets the time of the next question.
    pub fn put_off(&mut self, next: Duration) {
        self.next = millis(next);
    }

    /// The ledger's process and the last known change, for the next question.
    pub fn known(&self) -> (&str, u64) {
        (&self.instance, self.last)
    }

    /// The ledger has told its changes until this one.
    pub fn learned(&mut self, instance: &str, last: u64) {
        if instance.len() <= MAX_INSTANCE {
            (self.instance, self.last) = (instance.to_owned(), last);
        }
    }
}

impl SharedRecord for Progress {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        out.u8(match self.stage {
            Readiness::Starting => 0,
            Readiness::Seeded => 1,
            Readiness::Alone => 2,
        });
        [self.began, self.ended, self.next, self.last].into_iter().for_each(|number| out.number(number));
        out.text(&self.instance);
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let stage = match input.u8()? {
            0 => Readiness::Starting,
            1 => Readiness::Seeded,
            2 => Readiness::Alone,
            _ => return None,
        };
        let [began, ended, next, last] = [input.number()?, input.number()?, input.number()?, input.number()?];
        Some(Progress { stage, began, ended, next, last, instance: input.text()?.to_owned() })
    }
}

/// If it is lost, the Envoy asks again. Usage is only taken over where nothing has been counted.
impl Forgettable for Progress {}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
