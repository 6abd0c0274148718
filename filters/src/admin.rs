//! Administrators' commands about keys and usage.

use std::cell::RefCell;
use std::time::Duration;

use sluice::codec::{Changed, SharedRecord};
use sluice::error::ApiError;
use sluice::keys::{admin, Auth, Identity, IssueRequest, Issued, Revocation, Revocations, Role, MAX_LIFETIME};
use sluice::limits::{Limits, Subject};
use sluice::totals::{Form, Query};
use sluice::uri::query_value;
use sluice::wire_names::{ISSUED_KEYS, REVOKED_KEYS};

use crate::admission;
use crate::data_version;
use crate::host::{self, shared_data};
use crate::reply::CommandReply;
use crate::totals;

thread_local! {
    static REVOKED: RefCell<Revoked> = RefCell::default();
}

/// The ids revoked at run time, when they were last read.
#[derive(Default)]
struct Revoked {
    /// The data version at that time.
    seen: Option<u64>,
    /// `None`: unreadable, so that every key may be revoked.
    ids: Option<Revocations>,
}

/// Whether a caller's key has been revoked since this Envoy started.
pub fn is_revoked(identity: &Identity) -> bool {
    let version = Some(data_version::latest());
    REVOKED.with_borrow_mut(|revoked| {
        if revoked.seen != version {
            revoked.seen = version;
            revoked.ids = read_revoked();
        }
        match &revoked.ids {
            Some(ids) => !ids.is_empty() && ids.is_revoked(&identity.id, identity.issued_at, host::recent()),
            None => true,
        }
    })
}

/// The error for a caller with a revoked key.
pub fn revoked() -> ApiError {
    ApiError::unauthorized("The API key has been revoked.")
}

fn read_revoked() -> Option<Revocations> {
    Revocations::parse(&shared_data::read(REVOKED_KEYS).unwrap_or_default())
}

/// All callers.
pub fn list(auth: &Auth) -> CommandReply {
    let is_revoked = |identity: &Identity| auth.is_revoked(identity, host::recent()) || is_revoked(identity);
    CommandReply::json(admin::list(auth.configured(), &issued(), &is_revoked))
}

/// Usage of all keys, or of the caller's own key. `path` has the query.
///
/// # Errors
/// 400: the query is invalid.
pub fn usage(identity: &Identity, path: &str) -> Result<CommandReply, ApiError> {
    let query = Query::read(path)?;
    let form = query.form;
    let text = match identity.role {
        Role::Admin => totals::report(query, None),
        Role::User => totals::report(query, Some(&identity.id)),
    };
    Ok(match form {
        Form::Json => CommandReply::json(text),
        Form::Csv => CommandReply::csv(text),
    })
}

/// Whose limits a caller asks for: its own, or with `?id=` in the query of `path` those of another key.
///
/// # Errors
/// 403: it is no administrator; 400: no such key is known.
pub fn limited(auth: &Auth, identity: &Identity, path: &str) -> Result<Vec<(Subject, Limits)>, ApiError> {
    let Some(id) = query_value(path, "id").filter(|id| *id != identity.id) else {
        return Ok(admission::subjects(identity, auth));
    };
    if identity.role != Role::Admin {
        return Err(ApiError::admin_only());
    }
    if let Some(configured) = auth.configured().find(|configured| configured.id == id) {
        return Ok(admission::subjects(configured, auth));
    }
    let issued = issued();
    let last = issued.iter().filter(|claims| claims.id == id).max_by_key(|claims| claims.iat);
    let message = "No key of this id is configured, or has been issued by this Envoy since it started.";
    let claims = last.ok_or_else(|| ApiError::bad_request("invalid_value", Some("id"), message))?;
    Ok(admission::subjects(&claims.identity(), auth))
}

fn issued() -> Issued {
    shared_data::record(ISSUED_KEYS)
}

/// A new virtual key.
///
/// # Errors
/// 400: it must not be issued, or no secret is configured.
pub fn issue(auth: &Auth, body: &[u8]) -> Result<CommandReply, ApiError> {
    let signer = auth.signer.as_ref().ok_or_else(ApiError::virtual_keys_off)?;
    let random = host::random_bytes().ok_or_else(|| ApiError::internal("The host has no randomness."))?;
    let now = host::now();
    let mut claims = IssueRequest::read(body, auth.max_expires_in, now, &admin::random_id(&random))?;
    if auth.configured().any(|identity| identity.id == claims.id) {
        let message = "A configured key or user has this id; choose another.";
        return Err(ApiError::bad_request("invalid_value", Some("id"), message));
    }
    let at_run_time = read_revoked().and_then(|ids| ids.get(&claims.id));
    for revocation in [auth.revoked.get(&claims.id), at_run_time].into_iter().flatten() {
        claims.iat = revocation.next_issue(claims.iat);
    }
    let identity = claims.identity();
    if auth.is_revoked(&identity, now) || is_revoked(&identity) {
        let message =
            "Keys of this id are revoked, whenever they are issued; choose another, or change `auth.revoked`.";
        return Err(ApiError::bad_request("invalid_value", Some("id"), message));
    }
    claims.exp = claims.exp.max(claims.iat.saturating_add(1));
    // the list is only for information
    shared_data::update(ISSUED_KEYS, |issued: &mut Issued| {
        issued.prune(now);
        issued.add(claims.clone());
        Changed::Write
    });
    Ok(CommandReply::json(admin::issued(&signer.sign(&claims), &claims)))
}

/// Revokes all keys of an id that have been issued so far.
///
/// # Errors
/// There are too many revocations, or it could not be written.
pub fn revoke(auth: &Auth, id: &str) -> Result<CommandReply, ApiError> {
    let now = host::now();
    let is_configured = auth.configured().any(|identity| identity.id == id);
    let last_issue = issued().iter().filter(|claims| claims.id == id).map(|claims| claims.iat).max();
    let is_issued = last_issue.is_some();
    let revocation = Revocation::of_issued_by(now.max(Duration::from_secs(last_issue.unwrap_or(0))));
    // virtual keys expire by themselves, even those of this id that were signed elsewhere; for other keys the end is unknown
    let until = (is_issued && !is_configured).then(|| now.saturating_add(MAX_LIFETIME));
    let revocation = Revocation { until, ..revocation };
    change_revoked(|ids| {
        ids.prune(now);
        ids.revoke(id, revocation).map_err(|full| ApiError::bad_request("invalid_value", Some("id"), full.to_string()))
    })?;
    Ok(CommandReply::json(admin::revoked(id, revocation, is_configured || is_issued)))
}

/// Undoes a run-time revocation of an id.
///
/// # Errors
/// The configuration revokes it, or it could not be written.
pub fn restore(auth: &Auth, id: &str) -> Result<CommandReply, ApiError> {
    if auth.revoked.get(id).is_some_and(|revocation| revocation.before.is_none()) {
        let message = "The configuration revokes this id; remove it from `auth.revoked`.";
        return Err(ApiError::conflict("revoked_by_configuration", "id", message));
    }
    let changed = change_revoked(|ids| Ok(ids.restore(id)))?;
    Ok(CommandReply::json(admin::restored(id, changed)))
}

/// Changes the run-time revocations, for all workers.
fn change_revoked<T>(change: impl Fn(&mut Revocations) -> Result<T, ApiError>) -> Result<T, ApiError> {
    let mut changed = Err(ApiError::internal("What is revoked cannot be read."));
    let written = shared_data::swap(REVOKED_KEYS, &mut |bytes| {
        let mut ids = Revocations::parse(bytes)?;
        changed = change(&mut ids);
        changed.is_ok().then(|| ids.encode())
    });
    match (written, changed) {
        (true, Ok(changed)) => {
            data_version::advance();
            Ok(changed)
        }
        (false, Ok(_)) => Err(ApiError::internal("The key could not be changed; try again.")),
        (_, Err(error)) => Err(error),
    }
}
