//! All ways to call, together.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;

use super::{Identity, KeyError, KeyHash, KeyRing, Oidc, Revocations, Roles, Signer, TokenError};
use crate::limits::shared::Service;
use crate::limits::Limits;
use crate::password::PasswordHash;

/// A user with a password.
#[derive(Clone, Debug)]
pub struct UserEntry {
    /// Who it is; the id is the name.
    pub identity: Rc<Identity>,
    /// The hash of the password.
    pub hash: PasswordHash,
}

/// Who may call, and by what they are known.
#[derive(Debug)]
pub struct Auth {
    /// The configured keys.
    pub ring: KeyRing,
    /// The users.
    pub users: Vec<UserEntry>,
    /// For virtual keys, if there are any.
    pub signer: Option<Signer>,
    /// How long a virtual key may last at most.
    pub max_expires_in: Duration,
    /// What the configuration revokes.
    pub revoked: Revocations,
    /// How much all callers together may use the gateway.
    pub limits: Limits,
    /// Who counts limits for all Envoys, if anyone does.
    pub shared: Option<Rc<Service>>,
    /// What the paths of the gateway itself begin with.
    pub prefix: String,
    /// The names of the roles.
    pub roles: Roles,
    /// For callers whom an identity provider knows, if there are any.
    pub oidc: Option<Oidc>,
    /// Virtual keys that have been verified.
    pub(crate) verified: RefCell<Verified>,
}

impl Auth {
    /// Whom a presented key belongs to. Whether its id is revoked is to be asked afterwards.
    ///
    /// # Errors
    /// There is no such key, or it has ended at `now` (since the epoch).
    pub fn identify(&self, presented: &str, now: Duration) -> Result<Rc<Identity>, KeyError> {
        let hash = KeyHash::of_presented(presented).ok_or(KeyError::Unknown)?;
        if let Some(found) = self.ring.get(&hash, now) {
            return found;
        }
        let signer = self.signer.as_ref().ok_or(KeyError::Unknown)?;
        if let Some(identity) = self.verified.borrow_mut().get(&hash) {
            return if identity.is_expired(now) { Err(KeyError::Expired) } else { Ok(identity) };
        }
        let claims = signer.verify(presented, now).map_err(|error| match error {
            TokenError::Expired => KeyError::Expired,
            TokenError::NotAToken | TokenError::Malformed | TokenError::BadSignature => KeyError::Unknown,
        })?;
        let identity = Rc::new(claims.identity());
        self.verified.borrow_mut().add(hash, identity.clone());
        Ok(identity)
    }

    /// Whether the configuration revokes a caller's key at `now`.
    pub fn is_revoked(&self, identity: &Identity, now: Duration) -> bool {
        self.revoked.is_revoked(&identity.id, identity.issued_at, now)
    }

    /// Everyone who is configured: the keys' owners in no order, then the users.
    pub fn configured(&self) -> impl Iterator<Item = &Identity> {
        self.ring.identities().chain(self.users.iter().map(|user| user.identity.as_ref()))
    }
}

/// The bearers of virtual keys that have been verified, by the key's hash: the second time a key costs one hash.
/// Only what is signed gets in, so that nobody without a key can drive the others out.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    /// Those seen since the last time that this was full.
    young: HashMap<KeyHash, Rc<Identity>>,
    /// Those seen before. They go when the young ones are full again.
    old: HashMap<KeyHash, Rc<Identity>>,
}

impl Verified {
    /// Half of what is remembered.
    const HALF: usize = 512;

    fn get(&mut self, hash: &KeyHash) -> Option<Rc<Identity>> {
        if let Some(identity) = self.young.get(hash) {
            return Some(identity.clone());
        }
        let identity = self.old.remove(hash)?;
        self.add(*hash, identity.clone());
        Some(identity)
    }

    fn add(&mut self, hash: KeyHash, identity: Rc<Identity>) {
        if self.young.len() >= Self::HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, identity);
    }
}
