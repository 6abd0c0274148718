//! What filters tell an exchange.

use std::rc::Rc;
use std::time::Duration;

use super::Exchange;
use crate::gateway::Command;
use crate::guard::checks::Flag;
use crate::keys::Identity;
use crate::limits::{self, Limits, Ticket};
use crate::outcome::Outcome;
use crate::routing::Upstream;
use crate::timing::Timing;
use crate::usage::{Meter, Source, TokenUsage};

impl Exchange {
    /// It has arrived, and is found by this number; `published`: Envoy has been told it.
    pub fn arrived(&mut self, id: u64, published: bool, now: Duration) {
        (self.id, self.id_published) = (id, published);
        self.timing = Timing::arrived(now);
    }

    /// Envoy has been told its number.
    pub fn id_published(&mut self) {
        self.id_published = true;
    }

    /// It is known who is calling.
    pub fn identified(&mut self, identity: Rc<Identity>) {
        self.identity = Some(identity);
    }

    /// Something is asked of the gateway itself, with this body.
    pub fn commanded(&mut self, command: Command, body: Vec<u8>) {
        self.command = Some((command, body));
    }

    /// The limits that a report is to show besides the models'.
    pub fn report_limits(&mut self, limits: Vec<(limits::Subject, Limits)>) {
        self.reported = limits;
    }

    /// A limit has admitted the request; the ticket is settled when it ends.
    pub fn admitted(&mut self, ticket: Ticket) {
        self.tickets.push(ticket);
    }

    /// The limits that have admitted the request, to reserve what it may cost.
    pub fn tickets_mut(&mut self) -> &mut [Ticket] {
        &mut self.tickets
    }

    /// The limits that have admitted the request, to be settled, or to be given back.
    pub fn take_tickets(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.tickets)
    }

    /// What was admitted is given back: the client is told of its limits without this request.
    pub fn withdrawn(&mut self) {
        let reserved = self.tickets.iter().map(Ticket::tokens).max().unwrap_or_default();
        self.rates = self.rates.without(reserved);
    }

    /// Whether the model's name, which the client has chosen, is told apart from others.
    pub fn tell_apart(&mut self, told_apart: bool) {
        self.told_apart = told_apart;
    }

    /// A check has stopped the request or its answer; with what it found, if it found anything.
    pub fn block(&mut self, found: Option<Flag>) {
        self.blocked = found;
    }

    /// The client gets an answer of this status in place of the one that was to pass.
    pub fn replace_answer(&mut self, status: u16) {
        self.replaced = Some(status);
    }

    /// No connection stood for an attempt.
    pub fn connect_failed(&mut self, reason: String) {
        self.connect_failure = Some(reason);
    }

    /// The last of all targets has failed.
    pub fn exhaust(&mut self, last: Outcome) {
        self.exhausted = Some(last);
    }

    /// The gateway answers in place of the model servers, which took too long altogether.
    pub fn time_out(&mut self) {
        self.timed_out = true;
    }

    /// Whether the answer that has begun comes compressed.
    pub fn answer_encoded(&mut self, encoded: bool) {
        self.encoded = encoded;
    }

    /// The answer passes, whole and judged, and this has read it.
    pub fn answer_metered(&mut self, meter: Box<Meter>) {
        self.unjudged = false;
        self.provider_meter = Some(meter);
    }

    /// Whether the answer passes unjudged, since it is too large to be held: what it is must be told from what passes.
    pub fn answer_unjudged(&mut self, unjudged: bool) {
        self.unjudged = unjudged;
    }

    /// Bytes of an answer pass for the first time.
    pub fn first_bytes(&mut self, now: Duration) {
        self.timing.first_bytes(now);
    }

    /// The last bytes of the answer have passed.
    pub fn last_bytes(&mut self, now: Duration) {
        self.timing.end(now);
    }

    /// What has passed to the client has turned out to be no answer.
    pub fn turned_out_no_answer(&mut self) {
        self.no_answer = true;
    }

    /// The answer has ended without being complete.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// The answer has ended as all of its server do, none of which says that it is complete.
    pub fn end_unsaid(&mut self) {
        self.ended_unsaid = true;
    }

    /// What reads the usage of an answer that is translated; `None` if none is.
    pub fn provider_meter_mut(&mut self) -> Option<&mut Meter> {
        self.provider_meter.as_deref_mut()
    }

    /// The current target's upstream, and what reads the usage of its translated answer.
    pub fn upstream_and_meter(&mut self) -> Option<(&Upstream, &mut Meter)> {
        Some((self.route.as_ref()?.upstream()?, self.provider_meter.as_deref_mut()?))
    }

    /// What the answer has used, as far as is known by now.
    pub fn metered(&mut self, usage: Option<(TokenUsage, Source)>) {
        self.usage = usage;
    }

    /// Whether not all of the answer could be read, so that it may have used more than is known.
    pub fn left_unread(&mut self, unread: bool) {
        self.unread = unread;
    }
}
