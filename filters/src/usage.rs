//! `usage`: reads the reported tokens from the passing answer, counts every request, and writes its record for Envoy's
//! access log and tracer.

use std::rc::Rc;

use sluice::config::{self, ConfigError, Reports};
use sluice::exchange::Exchange;
use sluice::memory_budget::Purpose;
use sluice::recent_requests::EndedRequest;
use sluice::record::{Fields, Json, Record, Struct};
use sluice::usage::{complete, EstimateInput, Meter, Pass, ResponseDetails, TokenUsage, UsageSource, MAX_EVENT};
use sluice::wire_names::{FIELDS, NONE, RECORD};

use crate::budget;
use crate::filter::{self, Filter};
use crate::finished;
use crate::host::{self, Buffer, Headers};
use crate::known_models;
use crate::meters;
use crate::metrics::{count_request, measure_request, Counted, Labels};
use crate::recent_requests;
use crate::registry::{self, SharedExchange};
use crate::stream_ends;
use crate::traced_answer;
use crate::types::{Action, HttpContext};

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    filter::filter(configure, |reports: &Rc<Reports>, _| {
        let details = None;
        let (reports, state) = (reports.clone(), UsageState::Waiting);
        Some(Box::new(Usage { reports, conversation: None, exchange: None, status: None, details, state }))
    })
}

fn configure(bytes: &[u8]) -> Result<Reports, ConfigError> {
    let reports = config::usage(bytes)?;
    if reports.tracing {
        host::declare_struct(FIELDS);
    }
    Ok(reports)
}

/// The state of the answer.
struct Usage {
    reports: Rc<Reports>,
    /// The conversation that the client names.
    conversation: Option<String>,
    exchange: Option<SharedExchange>,
    /// The status of the answer, for the tracer: its headers cannot be asked for again while the body passes.
    status: Option<u16>,
    /// What else the tracer is told of the answer.
    details: Option<Box<ResponseDetails>>,
    state: UsageState,
}

// there is one for each stream, which is on the heap anyway
#[allow(clippy::large_enum_variant)]
enum UsageState {
    /// No answer yet.
    Waiting,
    /// The answer's headers have passed; the framing, if there is no exchange.
    Begun { content_type: Option<String> },
    /// The answer's body is passing.
    Metering(Meter),
}

impl Usage {
    fn has_given_up(&self) -> bool {
        matches!(&self.state, UsageState::Metering(meter) if meter.has_given_up())
    }

    /// Judges a finished answer that was too large to hold.
    fn judge(&self) {
        if let (UsageState::Metering(meter), Some(exchange)) = (&self.state, &self.exchange) {
            if meter.is_answer() == Some(false) {
                exchange.borrow_mut().mark_invalid();
            }
        }
    }

    /// Judges a finished stream: returns the event to append if it was incomplete.
    fn interruption(&mut self) -> Option<Vec<u8>> {
        let (UsageState::Metering(meter), Some(exchange)) = (&mut self.state, &self.exchange) else {
            return None;
        };
        let mut exchange = exchange.borrow_mut();
        if exchange.is_encoded() {
            return None;
        }
        let endpoint = exchange.parsed().filter(|parsed| parsed.stream)?.endpoint;
        exchange.passing()?;
        let upstream = exchange.upstream()?;
        if meter.says_its_end() {
            stream_ends::learn(upstream, endpoint);
        } else if meter.is_interrupted() && !stream_ends::is_strict(upstream, endpoint) {
            meter.take_for_whole();
            if meter.is_whole() {
                exchange.end_without_marker();
            }
        }
        if meter.is_whole() {
            return None;
        }
        exchange.interrupt();
        meter.interruption(endpoint)
    }

    /// The status of the client's answer.
    fn status(&self) -> u16 {
        let answered = self.exchange.as_ref().and_then(|exchange| exchange.borrow().answered());
        answered.or(self.status).or_else(client_status).unwrap_or(0)
    }

    /// The first bytes of an upstream's answer pass.
    fn first_bytes(&self) {
        if let Some(exchange) = &self.exchange {
            let mut exchange = exchange.borrow_mut();
            if exchange.answered().is_some() && exchange.timing().awaits_first_bytes() {
                exchange.first_bytes(host::now());
            }
        }
    }

    /// Whether the attempt has read, or reads, the answer's usage.
    fn is_metered_by_attempt(&self) -> bool {
        let meters = |exchange: &Exchange| exchange.provider_meter().is_some() || exchange.socket_usage().is_some();
        self.exchange.as_ref().is_some_and(|exchange| meters(&exchange.borrow()))
    }

    /// Passes the current values to Envoy's tracer: when an answer begins, since nothing more may follow, and when it
    /// has ended.
    fn trace(&self) {
        if self.reports.tracing {
            let status = self.status();
            let usage = self.usage(status);
            match &self.exchange {
                Some(exchange) => {
                    let mut exchange = exchange.borrow_mut();
                    exchange.metered(usage);
                    known_models::decide(&mut exchange);
                    trace(self.record(&exchange, status).for_traces(&exchange, self.details.as_deref()));
                }
                None => trace(Record::of_stranger(NONE, status).for_unnamed_span()),
            }
        }
    }

    fn record<F: Fields + Default>(&self, exchange: &Exchange, status: u16) -> Record<F> {
        Record::of(exchange, status).in_conversation(self.conversation.as_deref())
    }

    /// Reads what else the tracer is told of the answer.
    fn note(&mut self, chunk: &[u8], end: bool) {
        if self.reports.tracing {
            traced_answer::note(&mut self.details, self.exchange.as_ref(), chunk, end);
        }
    }

    /// Whether somebody wants a record of each request.
    fn records(&self) -> bool {
        self.reports.access_log || recent_requests::is_watched()
    }

    /// Writes a record for Envoy's access log, and returns it.
    fn log(&self, record: Record<Json>) -> Vec<u8> {
        let record = record.into_bytes();
        if self.reports.access_log {
            host::set_filter_state(RECORD, &record);
        }
        record
    }

    /// The answer's reported or estimated usage; `None` if there was no answer to a request like this.
    fn usage(&self, status: u16) -> Option<(TokenUsage, UsageSource)> {
        if let (Some(exchange), 101) = (&self.exchange, status) {
            return exchange.borrow().socket_usage();
        }
        if let (Some(exchange), 200..=299) = (&self.exchange, status) {
            let exchange = exchange.borrow();
            if let Some(meter) = exchange.provider_meter() {
                return exchange.completed(meter.finish(), meter.unreported());
            }
        }
        let (UsageState::Metering(meter), 200..=299) = (&self.state, status) else {
            return None;
        };
        let metered = meter.finish();
        if let Some(exchange) = &self.exchange {
            return exchange.borrow().completed(metered, meter.unreported());
        }
        let encoded =
            metered.1 != UsageSource::Reported && host::header(Headers::Response, "content-encoding").is_some();
        Some(complete(metered, EstimateInput { prompt: None, unreported: None, encoded }))
    }
}

impl HttpContext for Usage {
    /// Later, the headers are those of the upstream's request.
    fn on_http_request_headers(&mut self, _end: bool) -> Action {
        let named = |name: &String| host::header(Headers::Request, name).filter(|id| !id.is_empty());
        self.conversation = self.reports.conversation_headers.iter().find_map(named);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, end: bool) -> Action {
        self.exchange = registry::current();
        let content_type = match self.exchange {
            Some(_) => None,
            None => host::header(Headers::Response, "content-type"),
        };
        // what the cache answers has been counted when it was new
        let is_hit = self.exchange.as_ref().is_some_and(|exchange| exchange.borrow().is_hit());
        self.state = if is_hit { UsageState::Waiting } else { UsageState::Begun { content_type } };
        if self.reports.tracing {
            self.status = Some(self.status());
        }
        if end {
            self.trace();
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if self.is_metered_by_attempt() {
            let begins = matches!(self.state, UsageState::Begun { .. }) && size > 0;
            if begins {
                self.state = UsageState::Waiting;
                self.first_bytes();
            }
            if self.reports.tracing {
                let chunk = budget::receive(Purpose::Answer, Buffer::ResponseBody, 0, size);
                self.note(&chunk.unwrap_or_default(), end);
            }
            if begins || end {
                self.trace();
            }
            return Action::Continue;
        }
        if size == 0 && !end {
            return Action::Continue;
        }
        let chunk = budget::receive(Purpose::Answer, Buffer::ResponseBody, 0, size);
        let is_read = chunk.is_ok();
        let chunk = chunk.unwrap_or_default();
        self.note(&chunk, end);
        let begins = if let UsageState::Begun { content_type } = &self.state {
            self.state =
                UsageState::Metering(meters::of_answer(self.exchange.as_ref(), &chunk, content_type.as_deref()));
            self.first_bytes();
            true
        } else {
            false
        };
        let UsageState::Metering(meter) = &mut self.state else {
            return Action::Continue;
        };
        let reads = !meter.has_given_up();
        if !is_read {
            let held = meter.give_up();
            if !held.is_empty() {
                host::prepend_bytes(Buffer::ResponseBody, &held);
            }
        }
        let room = budget::room(Purpose::Answer);
        meter.leave_room(room);
        let replaced = match meter.chunk(&chunk, end) {
            Pass::Unchanged => None,
            Pass::Replace(bytes) if !end => {
                host::replace_bytes(Buffer::ResponseBody, bytes);
                if begins {
                    self.trace();
                }
                return Action::Continue;
            }
            Pass::Replace(bytes) => Some(bytes.to_vec()),
        };
        if is_read && room < MAX_EVENT && reads && self.has_given_up() {
            budget::refuse(Purpose::Answer);
        }
        let error = match end {
            true => {
                self.judge();
                self.interruption()
            }
            false => None,
        };
        if begins || end {
            self.trace();
        }
        match (replaced, error) {
            (None, None) => {}
            (Some(bytes), None) => {
                host::replace_bytes(Buffer::ResponseBody, &bytes);
            }
            (replaced, Some(error)) => {
                host::replace_bytes(Buffer::ResponseBody, &[replaced.unwrap_or(chunk), error].concat());
            }
        }
        Action::Continue
    }

    /// An answer may also end like this; then no chunk is marked as the last one.
    fn on_http_response_trailers(&mut self) -> Action {
        self.note(b"", true);
        self.trace();
        Action::Continue
    }

    /// The end of every request, whoever answered it and however it ended.
    fn on_log(&mut self) {
        self.exchange = self.exchange.take().or_else(registry::current);
        let status = self.status();
        let usage = self.usage(status);
        let unread = self.has_given_up();
        let Some(shared) = self.exchange.take() else {
            count_request(
                Labels { key: NONE, model: NONE, cluster: NONE },
                Counted { status, usage, cost: 0, issued: false },
            );
            if self.records() {
                let record = self.log(Record::of_stranger(NONE, status));
                recent_requests::keep(EndedRequest::of_stranger(status, host::recent(), record));
            }
            if self.reports.tracing {
                trace(Record::of_stranger(NONE, status).for_unnamed_span());
            }
            return;
        };
        let mut exchange = shared.borrow_mut();
        let status = exchange.replaced().unwrap_or(status);
        exchange.metered(usage);
        let unread = unread || exchange.provider_meter().is_some_and(Meter::has_given_up);
        exchange.left_unread(unread);
        known_models::decide(&mut exchange);
        if let Some((tokens, _)) = usage {
            if exchange.timing().is_under_way() {
                exchange.last_bytes(host::now());
            }
            let stream = exchange.streams();
            measure_request(&exchange, stream.then_some(tokens.output));
        }
        if self.records() {
            let record = self.log(self.record(&exchange, status));
            // those for the gateway itself are mostly an administrator's who looks at the others
            if exchange.command().is_none() {
                recent_requests::keep(EndedRequest::of(&exchange, status, host::recent(), record));
            }
        }
        if self.reports.tracing {
            trace(self.record(&exchange, status).for_traces(&exchange, self.details.as_deref()));
            // an access log may pick its fields
        }
        drop(exchange);
        finished::end(shared, status);
    }
}

/// Writes a record for Envoy's tracer, and for formats with single fields.
fn trace(record: Record<Struct>) {
    host::set_filter_state(FIELDS, &record.into_bytes());
}

/// The client's status from Envoy or a filter, instead of an upstream's answer.
fn client_status() -> Option<u16> {
    host::header(Headers::Response, ":status")?.parse().ok()
}
