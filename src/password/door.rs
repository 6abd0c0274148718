//! Who comes in: all that is known of users and of those who would be one, in one worker.

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

/// What becomes of a request at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// It goes on, as the user of this index.
    Open(usize),
    /// Too many wrong passwords for this name; not before this time.
    Wait(Duration),
    /// It waits; [`Door::work`] will answer.
    Checking,
    /// Too many wait already.
    Busy,
}

/// What a request that waited is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request.
    pub id: u32,
    /// The index of the user it goes on as; `None`: refused.
    pub user: Option<usize>,
}

/// Why the users cannot be used; with the index of the first that cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserError {
    /// No client could present this name.
    Name(usize),
    /// An earlier user has it.
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

/// The users, and who knocks.
#[derive(Debug)]
pub struct Door {
    by_name: HashMap<String, usize>,
    hashes: Vec<Rc<PasswordHash>>,
    key: TagKey,
    decoys: TagKey,
    remembered: Remembered,
    throttle: Throttle,
    checks: Checks,
}

impl Door {
    /// A door for these users. `key` must be random, and be known to nobody else.
    ///
    /// # Errors
    /// The first name that cannot be used.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::password::{Answer, Door, Knock, PasswordHash, REMEMBERED_FOR};
    /// use sluice::routing::Secret;
    ///
    /// let text = PasswordHash::make(b"open sesame", b"8 bytes+", 1_000).unwrap();
    /// let users = vec![("alice".to_owned(), PasswordHash::parse(&text).unwrap())];
    /// let mut door = Door::new(users, &[7; 32], REMEMBERED_FOR).unwrap();
    /// let (password, now) = (Secret::new("open sesame".into()), Duration::from_secs(1000));
    /// assert_eq!(door.knock(1, "alice", &password, now), Knock::Checking);
    /// assert_eq!(door.work(900, now), []);
    /// assert_eq!(door.work(900, now), [Answer { id: 1, user: Some(0) }]);
    /// assert_eq!(door.knock(2, "alice", &password, now), Knock::Open(0));
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
        Ok(Door {
            by_name,
            key: TagKey::new(key),
            decoys: decoys(&hashes),
            hashes,
            remembered: Remembered::for_time(remembered_for),
            throttle: Throttle::default(),
            checks: Checks::default(),
        })
    }

    /// The request `id` presents a name and a password.
    pub fn knock(&mut self, id: u32, name: &str, password: &Secret, now: Duration) -> Knock {
        let login = self.key.login(name, password.expose());
        let user = self.by_name.get(name).copied();
        // before the throttle, or guessing would lock the user out
        let is_remembered = self.remembered.contains(&login, now);
        if let Some(user) = user.filter(|_| is_remembered) {
            return Knock::Open(user);
        }
        let tag = self.key.name(name);
        // who waits for the same check as another guesses nothing more
        if !self.checks.has(&login) {
            if let Err(wait) = self.throttle.allowed(&tag, self.checks.of(&tag), now) {
                return Knock::Wait(wait);
            }
        }
        let job = Job::new(tag, login, password.expose(), self.hash(name, user), user);
        match self.checks.submit(id, job) {
            Ok(()) => Knock::Checking,
            Err(Busy) => Knock::Busy,
        }
    }

    /// Does up to `budget` iterations of the checks, and answers those who waited for the ones that ended. For each
    /// tick; as WebAssembly in V8 a millisecond is enough for about 1,500.
    pub fn work(&mut self, budget: u32, now: Duration) -> Vec<Answer> {
        let mut answers = Vec::new();
        for ended in self.checks.work(budget) {
            match ended.user {
                Some(_) => {
                    self.remembered.insert(ended.login, now);
                    self.throttle.succeeded(&ended.name);
                }
                None => self.throttle.failed(ended.name, now),
            }
            answers.extend(ended.waiting.into_iter().map(|id| Answer { id, user: ended.user }));
        }
        answers
    }

    /// The request is gone. A check for which nobody waits any more is not done, and counts as no failure: nobody
    /// has learned anything from it.
    pub fn cancel(&mut self, id: u32) {
        self.checks.cancel(id);
    }

    /// How many checks are under way.
    pub fn under_way(&self) -> usize {
        self.checks.len()
    }

    /// The hash to check against. For a name that is no user's it is some user's, always the same one: then the time
    /// says nothing, even if the users' iterations differ.
    fn hash(&self, name: &str, user: Option<usize>) -> Rc<PasswordHash> {
        let count = u64::try_from(self.hashes.len()).unwrap_or(u64::MAX);
        let decoy = self.decoys.name(name).number().checked_rem(count).and_then(|index| usize::try_from(index).ok());
        let hash = user.or(decoy).and_then(|index| self.hashes.get(index));
        hash.map_or_else(|| Rc::new(PasswordHash::decoy()), Rc::clone)
    }
}

/// What picks the decoy of a name: out of the hashes themselves, so that nobody can foretell it, and all workers, and
/// the same ones after a restart, pick the same.
fn decoys(hashes: &[Rc<PasswordHash>]) -> TagKey {
    let digest = hashes.iter().fold(Sha256::new(), |digest, hash| digest.chain_update(hash.hash()));
    TagKey::new(&digest.finalize().into())
}
