//! Calls to the ledger.

use std::time::Duration;

use sluice::codec::Changed;
use sluice::fleet::{is_taken, LedgerService, RevocationChange, Unsent, MAX_ANSWER};
use sluice::wire_names::UNSENT_REVOCATIONS;

use super::state::complain;
use crate::host::{self, shared_data, Buffer};

/// How long an answer may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);
/// An answer that is this late will not arrive: the filter that asked has ended.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// Sends a call to the ledger.
pub(super) fn send(service: &LedgerService, method: &str, path: &str, body: &str, timeout: Duration) -> Option<u32> {
    let authorization = service.token.as_ref().map(|token| token.authorization());
    let mut headers = vec![(":method", method), (":path", path), (":authority", service.cluster.as_str())];
    headers.extend(authorization.iter().map(|value| ("authorization", value.as_str())));
    if !body.is_empty() {
        headers.push(("content-type", "application/json"));
    }
    host::http_call(&service.cluster, &headers, body.as_bytes(), timeout)
}

/// An answer.
pub(super) struct Reply {
    /// Its status; 0 if there is none.
    pub status: u16,
    /// Its body, if the status is 200.
    pub body: Vec<u8>,
}

impl Reply {
    /// The answer that has just arrived, with a body of this size.
    pub fn read(size: usize) -> Self {
        let status = host::call_status().unwrap_or(0);
        let body = match (status, size) {
            (200, 1..=MAX_ANSWER) => host::bytes(Buffer::CallResponseBody, size).unwrap_or_default(),
            _ => Vec::new(),
        };
        Reply { status, body }
    }
}

/// Handles the answer to a change: whether the ledger has taken it. `None`: it will be told again.
pub(super) fn settle(service: &LedgerService, reply: &Reply, change: &RevocationChange) -> Option<bool> {
    let taken = match reply.status {
        200 if is_taken(&reply.body) => true,
        status @ (400 | 404 | 405 | 413 | 414 | 422) => {
            let id = &change.id;
            log::error!(
                "sluice: ledger: the cluster {:?} does not take that the key {id:?} was revoked or restored: status \
                 {status}; it holds on this Envoy only",
                service.cluster
            );
            false
        }
        _ => {
            failed(service, "changes", reply.status);
            return None;
        }
    };
    shared_data::update(UNSENT_REVOCATIONS, |unsent: &mut Unsent| {
        unsent.remove(change);
        Changed::Write
    });
    Some(taken)
}

/// Logs that an answer is missing or unusable.
pub(super) fn failed(service: &LedgerService, kind: &'static str, status: u16) {
    let text = match status {
        0 => "it does not answer".to_owned(),
        200 => "its answer is not that of a ledger of this version".to_owned(),
        401 => "status 401: the token is not the ledger's".to_owned(),
        _ => format!("status {status}"),
    };
    complain(service, kind, &text);
}
