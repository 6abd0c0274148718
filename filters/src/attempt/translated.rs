//! Attempts at a target of another dialect: the request is translated once all of it is there, and its answer as it comes.

use sluice::commit::{is_context_length_exceeded, FirstEvent, Gate, Refusal, MAX_HELD};
use sluice::contract::{stats, DROPPED_HEADER};
use sluice::endpoint::Endpoint;
use sluice::error::{ApiError, Shape};
use sluice::memory_budget::Purpose;
use sluice::outcome::Outcome;
use sluice::routing::{Ending, Route, HOLD_JSON};
use sluice::translate::{Dropped, Notes, Pair, Reply, Stream};

use super::held::{Held, ResponseHead, Until};
use super::sent::{Handed, Sent};
use super::wasted::Wasted;
use super::{Attempt, State};
use crate::budget::{self, NoMemory};
use crate::clusters::AllClusters;
use crate::ends;
use crate::host::{self, Buffer, Headers};
use crate::registry::Shared;
use crate::reply;
use crate::types::Action;

/// How an answer is translated.
pub(super) struct Translation {
    pair: Pair,
    dropped: Dropped,
    reply: Reply,
    /// The stream under way, if the answer is one.
    stream: Option<Stream>,
}

impl Translation {
    /// What an answer with a status of success is held for.
    ///
    /// # Errors
    /// It is no answer to such a request.
    pub fn until(&self, head: &ResponseHead<'_>, end: bool, stream: bool, hold: usize) -> Result<Until, Outcome> {
        let is_stream = || FirstEvent::new(self.pair.target(true), head.content_type).is_ok();
        let limit = hold.max(HOLD_JSON);
        if end || head.encoded || head.length.is_some_and(|length| !stream && length > limit) || stream && !is_stream()
        {
            return Err(Outcome::BadStream);
        }
        Ok(if stream { Until::Translated } else { Until::Document { limit } })
    }

    /// More of a stream passes.
    pub fn pass(&mut self, exchange: &Shared, size: usize, end: bool) {
        let ending = end.then(|| self.pair.target(true));
        let Some(stream) = &mut self.stream else {
            return;
        };
        if ending.is_some_and(|endpoint| may_end_unsaid(exchange, endpoint)) {
            stream.may_end_unsaid();
        }
        let bytes = receive(0, size);
        feed(stream, bytes.as_deref().map_err(|error| *error), end);
        meter(exchange, &bytes.unwrap_or_default(), end, stream.has_failed());
        if let Some(endpoint) = ending {
            judge_end(exchange, endpoint);
        }
        if end && stream.unknown_reason() {
            count_unknown_reason(exchange);
        }
        if size > 0 || !stream.written().is_empty() {
            host::replace_bytes(Buffer::ResponseBody, stream.written());
        }
        stream.clear();
    }

    /// The stream's translation.
    fn stream(&mut self) -> &mut Stream {
        let (pair, reply) = (self.pair, &self.reply);
        self.stream.get_or_insert_with(|| pair.stream(reply))
    }

    fn write_head(&self, content_type: &str, length: Option<usize>) {
        host::set_header(Headers::Response, "content-type", content_type);
        match length {
            Some(length) => host::set_header(Headers::Response, "content-length", &length.to_string()),
            None => host::remove_header(Headers::Response, "content-length"),
        };
        if let Some(dropped) = self.dropped.header() {
            host::set_header(Headers::Response, DROPPED_HEADER, dropped);
        }
    }
}

/// Has a stream translated as far as there is memory for it.
fn feed(stream: &mut Stream, bytes: Result<&[u8], NoMemory>, end: bool) -> Gate {
    let was_starved = stream.is_starved();
    stream.leave_room(budget::room(Purpose::Answer));
    match bytes {
        Ok(bytes) => {
            let gate = stream.chunk(bytes, end);
            if stream.is_starved() && !was_starved {
                budget::refuse(Purpose::Answer);
            }
            gate
        }
        Err(NoMemory) => stream.starve(),
    }
}

/// What of the provider's answer is metered.
fn meter(exchange: &Shared, bytes: &[u8], end: bool, failed: bool) {
    let mut exchange = exchange.borrow_mut();
    if let Some(meter) = &mut exchange.provider_meter {
        meter.leave_room(budget::room(Purpose::Answer));
        meter.chunk(bytes, end);
    }
    exchange.interrupted |= failed;
}

/// Whether a stream of the target's may end without saying that it is complete.
fn may_end_unsaid(exchange: &Shared, endpoint: Endpoint) -> bool {
    let exchange = exchange.borrow();
    exchange.route.as_ref().and_then(Route::upstream).is_some_and(|upstream| !ends::are_said(upstream, endpoint))
}

/// The target's stream has ended, and has been metered.
fn judge_end(exchange: &Shared, endpoint: Endpoint) {
    let mut exchange = exchange.borrow_mut();
    let passes = !exchange.interrupted;
    let exchange = &mut *exchange;
    let (Some(upstream), Some(meter)) =
        (exchange.route.as_ref().and_then(Route::upstream), &mut exchange.provider_meter)
    else {
        return;
    };
    if meter.says_its_end() {
        ends::learn(upstream, endpoint);
    } else if passes && meter.is_interrupted() {
        meter.take_for_whole(); // its translation has been
        exchange.ended_unsaid = true;
    }
}

/// Seldom: the counter need not be kept.
#[cold]
fn count_unknown_reason(exchange: &Shared) {
    let exchange = exchange.borrow();
    let (_, _, cluster) = exchange.labels();
    if let Some(counter) = host::define_counter(&stats::unknown_finish_reasons(cluster)) {
        host::increment(counter, 1);
    }
}

fn receive(start: usize, size: usize) -> Result<Vec<u8>, NoMemory> {
    budget::receive(Purpose::Answer, Buffer::ResponseBody, start, size)
}

impl Attempt {
    /// Translates the request, whose body is there.
    pub(super) fn translate(&mut self, size: usize) -> Action {
        let State::Translating(mut sent, pair) = std::mem::replace(&mut self.state, State::Ended) else {
            return Action::Continue;
        };
        let exchange = sent.exchange.borrow();
        let translated = match exchange.kept_body(size) {
            Some(kept) => exchange.translate(pair, kept),
            None => match budget::receive(Purpose::Body, Buffer::RequestBody, 0, size) {
                Ok(body) => exchange.translate(pair, &body),
                Err(NoMemory) => {
                    drop(exchange);
                    return sent.out_of_memory();
                }
            },
        };
        let shape = Shape::for_path(&exchange.original.path);
        let abandon = |sent: &Sent| {
            sent.exchange.borrow_mut().end_attempt(Ending::silent(Outcome::Abandoned), &AllClusters);
        };
        let translated = match translated {
            Ok(translated) => translated,
            Err(error) => {
                drop(exchange);
                abandon(&sent);
                return reply::error(&error, shape);
            }
        };
        let reply = exchange.reply(Notes::default(), host::now().as_secs());
        drop(exchange);
        let length = translated.body.len().to_string();
        let written = host::set_header(Headers::Request, "content-length", &length)
            && host::replace_bytes(Buffer::RequestBody, &translated.body);
        if !written {
            abandon(&sent);
            return reply::internal("Envoy refused a translated request");
        }
        let reply = Reply { notes: translated.notes, ..reply };
        sent.translation = Some(Translation { pair, dropped: translated.dropped, reply, stream: None });
        self.state = State::Sent(sent, Default::default());
        Action::Continue
    }

    /// Looks at what has come of an answer that is held and translated; `size` is all of it so far.
    pub(super) fn held_translated(&mut self, sent: Sent, mut held: Held, size: usize, end: bool) -> Action {
        let before = std::mem::replace(&mut held.seen, size);
        match held.until {
            Until::Translated => self.held_stream(sent, held, before, end),
            Until::Document { limit } if size > limit => self.fail_translated(&sent, &held, Outcome::BadResponse, &[]),
            Until::Document { .. } if end => self.document(sent, &held),
            Until::Foreign if end || size > MAX_HELD => {
                let body = receive(0, size.min(MAX_HELD)).unwrap_or_default();
                self.fail_translated(&sent, &held, Outcome::of_status(held.status), &body)
            }
            Until::Document { .. }
            | Until::Foreign
            | Until::Event(_)
            | Until::Whole { .. }
            | Until::Error
            | Until::Unstreamed => {
                self.state = State::Holding(sent, held);
                Action::Pause
            }
        }
    }

    fn held_stream(&mut self, mut sent: Sent, held: Held, before: usize, end: bool) -> Action {
        let new = receive(before, held.seen.saturating_sub(before));
        let Some(translation) = &mut sent.translation else {
            return Action::Continue;
        };
        let ending = end.then(|| translation.pair.target(true));
        let stream = translation.stream();
        if ending.is_some_and(|endpoint| may_end_unsaid(&sent.exchange, endpoint)) {
            stream.may_end_unsaid();
        }
        let gate = feed(stream, new.as_deref().map_err(|error| *error), end);
        if gate != Gate::Commit && stream.is_starved() {
            return sent.out_of_memory();
        }
        if gate == Gate::Hold {
            self.state = State::Holding(sent, held);
            return Action::Pause;
        }
        let is_answer = gate == Gate::Commit;
        if !is_answer {
            let ending = Ending::answered(Outcome::BadStream, held.status);
            let wasted = Wasted::of(&sent.exchange, &held);
            if sent.hand_on(ending) == Handed::ToNextTarget {
                wasted.into_iter().for_each(Wasted::count);
                return Action::Continue;
            }
            sent.exchange.borrow_mut().answer(held.status, None);
        }
        sent.exchange.borrow_mut().meter_provider();
        if let Some(translation) = &mut sent.translation {
            translation.write_head("text/event-stream", None);
            let stream = translation.stream();
            let all = receive(0, held.seen).unwrap_or_default();
            meter(&sent.exchange, &all, end || !is_answer, stream.has_failed());
            if let Some(endpoint) = ending {
                judge_end(&sent.exchange, endpoint);
            }
            if end && stream.unknown_reason() {
                count_unknown_reason(&sent.exchange);
            }
            host::replace_bytes(Buffer::ResponseBody, stream.written());
            stream.clear();
        }
        match is_answer {
            true => self.pass(sent, held.status, true, end),
            false => self.state = State::Replaced,
        }
        Action::Continue
    }

    /// A JSON answer has come whole.
    fn document(&mut self, sent: Sent, held: &Held) -> Action {
        let Some(translation) = &sent.translation else {
            return Action::Continue;
        };
        let Ok(body) = receive(0, held.seen) else {
            return sent.out_of_memory();
        };
        let Ok(answer) = translation.pair.answer(&body, &translation.reply) else {
            return self.fail_translated(&sent, held, Outcome::BadResponse, &body);
        };
        translation.write_head("application/json", Some(answer.body.len()));
        sent.exchange.borrow_mut().meter_provider();
        meter(&sent.exchange, &body, true, false);
        if answer.unknown_reason {
            count_unknown_reason(&sent.exchange);
        }
        host::replace_bytes(Buffer::ResponseBody, &answer.body);
        self.pass(sent, held.status, true, true);
        Action::Continue
    }

    /// Ends the attempt; if no other target may try, the client gets the error in its own words. What is no answer at all
    /// is a fault of the gateway's side then.
    fn fail_translated(&mut self, sent: &Sent, held: &Held, otherwise: Outcome, body: &[u8]) -> Action {
        let too_long = matches!(held.status, 400 | 413) && is_context_length_exceeded(body);
        let refusal = match held.status {
            200..=299 => Refusal::judge_reported(body, &sent.model()),
            status => Some(Refusal::judge(status, body, &sent.model())),
        };
        let ending = held.ending(refusal, otherwise);
        Wasted::of(&sent.exchange, held).into_iter().for_each(Wasted::count);
        let handed = if too_long { sent.hand_on_for_context(held.status) } else { sent.hand_on(ending) };
        let (Handed::ToClient, Some(translation)) = (handed, &sent.translation) else {
            return Action::Continue;
        };
        if ending.outcome == Outcome::Credential {
            return sent.replace(ending);
        }
        let (status, error) = match held.status {
            200..=299 => {
                let unreadable = ApiError::unreadable();
                let shape = Shape::for_path(&sent.exchange.borrow().original.path);
                (unreadable.status, unreadable.body(shape).into_bytes())
            }
            status => (translation.pair.status(status), translation.pair.error(status, body)),
        };
        sent.exchange.borrow_mut().answer(status, None);
        host::set_header(Headers::Response, ":status", &status.to_string());
        translation.write_head("application/json", Some(error.len()));
        host::replace_bytes(Buffer::ResponseBody, &error);
        self.state = State::Replaced;
        Action::Continue
    }
}
