//! One request and its answer: the record that all filters of a request share.

mod accounts;
mod answer;
mod answering;
mod caching;
mod caller;
mod choosing;
mod events;
mod labels;
mod models;
mod original;
mod passing;
mod phase;
mod preparation;
mod queries;
mod shared_limits;
mod socket;
mod texts;
mod translation;

use std::rc::Rc;
use std::time::Duration;

use crate::endpoint::{Dialect, Endpoint, Further};
use crate::error::ApiError;
use crate::guard::checks::Flag;
use crate::header_plan::{HeaderDiff, RequestHeaders};
use crate::health::Blame;
use crate::keys::Identity;
use crate::limits::shared::SharedLimits;
use crate::limits::{self, Admission, Limits, RateHeaders};
use crate::outcome::Outcome;
use crate::parsed_request::{ChangedString, ParsedRequest};
use crate::routing::{ClusterState, Ending, Model, NotStarted, Route, Table};
use crate::texts::TextWork;
use crate::timing::Timing;
use crate::uri::climbs;
use crate::usage::{TokenUsage, UsageSource};

pub use accounts::CountCall;
pub use caching::{written_similarity, Cached};
use caller::RouteRequest;
pub use choosing::{ChosenKind, ServiceCall};
pub use original::Original;
use phase::{AttemptStage, Phase, Request};
use preparation::target_request;
pub use preparation::Prepared;
pub use socket::SocketState;
pub use texts::CHAT_PATH;

/// The maximum number of flags, because services choose their names.
const MAX_FLAGS: usize = 16;

/// The maximum number of warnings of limits in an answer's header.
const MAX_WARNINGS: usize = 16;

/// Everything known about one request. If a filter is not configured, its part is empty.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The id with which filters find it, if they do.
    id: u64,
    /// Whether Envoy has been told that id.
    id_published: bool,
    /// The caller; `None` without `auth`.
    identity: Option<Rc<Identity>>,
    /// The client's headers, before any attempt overwrote them.
    original: Original,
    /// Its phase, with the data of that phase.
    phase: Phase,
    /// The tokens, once the answer has passed.
    usage: Option<(TokenUsage, UsageSource)>,
    /// The times of its events.
    timing: Timing,
    /// The findings of checks that passed anyway, without duplicates.
    flags: Vec<Flag>,
    /// The check that has stopped the request or its answer, and its finding.
    blocked: Option<Flag>,
    /// What the request has been counted for; settled when it ends.
    admissions: Vec<Admission>,
    /// What of it other Envoys count, too.
    shared: Option<Box<SharedLimits>>,
    /// The limits that a report is to show besides the models'.
    reported: Vec<(limits::Subject, Limits)>,
    /// The limits that the client's headers report.
    rates: RateHeaders,
    /// The limits that have reached their `warn_at`.
    warnings: Vec<(limits::Subject, limits::Warning)>,
    /// Whether the client has its answer, or has left.
    closed: bool,
    /// Whether the gateway answered because the deadline for all attempts was over.
    timed_out: bool,
    /// Whether metrics have the client's own name of the model.
    told_apart: bool,
    /// Its WebSocket, if it is one.
    socket: Option<Box<SocketState>>,
    /// What the cache did for it, if its model has one.
    cached: Option<Box<Cached>>,
    /// A digest of the configuration of the guard that has passed it.
    guard: Option<[u8; 16]>,
    /// What is left to do for it, if it came to a text endpoint.
    texts: Option<Box<TextWork>>,
    /// The prompt of the library that it uses.
    prompt: Option<Box<str>>,
    /// Whether it has been read as its model's configuration wants it.
    is_prepared: bool,
    /// The kind of its prompt, if it asks for a virtual model.
    kind: Option<Box<ChosenKind>>,
}

/// The longest body that an exchange keeps, in bytes. Most chats are smaller; bodies with documents and images stay
/// only in Envoy.
pub const MAX_KEPT_BODY: usize = 64 * 1024;

/// The result of routing a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// It has a target.
    Ready,
    /// Every target is at its limit; the request may wait this long for a free one.
    Queue(Duration),
    /// No target counts tokens in this dialect: the answer is an estimate.
    Estimated(u64),
}

/// The longest kept part of a large body's prompt, for strategies, in bytes: the configuration's maximum of
/// `prefix_bytes`.
const MAX_PREFIX: usize = 4096;

/// Why an attempt must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unprepared {
    /// No filter has routed the request.
    NotRouted,
    /// The attempt is at a cluster that was not chosen.
    OtherCluster,
    /// Every target has been tried; the last attempt had this outcome.
    Exhausted(Outcome),
    /// Envoy refused to set a header.
    HeaderRefused,
}

impl Exchange {
    /// A new exchange.
    pub fn new(identity: Option<Rc<Identity>>, original: Original) -> Self {
        Exchange { identity, original, ..Exchange::default() }
    }

    /// Takes in a request that has been read as its model's configuration wants it.
    pub fn prepared(&mut self, parsed: ParsedRequest, body: Vec<u8>) {
        self.is_prepared = true;
        self.read_written(parsed, body);
    }

    /// Takes in what the body says, and the body.
    pub fn read(&mut self, parsed: ParsedRequest, body: Vec<u8>) {
        let large = body.len() > MAX_KEPT_BODY;
        self.phase.read(Request { parsed, body });
        if large {
            self.spare_body();
        }
    }

    /// Keeps only the part of the body that strategies use.
    pub fn spare_body(&mut self) {
        let Some(Request { parsed, body }) = self.phase.request_mut() else {
            return;
        };
        let kept = parsed.layout.prompt.saturating_add(MAX_PREFIX).min(MAX_KEPT_BODY);
        if let Some(beginning) = body.get(..kept) {
            // a copy, because a kept part of a large block would prevent the next body from using it
            *body = beginning.to_vec();
        }
    }

    /// Records a finding of a check that passes anyway, in the request or its answer. A stream's windows may repeat a
    /// finding many times.
    pub fn flag(&mut self, flags: Vec<Flag>) {
        for flag in flags {
            if self.flags.len() < MAX_FLAGS && !self.flags.contains(&flag) {
                self.flags.push(flag);
            }
        }
    }

    /// The findings for the header `x-sluice-guard`; `None` if there are none.
    pub fn flags(&self) -> Option<String> {
        let flags: Vec<String> = self.flags.iter().map(Flag::to_string).collect();
        (!flags.is_empty()).then(|| flags.join(", "))
    }

    /// The complete body, if it is kept.
    pub fn whole_body(&self) -> Option<&[u8]> {
        self.kept_body(self.parsed()?.layout.length)
    }

    /// Replaces the client's body with another one, which has these changes; of a form, the JSON object with its texts.
    ///
    /// # Errors
    /// The model's name is invalid now.
    pub fn rewrite(&mut self, body: Vec<u8>, changes: &[ChangedString]) -> Result<(), ApiError> {
        let Some(parsed) = self.parsed() else {
            return Err(ApiError::internal("The request was rewritten unread."));
        };
        if parsed.form.is_some() {
            // the form itself is in Envoy: attempts write the texts into it
            let parsed = parsed.with_form_texts(&body, changes)?;
            if let Some(request) = self.phase.request_mut() {
                request.parsed = parsed;
            }
            return Ok(());
        }
        let parsed = parsed.changed(changes, &body)?;
        self.read_written(parsed, body);
        Ok(())
    }

    /// The answer is not a stream, although the client has asked for one.
    pub fn answers_whole(&mut self) {
        if let Some(request) = self.phase.request_mut() {
            request.parsed.stream = false;
        }
    }

    /// The complete body, if it is kept and has this size.
    pub fn kept_body(&self, size: usize) -> Option<&[u8]> {
        let Request { parsed, body } = self.phase.request()?;
        (parsed.layout.length == size && body.len() == size).then_some(body)
    }

    /// Routes the request: picks the first target of its model.
    ///
    /// # Errors
    /// 404 with the models the caller may use, when there is none of that name, or none in that dialect.
    pub fn route(&mut self, table: &Rc<Table>, clusters: &dyn ClusterState) -> Result<Routed, ApiError> {
        let parsed = self.parsed().ok_or_else(|| ApiError::internal("The request was routed unread."))?;
        // a model's name may stand in an upstream's path
        let index = match parsed.is_passed() {
            true => table.find_path(&self.original.path),
            false => table.find(&parsed.model).filter(|_| !climbs(&parsed.model)),
        };
        let Some(index) = index else {
            return Err(self.unknown_model(table, &parsed.model));
        };
        let storing_upstream = self.storing_upstream(table, clusters)?;
        match Route::start(table, index, parsed.endpoint, storing_upstream, &self.caller(), clusters) {
            Ok(route) => {
                self.phase.route(route);
                Ok(Routed::Ready)
            }
            Err(NotStarted::Full(patience)) => Ok(Routed::Queue(patience)),
            Err(NotStarted::Away(at)) => {
                let wait = at.saturating_sub(clusters.now());
                Err(ApiError::storing_upstream_unavailable(Some(wait).filter(|_| at < Duration::MAX)))
            }
            Err(NotStarted::Elsewhere) => Err(self.stored_elsewhere()),
            Err(NotStarted::Silent) => {
                if let Endpoint::Further(further) = parsed.endpoint {
                    // other servers have other names for the text
                    let unnamed = matches!(further, Further::Tokenize | Further::TokenCount) && parsed.layout.text == 0;
                    let text = if unnamed { parsed.text_length as u64 } else { parsed.layout.text };
                    if further.counts() {
                        return Ok(Routed::Estimated(text.div_ceil(4)));
                    }
                }
                let model = table.models().get(index);
                if parsed.endpoint == Endpoint::Responses && model.is_some_and(|model| model.speaks(Dialect::OpenAi)) {
                    let message = format!("The model `{}` is not served by the Responses API.", parsed.model);
                    return Err(ApiError::model_not_found(message));
                }
                let spoken: Vec<&str> = model.into_iter().flat_map(Model::dialects).map(|d| d.name()).collect();
                Err(ApiError::model_not_found(format!(
                    "The model `{}` is not served in the {} dialect, only in: {}.",
                    parsed.model,
                    parsed.endpoint.dialect().name(),
                    spoken.join(", ")
                )))
            }
        }
    }

    /// Changes the request's headers for the current target, and returns what to do with its body. `cluster` is the
    /// attempt's cluster, according to Envoy.
    ///
    /// # Errors
    /// Why nothing may be sent: it would send a credential to the wrong server.
    pub fn prepare(&mut self, cluster: &[u8], headers: &mut dyn RequestHeaders) -> Result<Prepared, Unprepared> {
        let Phase::Routed(Request { parsed, .. }, journey) = &mut self.phase else {
            return Err(Unprepared::NotRouted);
        };
        if let Some(outcome) = journey.exhausted {
            return Err(Unprepared::Exhausted(outcome));
        }
        let route = &journey.route;
        let (body, wanted) = target_request(route, route.place(), parsed).ok_or(Unprepared::NotRouted)?;
        if wanted.upstream.cluster.as_bytes() != cluster {
            return Err(Unprepared::OtherCluster);
        }
        let before = journey.prepared_for.and_then(|place| target_request(route, place, parsed));
        let before = before.as_ref().map(|(_, target)| target);
        let diff = HeaderDiff { original: &self.original, before, after: &wanted };
        if !diff.apply(&mut journey.overwritten, headers) {
            return Err(Unprepared::HeaderRefused);
        }
        journey.prepared_for = Some(route.place());
        journey.stage = AttemptStage::Begun;
        Ok(body)
    }

    /// Whether Envoy has begun the chosen attempt.
    pub fn has_begun(&self) -> bool {
        self.phase.journey().is_some_and(|journey| journey.stage == AttemptStage::Begun)
    }

    /// The attempt in flight has ended: it is judged, once, and gives up its place. Nobody is to blame for what may follow
    /// from a header of the client's.
    pub fn end_attempt(&mut self, ending: Ending, clusters: &dyn ClusterState) {
        let Phase::Routed(request, journey) = &mut self.phase else {
            return;
        };
        journey.answer.passing = None;
        let may_cause = |upstream| self.original.may_cause(ending.outcome, upstream);
        let ending = match journey.route.upstream().is_some_and(may_cause) {
            true => Ending { blame: Blame::Nobody, retry_after: None, ..ending },
            false => ending,
        };
        journey.route.end(ending, &request.parsed.model, clusters);
    }

    /// After a failed attempt: goes on to another target and asks Envoy to retry. Returns the target's
    /// cluster, or `None` if there is none, or none may be tried.
    pub fn advance(&mut self, ending: Ending, clusters: &dyn ClusterState) -> Option<&str> {
        self.turn(|route, caller| route.advance(ending, caller, clusters))
    }

    /// After an answer that the request is too long: goes on to the model for such requests.
    pub fn advance_for_context(&mut self, clusters: &dyn ClusterState) -> Option<&str> {
        self.turn(|route, caller| route.advance_for_context(caller, clusters))
    }

    fn turn(&mut self, advance: impl FnOnce(&mut Route, &RouteRequest<'_>) -> bool) -> Option<&str> {
        let Phase::Routed(request, journey) = &mut self.phase else {
            return None;
        };
        let caller = RouteRequest::new(self.identity.as_deref(), Some(request));
        if self.closed || !advance(&mut journey.route, &caller) {
            return None;
        }
        journey.stage = AttemptStage::RetryAsked;
        journey.route.upstream().map(|upstream| upstream.cluster.as_str())
    }

    /// The whole answer has come from the target. It is judged when the client's filters have seen its end as
    /// well, which may be before or after.
    pub fn end_whole(&mut self, status: u16, clusters: &dyn ClusterState) {
        if let Some(journey) = self.phase.journey_mut() {
            journey.answer.whole = Some(status);
        }
        if self.closed {
            self.judge_whole(clusters);
        }
    }

    fn judge_whole(&mut self, clusters: &dyn ClusterState) {
        let Some((answer, status)) = self.answer_state().and_then(|answer| Some((answer, answer.whole?))) else {
            return;
        };
        let outcome = answer.spoiled().unwrap_or(Outcome::of_status(status));
        self.end_attempt(Ending::answered(outcome, status), clusters);
    }

    /// The exchange is over for the client. An attempt that has begun ends by itself.
    pub fn close(&mut self, clusters: &dyn ClusterState) {
        self.closed = true;
        self.judge_whole(clusters);
        if let Phase::Routed(request, journey) = &mut self.phase {
            if journey.stage != AttemptStage::Begun {
                journey.route.abandon(&request.parsed.model, clusters);
            }
        }
    }
}
