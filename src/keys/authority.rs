//! All kinds of callers together.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;

use super::{Identity, KeyError, KeyHash, KeyRing, LabelLimits, Oidc, Revocations, Roles, Signer, TokenError};
use crate::fleet::LedgerService;
use crate::limits::shared::Service;
use crate::limits::Limits;
use crate::password::PasswordHash;
use crate::tools::ToolLists;

/// A user with a password.
#[derive(Clone, Debug)]
pub struct UserEntry {
    /// The caller; its id is the name.
    pub identity: Rc<Identity>,
    /// The hash of the password.
    pub hash: PasswordHash,
}

/// The callers, and how they are recognised.
#[derive(Debug)]
pub struct Auth {
    /// The configured keys.
    pub ring: KeyRing,
    /// The users.
    pub users: Vec<UserEntry>,
    /// For virtual keys, if they are configured.
    pub signer: Option<Signer>,
    /// The maximum lifetime of a virtual key.
    pub max_expires_in: Duration,
    /// The configured revocations.
    pub revoked: Revocations,
    /// The tools that callers may offer to a model; `None`: all.
    pub tools: Option<Rc<ToolLists>>,
    /// The limits of all callers together.
    pub limits: Limits,
    /// The limits of label values.
    pub label_limits: LabelLimits,
    /// The service that counts limits for all Envoys, if there is one.
    pub shared: Option<Rc<Service>>,
    /// The ledger, if there is one.
    pub ledger: Option<Rc<LedgerService>>,
    /// The prefix of the gateway's own paths.
    pub prefix: String,
    /// The names of the roles.
    pub roles: Roles,
    /// For an identity provider's tokens, if they are configured.
    pub oidc: Option<Oidc>,
    /// Verified virtual keys.
    pub(crate) verified: RefCell<Verified>,
}

impl Auth {
    /// The owner of a presented key. The caller must check for revocation afterwards.
    ///
    /// # Errors
    /// There is no such key, or it has expired at `now` (since the epoch).
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

    /// All configured callers: the keys' owners in any order, then the users.
    pub fn configured(&self) -> impl Iterator<Item = &Identity> {
        self.ring.identities().chain(self.users.iter().map(|user| user.identity.as_ref()))
    }
}

/// The owners of verified virtual keys, by the key's hash: from its second use on, a key costs one hash. Only signed
/// keys get in, so that nobody without a key can evict others.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    /// The keys seen since the young half was last full.
    young: HashMap<KeyHash, Rc<Identity>>,
    /// The keys seen before that. They are dropped when the young half is full again.
    old: HashMap<KeyHash, Rc<Identity>>,
}

impl Verified {
    /// Half of the capacity.
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
