//! The checks under way in one worker.

use std::cmp::Reverse;
use std::rc::Rc;

use hashbrown::HashMap;

use super::derivation::{Derivation, Progress};
use super::hash::PasswordHash;
use super::tag::{LoginTag, NameTag, SourceTag};

/// The most requests that wait for checks; each check has one at least.
pub const MAX_WAITING: usize = 1024;
/// The most of them from one source.
pub const MAX_WAITING_OF_SOURCE: usize = 256;
/// The most sources of which it is known when it was their turn.
const MAX_SOURCES: usize = 1024;

/// There is no room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// One password to check.
#[derive(Debug)]
pub struct Job {
    source: SourceTag,
    name: NameTag,
    login: LoginTag,
    hash: Rc<PasswordHash>,
    /// `None`: there is no such user, and no password is right.
    user: Option<usize>,
    derivation: Derivation,
}

impl Job {
    /// A check of `password` against `hash`, which is the user's own, or, if there is no such user, another's: then
    /// the check takes as long, and fails whatever it comes to. `name`: as presented by the source.
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

/// A check that has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose.
    pub name: NameTag,
    /// With what.
    pub login: LoginTag,
    /// The user; `None` if the password was wrong.
    pub user: Option<usize>,
    /// The requests that wait for it.
    pub waiting: Vec<u32>,
}

#[derive(Debug)]
struct Check {
    job: Job,
    waiting: Vec<u32>,
}

/// The checks. They are done one after the other: in turns all would end as late as the last. Requests with the same
/// name and password share one.
///
/// **Whose turn it is.** A check takes a second, and nobody can tell a guess from a right password before. So the source
/// is next whose last turn was longest ago, and of it the newest check: however many wait, from one address or from a
/// hundred, whoever comes from elsewhere is next or next but one, and of those who wait in the same place the last one,
/// not the first. When all places are taken, the source that has most of them gives one up.
#[derive(Debug, Default)]
pub struct Checks {
    current: Option<Check>,
    /// Oldest first.
    queue: Vec<Check>,
    /// When it was the turn of a source.
    turns: HashMap<SourceTag, usize>,
    turn: usize,
}

impl Checks {
    /// Adds a check for the request `id`, or the request to the check of the same login. Returns the requests that gave
    /// up their place for it.
    ///
    /// # Errors
    /// There is no room.
    pub fn submit(&mut self, id: u32, job: Job) -> Result<Vec<u32>, Busy> {
        self.cancel(id); // a request waits for one check
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

    /// Takes its newest check from the source that has most requests waiting; `None` if none has more than `own`.
    fn evict(&mut self, own: usize) -> Option<Vec<u32>> {
        let of_source = |check: &Check| self.waiting_of(&check.job.source);
        let (index, most) = self.queue.iter().map(of_source).enumerate().max_by_key(|(index, most)| (*most, *index))?;
        (most > own + 1).then(|| self.queue.remove(index).waiting)
    }

    /// Does up to `budget` iterations; hands out the checks that have ended.
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

    /// The check whose turn it is.
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

    /// The request waits no more; a check for which nobody waits is not done.
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

    /// How many passwords are being checked for this name.
    pub fn of(&self, name: &NameTag) -> usize {
        self.all().filter(|check| check.job.name == *name).count()
    }

    /// How many checks there are.
    pub fn len(&self) -> usize {
        self.all().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.all().map(|check| check.waiting.len()).sum()
    }

    fn waiting_of(&self, source: &SourceTag) -> usize {
        self.all().filter(|check| check.job.source == *source).map(|check| check.waiting.len()).sum()
    }
}
