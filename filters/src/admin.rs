//! What `auth` answers by itself: whether the gateway is there, who the caller is, and what administrators do with
//! keys.

use std::cell::RefCell;

use sluice::contract::{ISSUED_KEYS, REVOKED_KEYS};
use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::gateway::Command;
use sluice::keys::{admin, Auth, Identity, IssueRequest, Issued, Revocations, Role, MAX_LIFETIME};
use sluice::totals::{Form, Query};

use crate::changes;
use crate::host;
use crate::reply::Answer;
use crate::totals;

/// How often a change that another worker was faster than is tried again.
const MAX_TRIES: usize = 100;

thread_local! {
    static REVOKED: RefCell<Revoked> = RefCell::default();
}

/// The ids revoked at run time, as they were read last.
#[derive(Default)]
struct Revoked {
    /// How many changes there had been then.
    seen: Option<u64>,
    /// `None`: they cannot be read, so that every key might be among them.
    ids: Option<Revocations>,
}

/// Whether an id has been revoked since this Envoy started.
pub fn is_revoked(id: &str) -> bool {
    let changes = Some(changes::latest());
    REVOKED.with_borrow_mut(|revoked| {
        if revoked.seen != changes {
            revoked.seen = changes;
            revoked.ids = read_revoked().map(|(ids, _)| ids);
        }
        match &revoked.ids {
            Some(ids) => !ids.is_empty() && ids.is_revoked(id, host::recent()),
            None => true,
        }
    })
}

fn read_revoked() -> Option<(Revocations, u32)> {
    let (value, version) = host::shared(REVOKED_KEYS).unwrap_or((Vec::new(), host::ABSENT));
    Some((Revocations::decode(&value)?, version))
}

/// Answers what is asked of the gateway itself; `None` if that is for another filter.
pub fn serve(auth: &Auth, exchange: &Exchange) -> Option<Result<Answer, ApiError>> {
    let (command, body) = exchange.command.as_ref()?;
    let known = || {
        let unknown = || ApiError::internal("The request passed without a caller.");
        exchange.identity.as_deref().ok_or_else(unknown)
    };
    Some(match command {
        Command::Ping => Ok(Answer::text("pong")),
        Command::Health => Ok(Answer::json(r#"{"status":"ok"}"#)),
        Command::WhoAmI => known().map(|identity| Answer::json(admin::whoami(identity))),
        Command::Usage => known().and_then(|identity| usage(identity, exchange)),
        Command::Keys => Ok(Answer::json(admin::list(auth.configured(), &issued().0, &|id| {
            auth.is_revoked(id, host::recent()) || is_revoked(id)
        }))),
        Command::IssueKey => issue(auth, body),
        Command::RevokeKey(id) => revoke(id),
        Command::Models | Command::Model(_) | Command::Tags | Command::Limits => return None,
        Command::Upstreams | Command::Eject(_) | Command::Restore(_) => return None,
    })
}

fn usage(identity: &Identity, exchange: &Exchange) -> Result<Answer, ApiError> {
    let query = Query::read(&exchange.original.path)?;
    let form = query.form;
    let text = match identity.role {
        Role::Admin => totals::report(query, None),
        Role::User => totals::report(query, Some(&identity.id)),
    };
    Ok(match form {
        Form::Json => Answer::json(text),
        Form::Csv => Answer::csv(text),
    })
}

fn issued() -> (Issued, u32) {
    let (value, version) = host::shared(ISSUED_KEYS).unwrap_or((Vec::new(), host::ABSENT));
    (Issued::decode(&value), version)
}

fn issue(auth: &Auth, body: &[u8]) -> Result<Answer, ApiError> {
    let signer = auth.signer.as_ref().ok_or_else(ApiError::virtual_keys_off)?;
    let random = host::random_bytes().ok_or_else(|| ApiError::internal("The host has no randomness."))?;
    let now = host::now();
    let claims = IssueRequest::read(body, auth.max_expires_in, now, &admin::random_id(&random))?;
    if auth.configured().any(|identity| identity.id == claims.id) {
        let message = "A configured key or user has this id; choose another.";
        return Err(ApiError::bad_request("invalid_value", Some("id"), message));
    }
    if auth.is_revoked(&claims.id, now) || is_revoked(&claims.id) {
        let message = "Keys of this id are revoked; choose another.";
        return Err(ApiError::bad_request("invalid_value", Some("id"), message));
    }
    for _ in 0..MAX_TRIES {
        let (mut issued, version) = issued();
        issued.prune(now);
        issued.add(claims.clone());
        if host::set_shared(ISSUED_KEYS, &issued.encode(), version) {
            break; // a list for operators to see; no key depends on it
        }
    }
    Ok(Answer::json(admin::issued(&signer.sign(&claims), &claims)))
}

fn revoke(id: &str) -> Result<Answer, ApiError> {
    let now = host::now();
    // a virtual key ends by itself, also one of this id that was signed elsewhere; of others nobody knows when
    let issued_here = issued().0.iter().any(|claims| claims.id == id);
    let until = issued_here.then(|| now.saturating_add(MAX_LIFETIME));
    for _ in 0..MAX_TRIES {
        let unreadable = || ApiError::internal("What is revoked cannot be read.");
        let (mut ids, version) = read_revoked().ok_or_else(unreadable)?;
        ids.prune(now);
        ids.revoke(id, until).map_err(|full| ApiError::bad_request("invalid_value", Some("id"), full.to_string()))?;
        if host::set_shared(REVOKED_KEYS, &ids.encode(), version) {
            changes::note();
            return Ok(Answer::json(admin::revoked(id, until)));
        }
    }
    Err(ApiError::internal("The key could not be revoked; try again."))
}
