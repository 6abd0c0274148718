//! Who calls: by a key, a password, or an identity provider's token.

use std::cell::RefCell;
use std::rc::Rc;

use sluice::error::ApiError;
use sluice::keys::{bearer, Auth, Identity, KeyError, Oidc};
use sluice::password::{credentials, LoginOutcome, PasswordVerifier};

use crate::host::{self, text};
use crate::revoked;

/// What is known about a caller.
pub(super) enum Identification {
    /// The caller is known.
    Known(Rc<Identity>),
    /// It has sent a user name, and the password is being checked.
    Checking,
}

/// Whether a caller's key is revoked, by the configuration or at run time.
pub(super) fn is_revoked(auth: &Auth, identity: &Identity) -> bool {
    auth.is_revoked(identity, host::recent()) || revoked::is_revoked(identity)
}

/// The callers, for a request with this context.
pub(super) struct Callers<'a> {
    pub auth: &'a Auth,
    pub verifier: Option<&'a RefCell<PasswordVerifier>>,
    pub context: u32,
}

impl Callers<'_> {
    fn is_revoked(&self, identity: &Identity) -> bool {
        is_revoked(self.auth, identity)
    }

    /// Identifies the client, by the header of its SDK.
    pub(super) fn identify(&self, presented: &[(&str, &str)]) -> Result<Identification, ApiError> {
        let mut refusal = match presented {
            [] => ApiError::unauthorized(
                "No API key provided: send it as `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`.",
            ),
            _ => ApiError::unauthorized(KeyError::Unknown.to_string()),
        };
        for (name, value) in presented {
            let key = match *name {
                "authorization" => bearer(value),
                _ => Some(*value),
            };
            let found = match key {
                Some(key) => self.auth.identify(key, host::recent()),
                None => Err(KeyError::Unknown),
            };
            match found {
                Ok(identity) if self.is_revoked(&identity) => refusal = revoked::error(),
                Ok(identity) => return Ok(Identification::Known(identity)),
                Err(KeyError::Expired) => refusal = ApiError::expired(KeyError::Expired.to_string()),
                Err(KeyError::Unknown) if *name == "authorization" && key.is_none() => {
                    if let Some(caller) = self.log_in(value)? {
                        return Ok(caller);
                    }
                }
                Err(KeyError::Unknown) => {}
            }
        }
        match self.provided()? {
            Some(identity) if self.is_revoked(&identity) => Err(revoked::error()),
            Some(identity) => Ok(Identification::Known(Rc::new(identity))),
            None => Err(refusal),
        }
    }

    /// Asks for a user, where the client presents a name and a password.
    fn log_in(&self, header: &str) -> Result<Option<Identification>, ApiError> {
        let (Some(verifier), Some((name, password))) = (self.verifier, credentials(header)) else {
            return Ok(None);
        };
        let address = || host::property("source\0address").map(|address| text(&address).to_owned()).unwrap_or_default();
        let log_in = verifier.borrow_mut().log_in(self.context, &name, &password, address, host::now());
        match log_in {
            LoginOutcome::Open(index) => {
                let user = self.auth.users.get(index).map(|user| user.identity.clone());
                match user {
                    Some(identity) if self.is_revoked(&identity) => Err(revoked::error()),
                    user => Ok(user.map(Identification::Known)),
                }
            }
            LoginOutcome::Checking => Ok(Some(Identification::Checking)),
            LoginOutcome::Wait(time) => Err(ApiError::too_many_failures(time)),
            LoginOutcome::Busy => Err(ApiError::busy()),
        }
    }

    /// Identifies a caller with an identity provider's token, if Envoy has verified one.
    fn provided(&self) -> Result<Option<Identity>, ApiError> {
        let Some(oidc) = &self.auth.oidc else {
            return Ok(None);
        };
        match oidc.verified_claims(&|path| host::jwt_metadata(&oidc.metadata, path)) {
            Some(claims) => match oidc.identity(&claims, &self.auth.roles) {
                Ok(identity) => Ok(Some(identity)),
                Err(problem) => Err(ApiError::not_permitted(problem.to_string())),
            },
            None if oidc.failure_metadata.as_deref().is_some_and(has_expired) => {
                Err(ApiError::expired("The token has expired."))
            }
            None => Ok(None),
        }
    }
}

/// Whether Envoy refused a token because it has expired.
fn has_expired(failure: &str) -> bool {
    Oidc::is_expired(&host::jwt_metadata(failure, &["message"]))
}
