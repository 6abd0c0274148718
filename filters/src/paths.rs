//! The further paths that a chain's `router` is configured with, for the filters before it: they must know at a
//! request's headers that nothing of its body is read, and how large a form may be.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};

use sluice::endpoint::Dialect;
use sluice::prompts::Library;
use sluice::routing::{PathRule, Paths, MAX_UPLOAD};

type Cell = Rc<OnceCell<Rc<Paths>>>;

thread_local! {
    /// Those of the chain that is being configured.
    static CHAIN: RefCell<Cell> = RefCell::default();
    /// Those of all routers, the newest last: for filters whose `router` is in another entry.
    static ALL: RefCell<Vec<Weak<Paths>>> = const { RefCell::new(Vec::new()) };
}

/// A chain is about to be configured.
pub fn begin_chain() {
    CHAIN.take();
}

/// The router of the chain that is being configured has these paths.
pub fn publish(paths: &Rc<Paths>) {
    let first = CHAIN.with_borrow(|chain| chain.set(paths.clone()).is_ok());
    debug_assert!(first, "a chain has one router");
    ALL.with_borrow_mut(|all| {
        all.retain(|paths| paths.strong_count() > 0);
        all.push(Rc::downgrade(paths));
    });
}

/// The paths of one chain.
#[derive(Clone)]
pub struct ChainPaths(Cell);

impl ChainPaths {
    /// Those of the chain that is being configured, once all of its filters are.
    pub fn of_chain() -> Self {
        ChainPaths(CHAIN.with_borrow(Rc::clone))
    }

    /// The dialect of a request to a further path; `None` if the path is none of them.
    pub fn find(&self, path: &str) -> Option<Dialect> {
        self.rules(path).last().map(|rule| rule.dialect(path))
    }

    /// The largest form. Of several routers, the largest counts.
    pub fn max_upload(&self) -> usize {
        let most = |paths: &Paths| paths.max_upload;
        match self.0.get() {
            Some(own) => most(own),
            None => {
                let all: Vec<Rc<Paths>> = ALL.with_borrow(|all| all.iter().filter_map(Weak::upgrade).collect());
                all.iter().map(|paths| most(paths)).max().unwrap_or(MAX_UPLOAD)
            }
        }
    }

    /// The prompt library. Of several routers, the newest that has one.
    pub fn library(&self) -> Option<Rc<Library>> {
        match self.0.get() {
            Some(own) => own.library.clone(),
            None => ALL.with_borrow(|all| all.iter().rev().find_map(|paths| paths.upgrade()?.library.clone())),
        }
    }

    /// Whether a request to this path passes a guard that cannot check it. Of several routers, all must say so.
    pub fn skips_guard(&self, path: &str) -> bool {
        let rules = self.rules(path);
        !rules.is_empty() && rules.iter().all(|rule| rule.skips_guard)
    }

    /// The rule for a path: of the router in the same entry, or of each other one.
    fn rules(&self, path: &str) -> Vec<PathRule> {
        let find = |paths: &Paths| paths.find(path).map(|(_, rule)| rule.clone());
        match self.0.get() {
            Some(own) => find(own).into_iter().collect(),
            None => {
                let all: Vec<Rc<Paths>> = ALL.with_borrow(|all| all.iter().filter_map(Weak::upgrade).collect());
                all.iter().filter_map(|paths| find(paths)).collect()
            }
        }
    }
}
