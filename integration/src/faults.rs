//! Turns an answer into an HTTP response, and applies the current fault.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderValue, CACHE_CONTROL, CONTENT_TYPE};
use hyper::{Response, StatusCode};
use serde_json::Value;

use crate::answer::{Answer, Event, EventPosition, Framing, Json, Stream, Text};
use crate::journal::Ticket;
use crate::line::Line;
use crate::plan::{AnswerKind, Fault, Plan};
use crate::playback::{Finale, HungUp, Piece, Playback, Score};
use crate::problem::{Dialect, Problem};
use crate::slots::Slot;
use crate::socket::Ending;

/// Where a cut header block ends: within the first header, for any status line.
const BYTES_OF_CUT_HEADERS: usize = 40;
const JSON: &str = "application/json";
const GARBAGE: &[u8] = b"<!DOCTYPE html><html><head><title>502</title></head>\
    <body><h1>Bad gateway</h1><p>{\"not\": json</p></body></html>\n";

/// The place where an answer is sent.
#[derive(Debug)]
pub struct Stage {
    pub dialect: Dialect,
    pub chunk_delay: Duration,
    pub line: Arc<Line>,
    pub ticket: Option<Ticket>,
    pub slot: Slot,
}

type Reply = Result<Response<Playback>, HungUp>;

impl Stage {
    /// Sends the answer, or what the fault makes of it. A problem is a JSON answer like any other.
    pub async fn perform(self, plan: &Plan, answer: impl FnOnce() -> Result<Answer, Problem>) -> Reply {
        let Some(only) = plan.only else {
            return self.strike(plan.fault.as_ref(), answer).await;
        };
        let answer = answer();
        let meant = only == kind(&answer);
        self.strike(plan.fault.as_ref().filter(|_| meant), || answer).await
    }

    async fn strike(self, fault: Option<&Fault>, answer: impl FnOnce() -> Result<Answer, Problem>) -> Reply {
        match fault {
            // the dialect has made sure that there is no stream
            None | Some(Fault::Unstreamed) => self.healthy(answer()),
            Some(Fault::Status { code, headers, body }) => self.status(*code, headers, body.clone()),
            Some(Fault::Refuse) => self.hang_up(Ending::Rst),
            Some(Fault::CloseEarly) => self.hang_up(Ending::Fin),
            Some(Fault::HangUp(ending)) => self.hang_up(*ending),
            Some(Fault::CutHeaders(ending)) => self.cut_headers(*ending, answer()),
            Some(Fault::CutBody { ending, after }) => {
                self.line.end_with(*ending);
                self.shortened(answer(), *after, Finale::HangUp)
            }
            Some(Fault::TruncateStream { after }) => self.shortened(answer(), *after, Finale::End),
            Some(Fault::Hang) => pending().await,
            Some(Fault::ErrorEvent { after }) => self.error_event(answer(), *after),
            Some(Fault::EmptyStream) => self.shortened(answer(), Some(0), Finale::End),
            Some(Fault::Stall { after }) => self.shortened(answer(), Some(*after), Finale::Silence),
            Some(Fault::Garbage) => {
                let page = Score::whole(Bytes::from_static(GARBAGE), None);
                self.send(StatusCode::OK, "text/html", page, Finale::End)
            }
        }
    }

    fn healthy(self, answer: Result<Answer, Problem>) -> Reply {
        match answer {
            Ok(Answer::Json(json)) => self.json(StatusCode::OK, json),
            Ok(Answer::Text(text)) => self.text(text),
            Ok(Answer::Stream(stream)) => {
                let count = stream.count;
                self.stream(stream, count, None, Finale::End)
            }
            Err(problem) => self.problem(&problem),
        }
    }

    fn problem(self, problem: &Problem) -> Reply {
        let body = problem.body(self.dialect);
        self.json(problem.status, Json { body, usage: None })
    }

    fn status(self, code: StatusCode, headers: &HeaderMap, body: Option<Bytes>) -> Reply {
        let body = body.unwrap_or_else(|| Bytes::from(Problem::injected(code).body(self.dialect).to_string()));
        let mut response = self.send(code, JSON, Score::whole(body, None), Finale::End)?;
        for (name, value) in headers {
            response.headers_mut().insert(name, value.clone());
        }
        Ok(response)
    }

    fn hang_up(self, ending: Ending) -> Reply {
        self.line.end_with(ending);
        Err(HungUp)
    }

    /// The client gets no status, so the journal has none either.
    fn cut_headers(self, ending: Ending, answer: Result<Answer, Problem>) -> Reply {
        self.line.break_after(BYTES_OF_CUT_HEADERS, ending);
        Self { ticket: None, ..self }.healthy(answer)
    }

    /// Part of the answer: this many events (default: half of them), never the last one. A JSON body is cut in half if
    /// it should break or end early, and withheld if it should never come.
    fn shortened(self, answer: Result<Answer, Problem>, after: Option<u64>, finale: Finale) -> Reply {
        match answer {
            Ok(Answer::Json(json)) => self.cut_json(StatusCode::OK, &json.body, after, finale),
            Ok(Answer::Text(text)) => self.text(text),
            Ok(Answer::Stream(stream)) => {
                let most = stream.count.saturating_sub(1);
                let events = after.unwrap_or(stream.count / 2).min(most);
                self.stream(stream, events, None, finale)
            }
            Err(problem) => {
                let body = problem.body(self.dialect);
                self.cut_json(problem.status, &body, after, finale)
            }
        }
    }

    fn cut_json(self, status: StatusCode, body: &Value, after: Option<u64>, finale: Finale) -> Reply {
        let mut bytes = Bytes::from(body.to_string());
        let full = bytes.len() as u64;
        bytes.truncate(match (after, finale) {
            (_, Finale::Silence) | (Some(0), Finale::End) => 0,
            (_, Finale::HangUp | Finale::End) => bytes.len() / 2,
        });
        let declared = match finale {
            Finale::End => bytes.len() as u64,
            Finale::HangUp | Finale::Silence => full,
        };
        let score = Score::Whole { piece: Some(Piece { bytes, usage: None }), declared };
        self.send(status, JSON, score, finale)
    }

    fn error_event(self, answer: Result<Answer, Problem>, after: u64) -> Reply {
        match answer {
            Ok(Answer::Json(_) | Answer::Text(_)) => {
                let body = Problem::in_stream(self.dialect).body(self.dialect);
                self.json(StatusCode::OK, Json { body, usage: None })
            }
            Ok(Answer::Stream(mut stream)) => {
                let events = after.min(stream.count.saturating_sub(1));
                let failure = std::mem::replace(&mut stream.failure, Event::data(&Value::Null));
                self.stream(stream, events, Some(failure), Finale::End)
            }
            Err(problem) => self.problem(&problem),
        }
    }

    fn json(self, status: StatusCode, json: Json) -> Reply {
        let bytes = Bytes::from(json.body.to_string());
        self.send(status, JSON, Score::whole(bytes, json.usage), Finale::End)
    }

    fn text(self, text: Text) -> Reply {
        self.send(StatusCode::OK, text.content_type, Score::whole(Bytes::from(text.body), None), Finale::End)
    }

    /// The first `events` of a stream, and optionally an error event.
    fn stream(self, stream: Stream, events: u64, failure: Option<Event>, finale: Finale) -> Reply {
        let (framing, last) = (stream.framing, stream.count.saturating_sub(1));
        let told = stream.events.take(usize::try_from(events).unwrap_or(usize::MAX));
        let regular = (0..)
            .zip(told)
            .map(move |(index, event)| piece(framing, event, EventPosition { first: index == 0, last: index == last }));
        let position = EventPosition { first: events == 0, last: true };
        let failing = failure.into_iter().map(move |event| piece(framing, event, position));
        let score = Score::events(regular.chain(failing));
        let mut response = self.send(StatusCode::OK, framing.content_type(), score, finale)?;
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(response)
    }

    fn send(self, status: StatusCode, content_type: &'static str, score: Score, finale: Finale) -> Reply {
        if let Some(ticket) = &self.ticket {
            ticket.status(status.as_u16());
        }
        let body = Playback::new(score, finale, self.line, self.ticket).paced(self.chunk_delay).holding(self.slot);
        Ok(response(status, content_type, body))
    }
}

fn kind(answer: &Result<Answer, Problem>) -> AnswerKind {
    match answer {
        Ok(Answer::Stream(_)) => AnswerKind::Stream,
        Ok(Answer::Json(_) | Answer::Text(_)) | Err(_) => AnswerKind::Json,
    }
}

fn piece(framing: Framing, event: Event, position: EventPosition) -> Piece {
    Piece { bytes: framing.encode(&event, position), usage: event.usage }
}

/// A plain answer outside the dialects: health and control.
pub fn json_response(status: StatusCode, body: Bytes, line: &Arc<Line>) -> Response<Playback> {
    let score = Score::whole(body, None);
    response(status, JSON, Playback::new(score, Finale::End, Arc::clone(line), None))
}

fn response(status: StatusCode, content_type: &'static str, body: Playback) -> Response<Playback> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
