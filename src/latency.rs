//! The average time until answers begin, which follows changes.

use std::time::Duration;

/// How much an answer moves the average: the gain of TCP's smoothed round-trip time (RFC 6298, section 2).
const GAIN: f64 = 1.0 / 8.0;

/// The shortest time that differs from zero, in seconds.
const SHORTEST: f64 = 1e-6;

/// An exponentially weighted average of times to first byte.
///
/// ```
/// use std::time::Duration;
/// use sluice::latency::Latency;
///
/// let mut latency = Latency::default();
/// assert_eq!(latency.seconds(), None);
/// latency.learn(Duration::from_millis(800));
/// latency.learn(Duration::from_millis(1600));
/// assert_eq!(latency.seconds(), Some(0.9));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency(Option<f64>);

impl Latency {
    /// Adds the time to first byte of an answer.
    pub fn learn(&mut self, time_to_first_byte: Duration) {
        let time = time_to_first_byte.as_secs_f64().max(SHORTEST);
        self.0 = Some(self.0.map_or(time, |mean| mean + (time - mean) * GAIN));
    }

    /// The average in seconds; `None` before the first answer.
    pub fn seconds(self) -> Option<f64> {
        self.0
    }
}
