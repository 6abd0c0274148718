//! The server's behaviour: the body of `PUT /_mock`, and its checked form.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use crate::slots::Slots;
use crate::socket::Ending;

/// The control message as written; `{}` is a healthy server. `GET /_mock` returns it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Orders {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The number of stream events before the fault, including role chunks and pings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_events: Option<u64>,
    /// The kind of answers that the fault affects; others stay healthy. Refusals and early ends ignore it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<AnswerKind>,
    /// The delay before the answer, or before the fault that replaces it.
    #[serde(skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// The delay between stream events.
    #[serde(skip_serializing_if = "is_zero")]
    pub chunk_delay_ms: u64,
    /// How many requests are served at a time, including delay and stream; the others queue. 0: no limit. A new plan
    /// starts with an empty queue.
    #[serde(skip_serializing_if = "is_zero")]
    pub concurrency: u32,
    /// The number of requests for which this plan applies; after that only `text` and `concurrency` stay. Default:
    /// until the next change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// The answer's text, instead of an echo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Never reports usage.
    #[serde(skip_serializing_if = "is_false")]
    pub no_usage: bool,
    /// OpenAI streams with requested usage report it in the chunk that finishes (LiteLLM).
    #[serde(skip_serializing_if = "is_false")]
    pub usage_on_last_chunk: bool,
    /// OpenAI streams with requested usage report running totals in every chunk (vLLM).
    #[serde(skip_serializing_if = "is_false")]
    pub continuous_usage: bool,
}

/// The faults by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultName {
    /// `status`, `headers` and `body` instead of an answer; default: the provider's error shape.
    Status,
    /// New connections are reset after the accept, existing ones at the next request.
    Refuse,
    /// Closes the connection after the request's headers, without reading the rest of the body.
    CloseEarly,
    /// Reads the request, and closes the connection.
    Close,
    /// Reads the request, and resets the connection.
    Reset,
    /// Resets within the header block.
    ResetHeaders,
    /// Closes within the header block.
    HalfHeaders,
    /// Resets in the middle of a JSON body, or after `after_events` of a stream.
    ResetBody,
    /// The same, but closes: the body is shorter than declared.
    TruncateBody,
    /// Ends a stream properly as HTTP, but without its last event; JSON is cut in half.
    TruncateStream,
    /// Reads the request, and never answers.
    Hang,
    /// 200, then the provider's error event after `after_events`; as JSON an error object.
    ErrorEvent,
    /// 200 without any event; as JSON an empty body.
    EmptyStream,
    /// 200 and `after_events` events, then silence; as JSON no byte of the body.
    Stall,
    /// 200 and the complete answer as JSON, though a stream was requested.
    Unstreamed,
    /// 200 with an HTML page.
    Garbage,
}

/// The kinds of answers that a fault can affect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    Json,
    Stream,
}

/// The checked plan.
#[derive(Debug, Default)]
pub struct Plan {
    pub fault: Option<Fault>,
    pub only: Option<AnswerKind>,
    pub delay: Duration,
    pub chunk_delay: Duration,
    pub slots: Slots,
    pub text: Option<String>,
    pub usage: UsageReport,
}

/// How usage is reported to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageReport {
    #[default]
    AsDocumented,
    Never,
    /// LiteLLM: in the last chunk with choices.
    OnLastChunk,
    /// vLLM: running totals in every chunk.
    Continuous,
}

/// The fault. `after` counts stream events; default: half of them.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    Status {
        code: StatusCode,
        headers: HeaderMap,
        body: Option<Bytes>,
    },
    Refuse,
    /// The connection ends before the body is read.
    CloseEarly,
    /// The connection ends instead of an answer.
    HangUp(Ending),
    CutHeaders(Ending),
    CutBody {
        ending: Ending,
        after: Option<u64>,
    },
    TruncateStream {
        after: Option<u64>,
    },
    Hang,
    ErrorEvent {
        after: u64,
    },
    EmptyStream,
    Stall {
        after: u64,
    },
    Unstreamed,
    Garbage,
}

impl TryFrom<&Orders> for Plan {
    type Error = String;

    fn try_from(orders: &Orders) -> Result<Self, String> {
        if orders.times == Some(0) {
            return Err("times: must be at least 1".into());
        }
        Ok(Self {
            fault: fault(orders)?,
            only: orders.only,
            delay: Duration::from_millis(orders.delay_ms),
            chunk_delay: Duration::from_millis(orders.chunk_delay_ms),
            slots: Slots::new(orders.concurrency),
            text: orders.text.clone(),
            usage: usage_report(orders)?,
        })
    }
}

fn fault(orders: &Orders) -> Result<Option<Fault>, String> {
    check_fields_of_status(orders)?;
    let after = orders.after_events;
    let Some(name) = orders.fault else {
        return Ok(None);
    };
    Ok(Some(match name {
        FaultName::Status => status_fault(orders)?,
        FaultName::Refuse => Fault::Refuse,
        FaultName::CloseEarly => Fault::CloseEarly,
        FaultName::Close => Fault::HangUp(Ending::Fin),
        FaultName::Reset => Fault::HangUp(Ending::Rst),
        FaultName::ResetHeaders => Fault::CutHeaders(Ending::Rst),
        FaultName::HalfHeaders => Fault::CutHeaders(Ending::Fin),
        FaultName::ResetBody => Fault::CutBody { ending: Ending::Rst, after },
        FaultName::TruncateBody => Fault::CutBody { ending: Ending::Fin, after },
        FaultName::TruncateStream => Fault::TruncateStream { after },
        FaultName::Hang => Fault::Hang,
        FaultName::ErrorEvent => Fault::ErrorEvent { after: after.unwrap_or(0) },
        FaultName::EmptyStream => Fault::EmptyStream,
        FaultName::Stall => Fault::Stall { after: after.unwrap_or(0) },
        FaultName::Unstreamed => Fault::Unstreamed,
        FaultName::Garbage => Fault::Garbage,
    }))
}

/// An ignored field is a mistake in the test that set it.
fn check_fields_of_status(orders: &Orders) -> Result<(), String> {
    let given =
        [("status", orders.status.is_some()), ("headers", !orders.headers.is_empty()), ("body", orders.body.is_some())];
    match (orders.fault, given.iter().find(|(_, given)| *given)) {
        (Some(FaultName::Status), _) | (_, None) => Ok(()),
        (_, Some((field, _))) => Err(format!("{field}: only with \"fault\": \"status\"")),
    }
}

fn status_fault(orders: &Orders) -> Result<Fault, String> {
    let code = orders.status.ok_or("status: needed with \"fault\": \"status\"")?;
    if !(200..=599).contains(&code) {
        return Err(format!("status: {code} is not within 200 to 599"));
    }
    Ok(Fault::Status {
        code: StatusCode::from_u16(code).map_err(|error| format!("status: {error}"))?,
        headers: orders.headers.iter().map(header_of).collect::<Result<_, _>>()?,
        body: orders.body.clone().map(Bytes::from),
    })
}

fn header_of((name, value): (&String, &String)) -> Result<(HeaderName, HeaderValue), String> {
    let name: HeaderName = name.parse().map_err(|error| format!("headers.{name}: {error}"))?;
    if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
        return Err(format!("headers.{name}: follows from the body"));
    }
    let value = value.parse().map_err(|error| format!("headers.{name}: {error}"))?;
    Ok((name, value))
}

fn usage_report(orders: &Orders) -> Result<UsageReport, String> {
    match (orders.no_usage, orders.usage_on_last_chunk, orders.continuous_usage) {
        (false, false, false) => Ok(UsageReport::AsDocumented),
        (true, false, false) => Ok(UsageReport::Never),
        (false, true, false) => Ok(UsageReport::OnLastChunk),
        (false, false, true) => Ok(UsageReport::Continuous),
        _ => Err("no_usage, usage_on_last_chunk, continuous_usage: at most one".into()),
    }
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_mistake() {
        let cases = [
            (r#"{"falt":"hang"}"#, "falt"),
            (r#"{"fault":"explode"}"#, "explode"),
            (r#"{"fault":"status"}"#, "status"),
            (r#"{"fault":"status","status":99}"#, "99"),
            (r#"{"fault":"status","status":500,"headers":{"a b":""}}"#, "headers.a b"),
            (r#"{"fault":"status","status":500,"headers":{"content-length":"1"}}"#, "content-length"),
            (r#"{"body":"x"}"#, "body"),
            (r#"{"times":0}"#, "times"),
            (r#"{"no_usage":true,"continuous_usage":true}"#, "at most one"),
        ];
        for (orders, want) in cases {
            let error = match serde_json::from_str::<Orders>(orders) {
                Ok(orders) => Plan::try_from(&orders).expect_err("must not be accepted"),
                Err(error) => error.to_string(),
            };
            assert!(error.contains(want), "{orders}: {error}");
        }
    }

    #[test]
    fn shown_plan_can_be_sent_again() {
        let orders = r#"{"fault":"stall","after_events":2,"times":3,"text":"hi","concurrency":2}"#;
        let parsed: Orders = serde_json::from_str(orders).expect("valid");
        let shown = serde_json::to_string(&parsed).expect("plain data");
        assert_eq!(serde_json::from_str::<Orders>(&shown).expect("valid"), parsed);
        assert_eq!(serde_json::to_string(&Orders::default()).expect("plain data"), "{}");
    }
}
