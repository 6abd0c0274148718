//! What filters ask of an exchange.

use std::rc::Rc;

use super::phase::Stage;
use super::{Exchange, Original};
use crate::error::Shape;
use crate::gateway::Command;
use crate::guard::checks::Flag;
use crate::keys::Identity;
use crate::limits::{Admission, RateHeaders};
use crate::parsed_request::ParsedRequest;
use crate::routing::{Route, Upstream};
use crate::timing::Timing;
use crate::usage::{Source, TokenUsage};

impl Exchange {
    /// The number that filters find it by.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether Envoy has been told that number.
    pub fn is_id_published(&self) -> bool {
        self.id_published
    }

    /// Who is calling; `None` without `auth`.
    pub fn identity(&self) -> Option<&Rc<Identity>> {
        self.identity.as_ref()
    }

    /// Whether the caller's key is a virtual one.
    pub fn is_issued(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.issued)
    }

    /// What the client's headers said, before any attempt wrote over them.
    pub fn original(&self) -> &Original {
        &self.original
    }

    /// The shape in which the client expects errors.
    pub fn shape(&self) -> Shape {
        Shape::for_path(&self.original.path)
    }

    /// The parsed request; `None` until the body has been read.
    pub fn parsed(&self) -> Option<&ParsedRequest> {
        self.phase.request().map(|request| &request.parsed)
    }

    /// Whether the client has asked for a stream.
    pub fn streams(&self) -> bool {
        self.parsed().is_some_and(|parsed| parsed.stream)
    }

    /// What is asked of the gateway itself, and the body that came with it.
    pub fn command(&self) -> Option<(&Command, &[u8])> {
        self.phase.command()
    }

    /// Where it goes; `None` until it has been routed.
    pub fn routed(&self) -> Option<&Route> {
        self.phase.journey().map(|journey| &journey.route)
    }

    /// The upstream of the current target.
    pub fn upstream(&self) -> Option<&Upstream> {
        self.routed().and_then(Route::upstream)
    }

    /// The tokens, once the answer is through.
    pub fn usage(&self) -> Option<(TokenUsage, Source)> {
        self.usage
    }

    /// When what happened.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// The check that has stopped the request or its answer, and what it found.
    pub fn blocked(&self) -> Option<&Flag> {
        self.blocked.as_ref()
    }

    /// What the request has been counted for.
    pub fn admissions(&self) -> &[Admission] {
        &self.admissions
    }

    /// What the client is told of its limits.
    pub fn rates(&self) -> RateHeaders {
        self.rates
    }

    /// Whether Envoy has been asked to retry, and no new attempt has begun.
    pub fn is_retry_asked(&self) -> bool {
        self.phase.journey().is_some_and(|journey| journey.stage == Stage::RetryAsked)
    }

    /// Whether the client has its answer, or has gone.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the gateway has answered in place of the model servers, which took too long altogether.
    pub fn has_timed_out(&self) -> bool {
        self.timed_out
    }

    /// Why no connection stood, of the last attempt for which none did.
    pub fn connect_failure(&self) -> Option<&str> {
        self.phase.journey()?.connect_failure.as_deref()
    }
}
