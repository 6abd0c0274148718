//! Attempts at a target with another dialect: the request is translated once it is complete, and its answer as it
//! arrives.

use sluice::error::ApiError;
use sluice::memory_budget::Purpose;
use sluice::outcome::Outcome;
use sluice::response_gate::{is_context_length_exceeded, Gate, Refusal, MAX_HELD};
use sluice::routing::Ending;
use sluice::translate::{Notes, Reply};

use super::failed_usage::FailedUsage;
use super::held::{Held, Until};
use super::running::{Handed, RunningAttempt};
use super::translation::{count_unknown_reason, feed, judge_end, may_end_without_marker, meter, receive, Translation};
use super::{Attempt, AttemptState};
use crate::budget::{self, NoMemory};
use crate::clusters::AllClusters;
use crate::host::{self, Buffer, Headers};
use crate::reply;
use crate::types::Action;

impl Attempt {
    /// Translates the complete request.
    pub(super) fn translate(&mut self, size: usize) -> Action {
        let AttemptState::Translating(mut sent, pair) = std::mem::replace(&mut self.state, AttemptState::Ended) else {
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
        let shape = exchange.shape();
        let abandon = |sent: &RunningAttempt| {
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
        sent.translation = Some(Translation::new(pair, translated.dropped, reply));
        self.state = AttemptState::Sent(sent, Default::default());
        Action::Continue
    }

    /// Judges a held answer that is translated; `size` is its length so far.
    pub(super) fn held_translated(&mut self, sent: RunningAttempt, mut held: Held, size: usize, end: bool) -> Action {
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
                self.state = AttemptState::Holding(sent, held);
                Action::Pause
            }
        }
    }

    fn held_stream(&mut self, mut sent: RunningAttempt, held: Held, before: usize, end: bool) -> Action {
        let new = receive(before, held.seen.saturating_sub(before));
        let Some(translation) = &mut sent.translation else {
            return Action::Continue;
        };
        let ending = end.then(|| translation.pair.target(true));
        let stream = translation.stream();
        if ending.is_some_and(|endpoint| may_end_without_marker(&sent.exchange, endpoint)) {
            stream.may_end_without_marker();
        }
        let gate = feed(stream, new.as_deref().map_err(|error| *error), end);
        if gate != Gate::Commit && stream.is_starved() {
            return sent.out_of_memory();
        }
        if gate == Gate::Hold {
            self.state = AttemptState::Holding(sent, held);
            return Action::Pause;
        }
        let is_answer = gate == Gate::Commit;
        if !is_answer {
            let ending = Ending::answered(Outcome::BadStream, held.status);
            let failed_usage = FailedUsage::of(&sent.exchange, &held);
            if sent.retry_elsewhere(ending) == Handed::ToNextTarget {
                failed_usage.into_iter().for_each(FailedUsage::count);
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
            false => self.state = AttemptState::Replaced,
        }
        Action::Continue
    }

    /// A JSON answer is complete.
    fn document(&mut self, sent: RunningAttempt, held: &Held) -> Action {
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

    /// Ends the attempt; if no other target can be tried, the client gets the error in its own dialect. An invalid
    /// answer is then the gateway's error.
    fn fail_translated(&mut self, sent: &RunningAttempt, held: &Held, otherwise: Outcome, body: &[u8]) -> Action {
        let too_long = matches!(held.status, 400 | 413) && is_context_length_exceeded(body);
        let refusal = match held.status {
            200..=299 => Refusal::judge_reported(body, &sent.model()),
            status => Some(Refusal::judge(status, body, &sent.model())),
        };
        let ending = held.ending(refusal, otherwise);
        FailedUsage::of(&sent.exchange, held).into_iter().for_each(FailedUsage::count);
        let handed = if too_long { sent.retry_for_context(held.status) } else { sent.retry_elsewhere(ending) };
        let (Handed::ToClient, Some(translation)) = (handed, &sent.translation) else {
            return Action::Continue;
        };
        if ending.outcome == Outcome::Credential {
            return sent.replace(ending);
        }
        let (status, error) = match held.status {
            200..=299 => {
                let unreadable = ApiError::unreadable();
                let shape = sent.exchange.borrow().shape();
                (unreadable.status, unreadable.body(shape).into_bytes())
            }
            status => (translation.pair.status(status), translation.pair.error(status, body)),
        };
        sent.exchange.borrow_mut().answer(status, None);
        host::set_header(Headers::Response, ":status", &status.to_string());
        translation.write_head("application/json", Some(error.len()));
        host::replace_bytes(Buffer::ResponseBody, &error);
        self.state = AttemptState::Replaced;
        Action::Continue
    }
}
