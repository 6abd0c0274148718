//! An exchange's methods about a target's answer, for filters.

use super::answer::AnswerState;
use super::Exchange;
use crate::outcome::Outcome;
use crate::routing::Upstream;
use crate::usage::Meter;

impl Exchange {
    pub(super) fn answer_state(&self) -> Option<&AnswerState> {
        self.phase.journey().map(|journey| &journey.answer)
    }

    /// Changes the state of the answer, if there is a target.
    fn tell(&mut self, change: impl FnOnce(&mut AnswerState)) {
        if let Some(journey) = self.phase.journey_mut() {
            change(&mut journey.answer);
        }
    }

    /// An answer with this status is sent to the client; no further attempt is possible. `passing`: the attempt's
    /// outcome if the whole answer passes, unless it has ended already.
    pub fn answer(&mut self, status: u16, passing: Option<Outcome>) {
        self.tell(|answer| {
            answer.status = Some(status);
            answer.passing = passing;
        });
        let keeps_body = self.counter().is_some();
        if let Some(request) = self.phase.request_mut().filter(|_| !keeps_body) {
            request.body = Vec::new();
        }
    }

    /// The client gets an answer with this status instead.
    pub fn replace_answer(&mut self, status: u16) {
        self.tell(|answer| answer.replaced = Some(status));
        if let Some(cached) = self.cached_mut() {
            cached.replaced = Some(status);
        }
    }

    /// Sets whether the answer is compressed.
    pub fn answer_encoded(&mut self, encoded: bool) {
        self.tell(|answer| answer.encoded = encoded);
    }

    /// The answer passes, complete and judged; `meter` has read it.
    pub fn answer_metered(&mut self, meter: Box<Meter>) {
        self.tell(|answer| {
            answer.unjudged = false;
            answer.meter = Some(meter);
        });
    }

    /// Sets whether the answer passes unjudged, because it is too large to hold: then it must be judged from the
    /// passing bytes.
    pub fn answer_unjudged(&mut self, unjudged: bool) {
        self.tell(|answer| answer.unjudged = unjudged);
    }

    /// The passed answer turned out to be invalid.
    pub fn mark_invalid(&mut self) {
        self.tell(|answer| answer.is_none = true);
    }

    /// The answer has ended incomplete.
    pub fn interrupt(&mut self) {
        self.tell(|answer| answer.interrupted = true);
    }

    /// The answer has ended like all answers of its server, which never sends a last event.
    pub fn end_without_marker(&mut self) {
        self.tell(|answer| answer.ended_without_marker = true);
    }

    /// Sets whether the answer could only be read in part, so that its usage may be higher than known.
    pub fn left_unread(&mut self, unread: bool) {
        self.tell(|answer| answer.unread = unread);
    }

    /// The meter of a translated answer; `None` if there is none.
    pub fn provider_meter_mut(&mut self) -> Option<&mut Meter> {
        self.phase.journey_mut()?.answer.meter.as_deref_mut()
    }

    /// The current target's upstream, and the meter of its translated answer.
    pub fn upstream_and_meter(&mut self) -> Option<(&Upstream, &mut Meter)> {
        let journey = self.phase.journey_mut()?;
        Some((journey.route.upstream()?, journey.answer.meter.as_deref_mut()?))
    }

    /// The status of the answer that is passed to the client.
    pub fn answered(&self) -> Option<u16> {
        match self.answer_state() {
            Some(answer) => answer.status,
            None => self.is_hit().then_some(200),
        }
    }

    /// The status of the answer that replaces it for the client.
    pub fn replaced(&self) -> Option<u16> {
        match self.answer_state() {
            Some(answer) => answer.replaced,
            None => self.cached()?.replaced,
        }
    }

    /// The outcome of the current attempt, if its answer passes completely.
    pub fn passing(&self) -> Option<Outcome> {
        self.answer_state()?.passing
    }

    /// Whether the answer was compressed, although the gateway asked for an uncompressed one.
    pub fn is_encoded(&self) -> bool {
        self.answer_state().is_some_and(|answer| answer.encoded)
    }

    /// The meter of a translated answer, in the provider's own fields; `None` if there is none.
    pub fn provider_meter(&self) -> Option<&Meter> {
        self.answer_state()?.meter.as_deref()
    }

    /// Whether the answer ended incomplete.
    pub fn is_interrupted(&self) -> bool {
        self.answer_state().is_some_and(|answer| answer.interrupted)
    }

    /// Whether the answer passes unjudged.
    pub fn is_unjudged(&self) -> bool {
        self.answer_state().is_some_and(|answer| answer.unjudged)
    }

    /// Whether the passed answer was invalid.
    pub fn was_invalid(&self) -> bool {
        self.answer_state().is_some_and(|answer| answer.is_none)
    }

    /// Whether the answer ended like all answers of its server, which never sends a last event.
    pub fn ended_without_marker(&self) -> bool {
        self.answer_state().is_some_and(|answer| answer.ended_without_marker)
    }
}
