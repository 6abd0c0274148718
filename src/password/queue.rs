//! One worker's running checks.

use std::cmp::Reverse;
use std::rc::Rc;

use hashbrown::HashMap;

use super::derivation::{Derivation, Progress};
use super::hash::PasswordHash;
use super::tag::{LoginTag, NameTag, SourceTag};

/// The maximum number of requests that wait for checks; each check has at least one.
pub const MAX_WAITING: usize = 1024;
/// The maximum number of them from one source.
pub const MAX_WAITING_OF_SOURCE: usize = 256;
/// The maximum number of sources whose last turn is remembered.
const MAX_SOURCES: usize = 1024;

/// There is no room for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// One password to check.
#[derive(Debug)]
pub struct Job {
    source: SourceTag,
    name: NameTag,
    login: LoginTag,
    hash: Rc<PasswordHash>,
    /// `None`: there is no such user, so no password is right.
    user: Option<usize>,
    derivation: Derivation,
}

impl Job {
    /// A check of `password` against `hash`. If the user does not exist, it is another user's hash: then the check
    /// takes as long, and always fails. `name`: as sent by the source.
    pub fn new(
        (source, name): (SourceTag, NameTag),
        login: LoginTag,
        password: &str,
        hash: Rc<PasswordHash>,
        user: Option<usize>,
    ) -> Self {
        let derivation = Derivation::start(password.as_bytes(), hash.salt(), hash.iterations());
        Job { source, name, login, hash, user, derivation }
    }

    fn verified(self, waiting: Vec<u32>) -> Verified {
        let is_right = self.derivation.matches(self.hash.hash());
        Verified { name: self.name, login: self.login, user: self.user.filter(|_| is_right), waiting }
    }
}

/// A finished check.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// The name.
    pub name: NameTag,
    /// The login.
    pub login: LoginTag,
    /// The user; `None` if the password was wrong.
    pub user: Option<usize>,
    /// The requests that waited for it.
    pub waiting: Vec<u32>,
}

#[derive(Debug)]
struct Check {
    job: Job,
    waiting: Vec<u32>,
}

/// The checks. They run one after another, because in parallel all would end as late as the last. Requests with the
/// same name and password share a check.
///
/// **Order.** A check takes a second, and a guess cannot be distinguished from a right password before. So the next
/// source is the one whose last turn was longest ago, and of its checks the newest one. So a request from another
/// address is next or next but one, however many wait. When all slots are taken, the source with the most loses one.
#[derive(Debug, Default)]
pub struct Checks {
    current: Option<Check>,
    /// Oldest first.
    queue: Vec<Check>,
    /// The last turn of each source.
    turns: HashMap<SourceTag, usize>,
    turn: usize,
}

impl Checks {
    /// Adds a check for the request `id`, or adds the request to the check of the same login. Returns the requests that
    /// were dropped for it.
    ///
    /// # Errors
    /// There is no room.
    pub fn submit(&mut self, id: u32, job: Job) -> Result<Vec<u32>, Busy> {
        self.cancel(id); // a request waits for only one check
        let own = self.waiting_of(&job.source);
        if own >= MAX_WAITING_OF_SOURCE {
            return Err(Busy);
        }
        let evicted = match self.waiting() >= MAX_WAITING {
            true => self.evict(own).ok_or(Busy)?,
            false => Vec::new(),
        };
        let same = self.all_mut().find(|check| check.job.login == job.login);
        let shares = same.map(|check| check.waiting.push(id)).is_some();
        if !shares {
            self.queue.push(Check { job, waiting: vec![id] });
        }
        Ok(evicted)
    }

    /// Drops the newest check of the source with most waiting requests; `None` if no source has more than `own`.
    fn evict(&mut self, own: usize) -> Option<Vec<u32>> {
        let of_source = |check: &Check| self.waiting_of(&check.job.source);
        let (index, most) = self.queue.iter().map(of_source).enumerate().max_by_key(|(index, most)| (*most, *index))?;
        (most > own + 1).then(|| self.queue.remove(index).waiting)
    }

    /// Runs up to `budget` iterations; returns the finished checks.
    pub fn work(&mut self, budget: u32) -> Vec<Verified> {
        let mut left = budget;
        let mut ended = Vec::new();
        while let Some(mut check) = self.current.take().or_else(|| self.next()) {
            let before = check.job.derivation.left();
            let progress = check.job.derivation.work(left);
            left = left.saturating_sub(before.saturating_sub(check.job.derivation.left()));
            match progress {
                Progress::Done => ended.push(check.job.verified(check.waiting)),
                Progress::More => {
                    self.current = Some(check);
                    break;
                }
            }
        }
        ended
    }

    /// The next check.
    fn next(&mut self) -> Option<Check> {
        let turn_of = |check: &Check| self.turns.get(&check.job.source).copied().unwrap_or(0);
        let waits = self.queue.iter().map(turn_of).enumerate();
        let (index, _) = waits.min_by_key(|(index, turn)| (*turn, Reverse(*index)))?;
        let check = self.queue.remove(index);
        self.turn += 1;
        self.turns.insert(check.job.source, self.turn);
        if self.turns.len() > MAX_SOURCES {
            let long_ago = self.turn.saturating_sub(MAX_SOURCES / 2);
            self.turns.retain(|_, turn| *turn > long_ago);
        }
        Some(check)
    }

    /// The request no longer waits; a check without waiting requests is cancelled.
    pub fn cancel(&mut self, id: u32) {
        self.all_mut().for_each(|check| check.waiting.retain(|waiting| *waiting != id));
        self.queue.retain(|check| !check.waiting.is_empty());
        self.current = self.current.take().filter(|check| !check.waiting.is_empty());
    }

    fn all(&self) -> impl Iterator<Item = &Check> {
        self.current.iter().chain(&self.queue)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Check> {
        self.current.iter_mut().chain(&mut self.queue)
    }

    /// Whether this login is being checked.
    pub fn has(&self, login: &LoginTag) -> bool {
        self.all().any(|check| check.job.login == *login)
    }

    /// The number of running checks for this name.
    pub fn of(&self, name: &NameTag) -> usize {
        self.all().filter(|check| check.job.name == *name).count()
    }

    /// The number of checks.
    pub fn len(&self) -> usize {
        self.all().count()
    }

    /// Whether there are no checks.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// The number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.all().map(|check| check.waiting.len()).sum()
    }

    fn waiting_of(&self, source: &SourceTag) -> usize {
        self.all().filter(|check| check.job.source == *source).map(|check| check.waiting.len()).sum()
    }
}
