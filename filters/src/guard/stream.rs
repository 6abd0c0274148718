//! A streamed answer that is being checked: its text passes in windows.

use std::cell::RefCell;
use std::time::Duration;

use sluice::error::ApiError;
use sluice::guard::checks::{CheckOutcome, CheckPhase, CheckRun, CheckSubject, PassageText, StreamMode};
use sluice::guard::pii::Vault;
use sluice::guard::rewriting::{replacements, Restoring};
use sluice::guard::stream::{Limits, Mode, StreamGuard, Unchecked, Window};
use sluice::guard::texts::PassageKind;
use sluice::guard::Speaker;
use sluice::memory_budget::Purpose;
use sluice::parsed_request::ParsedRequest;
use sluice::usage::Framing;

use super::calls::PendingRun;
use super::config::{limits, subject, Config};
use super::listener::{CheckResult, CheckTarget, Waiter};
use crate::budget;
use crate::host::{self, Buffer};
use crate::reentrancy;
use crate::registry::SharedExchange;
use crate::reply;
use crate::types::Action;

/// The maximum size that passes at once before the end, in bytes: it must fit into Envoy's buffer of the stream.
const MAX_RELEASED: usize = 256 << 10;

/// The maximum size that waits for checks when the stream ends, in bytes: it passes at once, and must fit into Envoy's
/// buffer (`request_body_buffer_limit`).
const MAX_WAITING: usize = 7 << 20;

/// The part of a stream that may be held even if memory is short, in bytes.
const FEW: usize = 64 << 10;

thread_local! {
    /// The streams with text that waits for its window to fill.
    static WAITING: RefCell<Vec<Waiter>> = const { RefCell::new(Vec::new()) };
}

/// A stream's received part, and its running checks.
pub(super) struct StreamedAnswer {
    /// Envoy's number of its stream.
    context: u32,
    exchange: SharedExchange,
    model: String,
    key: String,
    endpoint: sluice::endpoint::Endpoint,
    limits: Limits,
    mode: Mode,
    /// Restores values; it moves into the guard with the first bytes, which show the framing.
    vault: Option<Vault>,
    guard: Option<StreamGuard>,
    pending: Vec<(Window, PendingRun)>,
    /// Bytes that may pass, but have not yet.
    out: Vec<u8>,
    ended: bool,
    /// Whether Envoy waits for the bytes that may pass.
    held: bool,
    listed: bool,
    /// Whether it is one JSON text of which the client has nothing yet, not even the headers.
    unseen: bool,
    /// The error to answer with, if the answer is blocked and its format has no way to end early.
    refused: Option<ApiError>,
}

impl StreamedAnswer {
    /// A stream that begins. `checked`: otherwise it is only restored.
    pub fn new(
        config: &Config,
        shared: &SharedExchange,
        parsed: &ParsedRequest,
        checked: bool,
        vault: &Vault,
        context: u32,
    ) -> Self {
        let policy = config.checks.stream;
        let exchange = shared.borrow();
        let subject = subject(CheckPhase::Response, &exchange);
        let mode = match (checked, policy.mode) {
            (false, _) => Mode::Pass,
            (true, StreamMode::Final) if parsed.stream => Mode::Final,
            (true, StreamMode::Window | StreamMode::Final) => Mode::Window,
        };
        let denies = match checked {
            true => config.denies(&subject),
            false => config.denies_unrestored(&CheckSubject { phase: CheckPhase::Request, ..subject }),
        };
        let unchecked = if denies { Unchecked::Block } else { Unchecked::Pass };
        StreamedAnswer {
            context,
            exchange: shared.clone(),
            model: subject.model.to_owned(),
            key: subject.key.to_owned(),
            endpoint: parsed.endpoint,
            limits: limits(&policy, unchecked),
            mode,
            vault: (!vault.is_empty()).then(|| vault.clone()),
            guard: None,
            pending: Vec::new(),
            out: Vec::new(),
            ended: false,
            held: false,
            listed: false,
            unseen: false,
            refused: None,
        }
    }

    /// Begins with one JSON text. So far it has been held, and its headers are.
    pub fn take_over(&mut self, body: &[u8], config: &Config, me: &Waiter) -> Action {
        self.unseen = true;
        self.limits.event = FEW;
        for part in body.chunks(MAX_RELEASED) {
            self.read(part, false, config, me);
        }
        self.list(me);
        // Envoy must not get this much before the headers have passed
        self.held = self.out.is_empty();
        match self.held || self.is_refused() {
            true => Action::Pause,
            false => {
                self.unseen = false;
                Action::Continue
            }
        }
    }

    /// Whether it is blocked, and the client can still get an error.
    fn is_refused(&self) -> bool {
        let failed = self.limits.unchecked == Unchecked::Block;
        let failed = failed && self.guard.as_ref().is_some_and(StreamGuard::is_unchecked);
        self.unseen && (failed || self.refused.is_some())
    }

    /// The error that the client gets instead of it.
    pub fn refusal(&mut self) -> Option<ApiError> {
        self.is_refused().then(|| self.refused.take().unwrap_or_else(ApiError::unchecked))
    }

    /// Reads a piece, and starts its checks.
    fn read(&mut self, bytes: &[u8], end: bool, config: &Config, me: &Waiter) {
        self.begin(bytes);
        if let Some(guard) = &mut self.guard {
            let shown = guard.chunk(bytes, end, host::now());
            self.out.extend(shown);
            if !end && guard.held() > FEW && !budget::admits(Purpose::Check, 0) {
                let shown = guard.overflow();
                self.out.extend(shown);
            }
        }
        self.ask(config, me);
        let out = self.out.len();
        if let Some(guard) = &mut self.guard {
            if end && guard.waiting() + out > MAX_WAITING {
                self.pending.clear();
                let shown = guard.overflow();
                self.out.extend(shown);
            }
        }
        self.count(config);
    }

    /// Takes a piece of the stream; the bytes that may pass replace it.
    pub fn chunk(&mut self, end: bool, config: &Config, me: &Waiter) -> Action {
        // all of it: the previous filter may have released more than has just arrived
        let bytes = host::bytes(Buffer::ResponseBody, usize::MAX).unwrap_or_default();
        if budget::was_starved() {
            // this piece is unchecked: the stream breaks, so the client notices
            host::replace_bytes(Buffer::ResponseBody, &[]);
            return self.fail("the guard had no memory for a part of a stream");
        }
        self.ended |= end;
        self.read(&bytes, end, config, me);
        if self.is_refused() {
            host::replace_bytes(Buffer::ResponseBody, &[]);
            return Action::Pause;
        }
        self.list(me);
        // Envoy only accepts bytes between two pieces while it waits
        let more = !self.pending.is_empty() || self.guard.as_ref().is_some_and(|guard| guard.deadline().is_some());
        let waits = more && (end || self.out.is_empty()) || self.unseen && self.out.is_empty() && !end;
        if bytes.is_empty() && !waits && !self.out.is_empty() {
            // a bare end after a pause: in its place Envoy takes nothing, though it says so, but into what it keeps
            self.hold(me);
            return Action::Pause;
        }
        let out = match waits {
            true => Vec::new(),
            false => self.released(end || !self.unseen),
        };
        if !bytes.is_empty() {
            host::replace_bytes(Buffer::ResponseBody, &out);
        }
        self.held = waits;
        match waits {
            true => Action::Pause,
            false => Action::Continue,
        }
    }

    /// Takes out what passes now. The rest follows with the next piece, or with the end: then Envoy accepts all of it.
    fn released(&mut self, all: bool) -> Vec<u8> {
        let most = if all { self.out.len() } else { self.out.len().min(MAX_RELEASED) };
        let rest = self.out.split_off(most);
        self.unseen &= most == 0;
        std::mem::replace(&mut self.out, rest)
    }

    /// Counts that something could not be checked or restored.
    fn count(&mut self, config: &Config) {
        while let Some(failure) = self.guard.as_mut().and_then(StreamGuard::unchecked) {
            let (model, key) = (&*self.model, &*self.key);
            match self.mode {
                Mode::Pass => config.fail_restoring(&CheckSubject { phase: CheckPhase::Request, model, key }, failure),
                Mode::Window | Mode::Final => {
                    config.fail(&CheckSubject { phase: CheckPhase::Response, model, key }, failure);
                }
            }
        }
    }

    /// Lets the next tick release the bytes that may pass.
    fn hold(&mut self, me: &Waiter) {
        self.held = true;
        WAITING.with_borrow_mut(|waiting| waiting.push(me.clone()));
    }

    /// Determines the framing from the first bytes.
    fn begin(&mut self, bytes: &[u8]) {
        if self.guard.is_some() || bytes.is_empty() {
            return;
        }
        let framing = match self.unseen {
            true => Framing::Json,
            false => Framing::of_answer(self.endpoint.dialect(), true, bytes),
        };
        let guard = StreamGuard::new(self.endpoint, framing, self.mode, self.limits);
        self.guard = Some(match self.vault.take() {
            Some(vault) => guard.with_rewrite(Box::new(Restoring::new(vault))),
            None => guard,
        });
    }

    /// Sends every ready window to the checks.
    fn ask(&mut self, config: &Config, me: &Waiter) {
        while let Some(window) = self.guard.as_mut().and_then(StreamGuard::ready) {
            let subject = CheckSubject { phase: CheckPhase::Response, model: &self.model, key: &self.key };
            let passage = PassageText {
                speaker: Speaker::Assistant,
                text: window.text.clone(),
                signed: window.flow.kind == PassageKind::Signed,
                given: false,
                fresh: window.fresh,
            };
            let run =
                CheckRun::new(config.checks.clone(), &subject, vec![passage], &config.cache.borrow(), host::recent());
            let pending = PendingRun::open(config, run, CheckTarget::Window(window.id), me, self.context);
            match pending.run.is_complete() {
                true => self.settle(&window, &pending),
                false => self.pending.push((window, pending)),
            }
        }
    }

    /// A window's running checks.
    pub fn check_run(&self, id: u64) -> Option<&CheckRun> {
        self.pending.iter().find(|(window, _)| window.id == id).map(|(_, pending)| &pending.run)
    }

    /// Adds a check's result for a window.
    pub fn receive(&mut self, config: &Config, id: u64, question: usize, result: CheckResult, me: &Waiter) {
        let Some(place) = self.pending.iter().position(|(window, _)| window.id == id) else {
            return;
        };
        if let Some((_, pending)) = self.pending.get_mut(place) {
            pending.receive(config, question, result);
            if !pending.run.is_complete() {
                return;
            }
        }
        let (window, pending) = self.pending.swap_remove(place);
        self.settle(&window, &pending);
        self.ask(config, me);
    }

    /// Applies the outcome of a window's checks.
    fn settle(&mut self, window: &Window, pending: &PendingRun) {
        let Some(guard) = &mut self.guard else {
            return;
        };
        let mut exchange = self.exchange.borrow_mut();
        let shown = match pending.run.outcome() {
            Some(CheckOutcome::Pass) => guard.release(window.id, &[]),
            Some(CheckOutcome::Flagged(flags)) => {
                exchange.flag(flags);
                guard.release(window.id, &[])
            }
            Some(CheckOutcome::Rewrite { passages, flags }) => {
                exchange.flag(flags);
                let rewrites = passages.first().map(Vec::as_slice).unwrap_or_default();
                // answers are only masked: nothing goes into a vault
                let kind = window.flow.kind;
                let replaced = replacements(&window.text, kind, rewrites, &mut Vault::default()).unwrap_or_default();
                guard.release(window.id, &replaced)
            }
            Some(CheckOutcome::Refuse(refusal)) => {
                exchange.block(refusal.found());
                if !self.endpoint.answers_in_words() {
                    self.refused = Some(refusal.error(CheckPhase::Response, None));
                }
                self.pending.clear();
                guard.block()
            }
            None => {
                self.pending.clear();
                guard.block()
            }
        };
        self.out.extend(shown);
    }

    /// Passes the released bytes, if Envoy waits for them.
    pub fn flow(&mut self) {
        let waits = if self.ended { !self.pending.is_empty() } else { self.out.is_empty() };
        if !self.held || waits {
            return;
        }
        self.held = false;
        let out = self.released(self.ended);
        let taken = host::replace_bytes(Buffer::ResponseBody, &out);
        if reentrancy::is_ending(self.context) {
            return; // it was more than Envoy buffers
        }
        match taken {
            true => {
                host::continue_response();
            }
            // no text is dropped silently: the stream breaks, so the client notices
            false => {
                if self.fail("the guard could not let a part of a stream pass") == Action::Continue {
                    host::continue_response();
                }
            }
        }
    }

    /// Answers that the gateway failed. A kept answer has been held with its headers.
    fn fail(&self, reason: &str) -> Action {
        let exchange = self.exchange.borrow();
        if !exchange.is_hit() {
            drop(exchange);
            return reply::internal(reason);
        }
        log::error!("sluice: {reason}");
        reply::error_in_place(&ApiError::unchecked(), exchange.shape());
        Action::Continue
    }

    /// Registers it for [`tick`], if text waits for its window to fill.
    fn list(&mut self, me: &Waiter) {
        if !self.listed && self.guard.as_ref().is_some_and(|guard| guard.deadline().is_some()) {
            self.listed = true;
            WAITING.with_borrow_mut(|waiting| waiting.push(me.clone()));
        }
    }

    /// Time has passed. Returns whether text still waits.
    pub fn wait(&mut self, now: Duration, config: &Config, me: &Waiter) -> bool {
        if let Some(guard) = &mut self.guard {
            guard.due(now);
        }
        self.ask(config, me);
        self.listed = self.guard.as_ref().is_some_and(|guard| guard.deadline().is_some());
        self.listed
    }
}

/// Checks the streams with waiting text. Called on each tick.
pub fn tick() {
    let waiting = WAITING.take();
    if waiting.is_empty() {
        return;
    }
    let now = host::recent();
    let waits = |waiter: &Waiter| {
        waiter.upgrade().is_some_and(|listener| match listener.try_borrow_mut() {
            Ok(mut listener) => listener.wait(now, waiter),
            Err(_) => true,
        })
    };
    let still: Vec<_> = waiting.into_iter().filter(waits).collect();
    WAITING.with_borrow_mut(|list| list.extend(still));
}
