//! One worker's state of password authentication.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use super::basic::{is_name, MAX_NAME};
use super::hash::PasswordHash;
use super::queue::{Busy, Checks, Job};
use super::remembered::Remembered;
use super::tag::TagKey;
use super::throttle::Throttle;
use crate::routing::Secret;

/// The result of a login attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// It succeeds, as the user with this index.
    Open(usize),
    /// Too many wrong passwords for this name; no attempt before this time.
    Wait(Duration),
    /// It waits; [`PasswordVerifier::work`] will answer.
    Checking,
    /// Too many requests wait already.
    Busy,
}

/// The answer to a request that has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginResult {
    /// The request.
    pub id: u32,
    /// The verdict.
    pub verdict: LoginVerdict,
}

/// The verdict on a request that has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginVerdict {
    /// It succeeds, as the user with this index.
    Right(usize),
    /// It is refused.
    Wrong,
    /// It was dropped without a check, for a request from another address.
    Crowded,
}

/// Why the users are invalid, with the index of the first invalid one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserError {
    /// No client could send this name.
    Name(usize),
    /// An earlier user has the same name.
    Twice(usize),
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserError::Name(_) => {
                write!(f, "a user's name must be 1 to {MAX_NAME} bytes, without colons and control characters")
            }
            UserError::Twice(_) => f.write_str("an earlier user has the same name; give each their own"),
        }
    }
}

impl std::error::Error for UserError {}

/// The users, and the running checks.
#[derive(Debug)]
pub struct PasswordVerifier {
    by_name: HashMap<String, usize>,
    hashes: Vec<Rc<PasswordHash>>,
    key: TagKey,
    decoys: TagKey,
    remembered: Remembered,
    throttle: Throttle,
    checks: Checks,
    /// Requests that were dropped, and have not been answered yet.
    crowded: Vec<u32>,
}

impl PasswordVerifier {
    /// Password authentication for these users. `key` must be random and secret.
    ///
    /// # Errors
    /// The first invalid name.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::password::{LoginResult, PasswordVerifier, LoginOutcome, PasswordHash, LoginVerdict, REMEMBERED_FOR};
    /// use sluice::routing::Secret;
    ///
    /// let text = PasswordHash::make(b"open sesame", b"8 bytes+", 1_000).unwrap();
    /// let users = vec![("alice".to_owned(), PasswordHash::parse(&text).unwrap())];
    /// let mut verifier = PasswordVerifier::new(users, &[7; 32], REMEMBERED_FOR).unwrap();
    /// let (password, now) = (Secret::new("open sesame".into()), Duration::from_secs(1000));
    /// let from = || "192.0.2.1:5000".to_owned();
    /// assert_eq!(verifier.log_in(1, "alice", &password, from, now), LoginOutcome::Checking);
    /// assert_eq!(verifier.work(900, now), []);
    /// assert_eq!(verifier.work(900, now), [LoginResult { id: 1, verdict: LoginVerdict::Right(0) }]);
    /// assert_eq!(verifier.log_in(2, "alice", &password, from, now), LoginOutcome::Open(0));
    /// ```
    pub fn new(
        users: Vec<(String, PasswordHash)>,
        key: &[u8; 32],
        remembered_for: Duration,
    ) -> Result<Self, UserError> {
        let mut by_name = HashMap::new();
        let mut hashes = Vec::new();
        for (index, (name, hash)) in users.into_iter().enumerate() {
            if !is_name(&name) {
                return Err(UserError::Name(index));
            }
            if by_name.insert(name, index).is_some() {
                return Err(UserError::Twice(index));
            }
            hashes.push(Rc::new(hash));
        }
        Ok(PasswordVerifier {
            by_name,
            key: TagKey::new(key),
            decoys: decoys(&hashes),
            hashes,
            remembered: Remembered::for_time(remembered_for),
            throttle: Throttle::default(),
            checks: Checks::default(),
            crowded: Vec::new(),
        })
    }

    /// The request `id` sends a name and a password. `source`: the client's address and port, only read if needed.
    pub fn log_in(
        &mut self,
        id: u32,
        name: &str,
        password: &Secret,
        source: impl FnOnce() -> String,
        now: Duration,
    ) -> LoginOutcome {
        let login = self.key.login(name, password.expose());
        let user = self.by_name.get(name).copied();
        // before the throttle, or guesses would lock the user out
        let is_remembered = self.remembered.contains(&login, now);
        if let Some(user) = user.filter(|_| is_remembered) {
            return LoginOutcome::Open(user);
        }
        let source = self.key.source(&source());
        let tag = self.key.name_from(&source, name);
        // a request that waits for the same check as another one is not a further guess
        if !self.checks.has(&login) {
            if let Err(wait) = self.throttle.allowed(&tag, self.checks.of(&tag), now) {
                return LoginOutcome::Wait(wait);
            }
        }
        let job = Job::new((source, tag), login, password.expose(), self.hash(name, user), user);
        match self.checks.submit(id, job) {
            Ok(crowded) => {
                self.crowded.extend(crowded);
                LoginOutcome::Checking
            }
            Err(Busy) => LoginOutcome::Busy,
        }
    }

    /// Runs up to `budget` iterations of the checks, and answers the requests whose checks have ended. Called on each
    /// tick; in WebAssembly in V8, about 1,500 iterations take a millisecond.
    pub fn work(&mut self, budget: u32, now: Duration) -> Vec<LoginResult> {
        let crowded = std::mem::take(&mut self.crowded).into_iter();
        let mut answers: Vec<LoginResult> =
            crowded.map(|id| LoginResult { id, verdict: LoginVerdict::Crowded }).collect();
        for ended in self.checks.work(budget) {
            let verdict = match ended.user {
                Some(user) => {
                    self.remembered.insert(ended.login, now);
                    self.throttle.succeeded(&ended.name);
                    LoginVerdict::Right(user)
                }
                None => {
                    self.throttle.failed(ended.name, now);
                    LoginVerdict::Wrong
                }
            };
            answers.extend(ended.waiting.into_iter().map(|id| LoginResult { id, verdict }));
        }
        answers
    }

    /// The request has ended. A check without waiting requests is cancelled, and does not count as a failure, because
    /// nobody has learned its result.
    pub fn cancel(&mut self, id: u32) {
        self.checks.cancel(id);
        self.crowded.retain(|crowded| *crowded != id);
    }

    /// The number of running checks, and of dropped requests without an answer.
    pub fn under_way(&self) -> usize {
        self.checks.len() + self.crowded.len()
    }

    /// The hash to check against. For an unknown name it is a decoy: the hash of one user, always the same one. So the
    /// time reveals nothing, even if the users' iterations differ.
    fn hash(&self, name: &str, user: Option<usize>) -> Rc<PasswordHash> {
        let count = u64::try_from(self.hashes.len()).unwrap_or(u64::MAX);
        let decoy = self.decoys.name(name).number().checked_rem(count).and_then(|index| usize::try_from(index).ok());
        let hash = user.or(decoy).and_then(|index| self.hashes.get(index));
        hash.map_or_else(|| Rc::new(PasswordHash::decoy()), Rc::clone)
    }
}

/// The key that picks the decoy of a name. It is derived from the hashes themselves, so that nobody can predict it, and
/// all workers pick the same decoy, even after a restart.
fn decoys(hashes: &[Rc<PasswordHash>]) -> TagKey {
    let digest = hashes.iter().fold(Sha256::new(), |digest, hash| digest.chain_update(hash.hash()));
    TagKey::new(&digest.finalize().into())
}
