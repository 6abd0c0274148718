//! An exchange's data for filters.

use std::rc::Rc;

use super::phase::AttemptStage;
use super::{Exchange, Original};
use crate::error::Shape;
use crate::gateway::Command;
use crate::guard::checks::Flag;
use crate::keys::Identity;
use crate::limits::{Admission, RateHeaders};
use crate::parsed_request::ParsedRequest;
use crate::routing::{Route, Upstream};
use crate::timing::Timing;
use crate::usage::{TokenUsage, UsageSource};

impl Exchange {
    /// The id with which filters find it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether Envoy has been told that id.
    pub fn is_id_published(&self) -> bool {
        self.id_published
    }

    /// Whether it has been read as its model's configuration wants it.
    pub fn is_prepared(&self) -> bool {
        self.is_prepared
    }

    /// The caller; `None` without `auth`.
    pub fn identity(&self) -> Option<&Rc<Identity>> {
        self.identity.as_ref()
    }

    /// Whether the caller's key is a virtual one.
    pub fn is_issued(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.issued)
    }

    /// The client's headers, before any attempt overwrote them.
    pub fn original(&self) -> &Original {
        &self.original
    }

    /// The client's error shape.
    pub fn shape(&self) -> Shape {
        Shape::for_path(&self.original.path)
    }

    /// The parsed request; `None` until the body has been read.
    pub fn parsed(&self) -> Option<&ParsedRequest> {
        self.phase.request().map(|request| &request.parsed)
    }

    /// Whether the client has requested a stream.
    pub fn streams(&self) -> bool {
        self.parsed().is_some_and(|parsed| parsed.stream)
    }

    /// The command to the gateway itself, and its body.
    pub fn command(&self) -> Option<(&Command, &[u8])> {
        self.phase.command()
    }

    /// Its route; `None` until it has been routed.
    pub fn routed(&self) -> Option<&Route> {
        self.phase.journey().map(|journey| &journey.route)
    }

    /// The upstream of the current target.
    pub fn upstream(&self) -> Option<&Upstream> {
        self.routed().and_then(Route::upstream)
    }

    /// The tokens, once the answer has passed.
    pub fn usage(&self) -> Option<(TokenUsage, UsageSource)> {
        self.usage
    }

    /// The times of its events.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// The check that has stopped the request or its answer, and its finding.
    pub fn blocked(&self) -> Option<&Flag> {
        self.blocked.as_ref()
    }

    /// What the request has been counted for.
    pub fn admissions(&self) -> &[Admission] {
        &self.admissions
    }

    /// The limits that the client's headers report.
    pub fn rates(&self) -> RateHeaders {
        self.rates
    }

    /// Whether Envoy has been asked to retry, and the new attempt has not begun.
    pub fn is_retry_asked(&self) -> bool {
        self.phase.journey().is_some_and(|journey| journey.stage == AttemptStage::RetryAsked)
    }

    /// Whether the client has its answer, or has left.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the gateway answered because the deadline for all attempts was over.
    pub fn has_timed_out(&self) -> bool {
        self.timed_out
    }

    /// Why the last failed connection failed.
    pub fn connect_failure(&self) -> Option<&str> {
        self.phase.journey()?.connect_failure.as_deref()
    }
}
