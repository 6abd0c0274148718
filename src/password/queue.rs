//! The checks under way in one worker.

use std::collections::VecDeque;
use std::rc::Rc;

use super::derivation::{Derivation, Progress};
use super::hash::PasswordHash;
use super::tag::{LoginTag, NameTag};

/// The most checks under way.
pub const MAX_CHECKS: usize = 64;
/// The most requests that wait for them.
pub const MAX_WAITING: usize = 1024;

/// There is no room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// One password to check.
#[derive(Debug)]
pub struct Job {
    name: NameTag,
    login: LoginTag,
    hash: Rc<PasswordHash>,
    /// `None`: there is no such user, and no password is right.
    user: Option<usize>,
    derivation: Derivation,
}

impl Job {
    /// A check of `password` against `hash`, which is the user's own, or, if there is no such user, another's: then
    /// the check takes as long, and fails whatever it comes to.
    pub fn new(name: NameTag, login: LoginTag, password: &str, hash: Rc<PasswordHash>, user: Option<usize>) -> Self {
        let derivation = Derivation::start(password.as_bytes(), hash.salt(), hash.iterations());
        Job { name, login, hash, user, derivation }
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

/// The checks, oldest first. They are done one after the other: in turns all would end as late as the last. Requests
/// with the same name and password share one.
#[derive(Debug, Default)]
pub struct Checks {
    queue: VecDeque<Check>,
}

impl Checks {
    /// Adds a check for the request `id`, or the request to the check of the same login.
    ///
    /// # Errors
    /// There is no room.
    pub fn submit(&mut self, id: u32, job: Job) -> Result<(), Busy> {
        self.cancel(id); // a request waits for one check
        if self.waiting() >= MAX_WAITING {
            return Err(Busy);
        }
        if let Some(check) = self.queue.iter_mut().find(|check| check.job.login == job.login) {
            check.waiting.push(id);
            return Ok(());
        }
        if self.queue.len() >= MAX_CHECKS {
            return Err(Busy);
        }
        self.queue.push_back(Check { job, waiting: vec![id] });
        Ok(())
    }

    /// Does up to `budget` iterations; hands out the checks that have ended.
    pub fn work(&mut self, budget: u32) -> Vec<Verified> {
        let mut left = budget;
        let mut ended = Vec::new();
        while let Some(mut check) = self.queue.pop_front() {
            let before = check.job.derivation.left();
            let progress = check.job.derivation.work(left);
            left = left.saturating_sub(before.saturating_sub(check.job.derivation.left()));
            match progress {
                Progress::Done => ended.push(check.job.verified(check.waiting)),
                Progress::More => {
                    self.queue.push_front(check);
                    break;
                }
            }
        }
        ended
    }

    /// The request waits no more; a check for which nobody waits is not done.
    pub fn cancel(&mut self, id: u32) {
        self.queue.retain_mut(|check| {
            check.waiting.retain(|waiting| *waiting != id);
            !check.waiting.is_empty()
        });
    }

    /// Whether this login is being checked.
    pub fn has(&self, login: &LoginTag) -> bool {
        self.queue.iter().any(|check| check.job.login == *login)
    }

    /// How many passwords are being checked for this name.
    pub fn of(&self, name: &NameTag) -> usize {
        self.queue.iter().filter(|check| check.job.name == *name).count()
    }

    /// How many checks there are.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.queue.iter().map(|check| check.waiting.len()).sum()
    }
}
