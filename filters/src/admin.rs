//! Administrators' commands about keys and usage.

use std::time::Duration;

use sluice::codec::Changed;
use sluice::error::ApiError;
use sluice::fleet::{Readiness, RevocationChange};
use sluice::keys::{admin, Auth, Identity, IssueRequest, Issued, Revocation, Role, MAX_LIFETIME};
use sluice::limits::{Limits, Subject};
use sluice::totals::{Query, ReportFormat};
use sluice::uri::query_value;
use sluice::wire_names::ISSUED_KEYS;

use crate::admission;
use crate::fleet;
use crate::host::{self, shared_data};
use crate::reply::CommandReply;
use crate::revoked;
use crate::totals;

/// All callers.
pub fn list(auth: &Auth) -> CommandReply {
    let is_revoked = |identity: &Identity| auth.is_revoked(identity, host::recent()) || revoked::is_revoked(identity);
    CommandReply::json(admin::list(auth.configured(), &issued(), &is_revoked))
}

/// Usage of all keys, or of the caller's own key. `path` has the query.
///
/// # Errors
/// 400: the query is invalid.
pub fn usage(auth: &Auth, identity: &Identity, path: &str) -> Result<CommandReply, ApiError> {
    let query = Query::read(path)?;
    let form = query.form;
    let only = match identity.role {
        Role::Admin => None,
        Role::User => Some(identity.id.as_str()),
    };
    let limits_seeded = auth.ledger.as_ref().map(|_| fleet::stage().0 == Readiness::Seeded);
    let text = totals::report(query, only, limits_seeded);
    Ok(match form {
        ReportFormat::Json => CommandReply::json(text),
        ReportFormat::Csv => CommandReply::csv(text),
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
    let at_run_time = revoked::read().and_then(|ids| ids.get(&claims.id));
    for revocation in [auth.revoked.get(&claims.id), at_run_time].into_iter().flatten() {
        claims.iat = revocation.next_issue(claims.iat);
    }
    let identity = claims.identity();
    if auth.is_revoked(&identity, now) || revoked::is_revoked(&identity) {
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
    revoked::change(|ids| {
        ids.prune(now);
        ids.revoke(id, revocation).map_err(|full| ApiError::bad_request("invalid_value", Some("id"), full.to_string()))
    })?;
    let reply = CommandReply::json(admin::revoked(id, revocation, is_configured || is_issued));
    Ok(reply.about(RevocationChange::new(id, Some(revocation), now)))
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
    let changed = revoked::change(|ids| Ok(ids.restore(id)))?;
    Ok(CommandReply::json(admin::restored(id, changed)).about(RevocationChange::new(id, None, host::now())))
}
