//! The ids whose keys have been revoked at run time, in the shared data of all workers of this Envoy.

use std::cell::RefCell;

use sluice::codec::SharedRecord;
use sluice::error::ApiError;
use sluice::keys::{Identity, Revocations};
use sluice::wire_names::REVOKED_KEYS;

use crate::data_version;
use crate::host::{self, shared_data};

thread_local! {
    static REVOKED: RefCell<Revoked> = RefCell::default();
}

/// The revoked ids, when they were last read.
#[derive(Default)]
struct Revoked {
    /// The data version at that time.
    seen: Option<u64>,
    /// `None`: unreadable, so that every key may be revoked.
    ids: Option<Revocations>,
}

/// Whether a caller's key has been revoked at run time.
pub fn is_revoked(identity: &Identity) -> bool {
    let version = Some(data_version::latest());
    REVOKED.with_borrow_mut(|revoked| {
        if revoked.seen != version {
            revoked.seen = version;
            revoked.ids = read();
        }
        match &revoked.ids {
            Some(ids) => !ids.is_empty() && ids.is_revoked(&identity.id, identity.issued_at, host::recent()),
            None => true,
        }
    })
}

/// The error for a caller with a revoked key.
pub fn error() -> ApiError {
    ApiError::unauthorized("The API key has been revoked.")
}

/// The revoked ids. `None`: unreadable.
pub fn read() -> Option<Revocations> {
    Revocations::parse(&shared_data::read(REVOKED_KEYS).unwrap_or_default())
}

/// Changes the revoked ids, for all workers. If `change` leaves them as they are, nothing is written.
///
/// # Errors
/// That of `change`, or 500: they could not be read or written.
pub fn change<T>(change: impl Fn(&mut Revocations) -> Result<T, ApiError>) -> Result<T, ApiError> {
    let mut changed = Err(ApiError::internal("What is revoked cannot be read."));
    let mut is_new = false;
    let written = shared_data::swap(REVOKED_KEYS, &mut |bytes| {
        let mut ids = Revocations::parse(bytes)?;
        changed = change(&mut ids);
        let encoded = changed.is_ok().then(|| ids.encode()).filter(|encoded| encoded != bytes);
        is_new = encoded.is_some();
        encoded
    });
    match (written, changed) {
        (true, Ok(changed)) => {
            if is_new {
                data_version::advance();
            }
            Ok(changed)
        }
        (false, Ok(_)) => Err(ApiError::internal("The key could not be changed; try again.")),
        (_, Err(error)) => Err(error),
    }
}
