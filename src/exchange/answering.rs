//! What filters tell an exchange of a target's answer, and ask of it.

use super::answer::Answer;
use super::Exchange;
use crate::outcome::Outcome;
use crate::routing::Upstream;
use crate::usage::Meter;

impl Exchange {
    pub(super) fn answer_state(&self) -> Option<&Answer> {
        self.phase.journey().map(|journey| &journey.answer)
    }

    /// Changes what is known of the answer, if there is a target that may answer.
    fn tell(&mut self, change: impl FnOnce(&mut Answer)) {
        if let Some(journey) = self.phase.journey_mut() {
            change(&mut journey.answer);
        }
    }

    /// An answer of this status is on its way to the client; there will be no further attempt. `passing`: how the
    /// attempt ends if all of the answer passes, unless it has ended already.
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

    /// The client gets an answer of this status in place of the one that was to pass.
    pub fn replace_answer(&mut self, status: u16) {
        self.tell(|answer| answer.replaced = Some(status));
    }

    /// Whether the answer that has begun comes compressed.
    pub fn answer_encoded(&mut self, encoded: bool) {
        self.tell(|answer| answer.encoded = encoded);
    }

    /// The answer passes, whole and judged, and this has read it.
    pub fn answer_metered(&mut self, meter: Box<Meter>) {
        self.tell(|answer| {
            answer.unjudged = false;
            answer.meter = Some(meter);
        });
    }

    /// Whether the answer passes unjudged, since it is too large to be held: what it is must be told from what passes.
    pub fn answer_unjudged(&mut self, unjudged: bool) {
        self.tell(|answer| answer.unjudged = unjudged);
    }

    /// What has passed to the client has turned out to be no answer.
    pub fn turned_out_no_answer(&mut self) {
        self.tell(|answer| answer.is_none = true);
    }

    /// The answer has ended without being complete.
    pub fn interrupt(&mut self) {
        self.tell(|answer| answer.interrupted = true);
    }

    /// The answer has ended as all of its server do, none of which says that it is complete.
    pub fn end_unsaid(&mut self) {
        self.tell(|answer| answer.ended_unsaid = true);
    }

    /// Whether not all of the answer could be read, so that it may have used more than is known.
    pub fn left_unread(&mut self, unread: bool) {
        self.tell(|answer| answer.unread = unread);
    }

    /// What reads the usage of an answer that is translated; `None` if none is.
    pub fn provider_meter_mut(&mut self) -> Option<&mut Meter> {
        self.phase.journey_mut()?.answer.meter.as_deref_mut()
    }

    /// The current target's upstream, and what reads the usage of its translated answer.
    pub fn upstream_and_meter(&mut self) -> Option<(&Upstream, &mut Meter)> {
        let journey = self.phase.journey_mut()?;
        Some((journey.route.upstream()?, journey.answer.meter.as_deref_mut()?))
    }

    /// The status of the answer that an attempt has let pass to the client.
    pub fn answered(&self) -> Option<u16> {
        self.answer_state()?.status
    }

    /// The status of the answer that the client gets in place of it.
    pub fn replaced(&self) -> Option<u16> {
        self.answer_state()?.replaced
    }

    /// How the attempt under way will have ended, if its answer passes to the client whole.
    pub fn passing(&self) -> Option<Outcome> {
        self.answer_state()?.passing
    }

    /// Whether the answer came compressed, although it was asked not to.
    pub fn is_encoded(&self) -> bool {
        self.answer_state().is_some_and(|answer| answer.encoded)
    }

    /// What reads the usage of an answer that is translated, in the provider's own words; `None` if none is.
    pub fn provider_meter(&self) -> Option<&Meter> {
        self.answer_state()?.meter.as_deref()
    }

    /// Whether the answer passed to the client ended without being complete.
    pub fn is_interrupted(&self) -> bool {
        self.answer_state().is_some_and(|answer| answer.interrupted)
    }

    /// Whether the answer passes to the client unjudged.
    pub fn is_unjudged(&self) -> bool {
        self.answer_state().is_some_and(|answer| answer.unjudged)
    }

    /// Whether what passed to the client was no answer.
    pub fn is_no_answer(&self) -> bool {
        self.answer_state().is_some_and(|answer| answer.is_none)
    }

    /// Whether the answer ended as all of its server do, none of which says that it is complete.
    pub fn ended_unsaid(&self) -> bool {
        self.answer_state().is_some_and(|answer| answer.ended_unsaid)
    }
}
