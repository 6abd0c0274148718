//! The times of one request, from its client's view.

use std::time::Duration;

/// The times of one request. The system clock may be set back, but no span is ever negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    arrived: Duration,
    first_bytes: Option<Duration>,
    ended: Option<Duration>,
}

impl Timing {
    /// A request that arrived at `now`.
    pub fn arrived(now: Duration) -> Self {
        Timing { arrived: now, ..Timing::default() }
    }

    /// Whether nothing of the answer's body has passed yet.
    pub fn awaits_first_bytes(&self) -> bool {
        self.first_bytes.is_none()
    }

    /// The first bytes of the answer's body pass to the client. Later calls change nothing.
    pub fn first_bytes(&mut self, now: Duration) {
        self.first_bytes.get_or_insert(now);
    }

    /// Whether the request is still running.
    pub fn is_under_way(&self) -> bool {
        self.ended.is_none()
    }

    /// The request has ended. Later calls change nothing.
    pub fn end(&mut self, now: Duration) {
        self.ended.get_or_insert(now);
    }

    /// From the request's arrival to the first bytes of the answer, which is a stream's first token, in
    /// milliseconds. `None` if there were none.
    pub fn to_first_token(&self) -> Option<u64> {
        self.first_bytes.map(|first| milliseconds(first.saturating_sub(self.arrived)))
    }

    /// From the request's arrival to its end, in milliseconds. `None` while it is running.
    pub fn whole(&self) -> Option<u64> {
        self.ended.map(|ended| milliseconds(ended.saturating_sub(self.arrived)))
    }

    /// From the request's arrival to its end, or to `now` while it is running, in milliseconds.
    pub fn so_far(&self, now: Duration) -> u64 {
        milliseconds(self.ended.unwrap_or(now).saturating_sub(self.arrived))
    }

    /// The speed of a stream's tokens after the first one. `None` if there is nothing to measure.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::timing::Timing;
    ///
    /// let mut timing = Timing::arrived(Duration::from_secs(100));
    /// timing.first_bytes(Duration::from_secs(101));
    /// timing.end(Duration::from_secs(105));
    /// assert_eq!(timing.tokens_per_second(201), Some(50));
    /// ```
    pub fn tokens_per_second(&self, output: u64) -> Option<u64> {
        let tokens = output.saturating_sub(1);
        let took = self.ended?.saturating_sub(self.first_bytes?).as_micros();
        if tokens == 0 || took == 0 {
            return None;
        }
        let rate = u128::from(tokens).saturating_mul(1_000_000) / took;
        Some(u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
