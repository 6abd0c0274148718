//! The phases of a request.
//!
//! | phase | until |
//! |---|---|
//! | arrived | its body is there |
//! | a command to the gateway itself | it is answered |
//! | read | it has a target |
//! | routed: an attempt is chosen, begun, or to be retried | an attempt's answer passes, or the client has left |
//!
//! Each phase holds what there is from then on, so that nothing is set of an answer where there is no target, and nothing
//! is asked of a body that has not been read. What comes in the wrong phase changes nothing.

use super::answer::AnswerState;
use crate::gateway::Command;
use crate::header_plan::Overwritten;
use crate::outcome::Outcome;
use crate::parsed_request::ParsedRequest;
use crate::routing::Route;

/// The phase of a request.
// there is one for each request, which is on the heap anyway
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// Its headers have been read.
    #[default]
    Arrived,
    /// It is a command to the gateway itself, with this body.
    Asking(Command, Vec<u8>),
    /// Its body has been read.
    Read(Request),
    /// It has a target.
    Routed(Request, Journey),
}

/// The contents of a request.
#[derive(Debug)]
pub(super) struct Request {
    /// What the body says.
    pub parsed: ParsedRequest,
    /// The body itself, if it is small, until an answer is on its way to the client: so that an attempt need
    /// not ask for it again. Longer where the prompt's tokens may have to be counted. Of a large one only the part
    /// that strategies look at.
    pub body: Vec<u8>,
}

/// Where a request goes, and what has come of it.
#[derive(Debug)]
pub(super) struct Journey {
    pub route: Route,
    pub stage: AttemptStage,
    /// The target for which the request's headers were changed.
    pub prepared_for: Option<(usize, usize)>,
    pub overwritten: Overwritten,
    /// How the last of all targets failed. Envoy retries what it saw break by itself, so one more attempt may
    /// follow, which only has to tell the client.
    pub exhausted: Option<Outcome>,
    /// Why the last failed connection failed.
    pub connect_failure: Option<String>,
    pub answer: AnswerState,
}

/// The state of the attempt at the current target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttemptStage {
    /// The target is chosen.
    Chosen,
    /// The target is another one than the last attempt's: Envoy has been asked to retry.
    RetryAsked,
    /// Envoy has begun the attempt.
    Begun,
}

impl Journey {
    pub fn new(route: Route) -> Self {
        Journey {
            route,
            stage: AttemptStage::Chosen,
            prepared_for: None,
            overwritten: Overwritten::default(),
            exhausted: None,
            connect_failure: None,
            answer: AnswerState::default(),
        }
    }
}

impl Phase {
    /// The command, if it is one.
    pub fn command(&self) -> Option<(&Command, &[u8])> {
        match self {
            Phase::Asking(command, body) => Some((command, body)),
            Phase::Arrived | Phase::Read(_) | Phase::Routed(..) => None,
        }
    }

    /// What the request says, once it has been read.
    pub fn request(&self) -> Option<&Request> {
        match self {
            Phase::Read(request) | Phase::Routed(request, _) => Some(request),
            Phase::Arrived | Phase::Asking(..) => None,
        }
    }

    /// The same, to be rewritten.
    pub fn request_mut(&mut self) -> Option<&mut Request> {
        match self {
            Phase::Read(request) | Phase::Routed(request, _) => Some(request),
            Phase::Arrived | Phase::Asking(..) => None,
        }
    }

    /// Where the request goes, once it has been routed.
    pub fn journey(&self) -> Option<&Journey> {
        match self {
            Phase::Routed(_, journey) => Some(journey),
            Phase::Arrived | Phase::Asking(..) | Phase::Read(_) => None,
        }
    }

    /// The same, to go on.
    pub fn journey_mut(&mut self) -> Option<&mut Journey> {
        match self {
            Phase::Routed(_, journey) => Some(journey),
            Phase::Arrived | Phase::Asking(..) | Phase::Read(_) => None,
        }
    }

    /// Something is asked of the gateway itself.
    pub fn ask(&mut self, command: Command, body: Vec<u8>) {
        if let Phase::Arrived = self {
            *self = Phase::Asking(command, body);
        }
    }

    /// The body has been read, or rewritten.
    pub fn read(&mut self, read: Request) {
        match self {
            Phase::Arrived => *self = Phase::Read(read),
            Phase::Read(request) | Phase::Routed(request, _) => *request = read,
            Phase::Asking(..) => {}
        }
    }

    /// The request has a target.
    pub fn route(&mut self, route: Route) {
        *self = match std::mem::take(self) {
            Phase::Read(request) | Phase::Routed(request, _) => Phase::Routed(request, Journey::new(route)),
            unread @ (Phase::Arrived | Phase::Asking(..)) => unread,
        };
    }
}
