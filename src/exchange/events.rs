//! An exchange's events, from filters.

use std::rc::Rc;
use std::time::Duration;

use super::Exchange;
use crate::gateway::Command;
use crate::guard::checks::Flag;
use crate::keys::Identity;
use crate::limits::{self, Admission, Limits};
use crate::outcome::Outcome;
use crate::timing::Timing;
use crate::usage::{TokenUsage, UsageSource};

impl Exchange {
    /// It has arrived, and has this id; `published`: Envoy has been told the id.
    pub fn arrived(&mut self, id: u64, published: bool, now: Duration) {
        (self.id, self.id_published) = (id, published);
        self.timing = Timing::arrived(now);
    }

    /// Envoy has been told its id.
    pub fn id_published(&mut self) {
        self.id_published = true;
    }

    /// The caller is known.
    pub fn identified(&mut self, identity: Rc<Identity>) {
        self.identity = Some(identity);
    }

    /// It is a command to the gateway itself, with this body.
    pub fn commanded(&mut self, command: Command, body: Vec<u8>) {
        self.phase.ask(command, body);
    }

    /// The limits to show in a report, besides the models'.
    pub fn report_limits(&mut self, limits: Vec<(limits::Subject, Limits)>) {
        self.reported = limits;
    }

    /// A limit has admitted the request; the admission is settled when it ends.
    pub fn admitted(&mut self, admission: Admission) {
        self.admissions.push(admission);
    }

    /// The limits that have admitted the request, to reserve what it may cost.
    pub fn admissions_mut(&mut self) -> &mut [Admission] {
        &mut self.admissions
    }

    /// The limits that have admitted the request, to be settled, or to be given back.
    pub fn take_admissions(&mut self) -> Vec<Admission> {
        std::mem::take(&mut self.admissions)
    }

    /// Withdraws the admissions: the client's headers do not include this request.
    pub fn withdrawn(&mut self) {
        let reserved = self.admissions.iter().map(Admission::tokens).max().unwrap_or_default();
        self.rates = self.rates.without(reserved);
    }

    /// Sets whether metrics have the client's own name of the model.
    pub fn tell_apart(&mut self, told_apart: bool) {
        self.told_apart = told_apart;
    }

    /// A check has stopped the request or its answer, with its finding if there is one.
    pub fn block(&mut self, found: Option<Flag>) {
        self.blocked = found;
    }

    /// An attempt's connection failed.
    pub fn connect_failed(&mut self, reason: String) {
        if let Some(journey) = self.phase.journey_mut() {
            journey.connect_failure = Some(reason);
        }
    }

    /// The last target has failed.
    pub fn exhaust(&mut self, last: Outcome) {
        if let Some(journey) = self.phase.journey_mut() {
            journey.exhausted = Some(last);
        }
    }

    /// The gateway answers, because the deadline for all attempts is over.
    pub fn time_out(&mut self) {
        self.timed_out = true;
    }

    /// The first bytes of an answer pass.
    pub fn first_bytes(&mut self, now: Duration) {
        self.timing.first_bytes(now);
    }

    /// The last bytes of the answer have passed.
    pub fn last_bytes(&mut self, now: Duration) {
        self.timing.end(now);
    }

    /// The answer's usage, as far as it is known now.
    pub fn metered(&mut self, usage: Option<(TokenUsage, UsageSource)>) {
        self.usage = usage;
    }
}
