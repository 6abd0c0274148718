//! What a chain's `router` is configured with, for the filters before it: they must know at a request's headers that
//! nothing of its body is read, and how large a form may be; and a model's settings come before limits.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};

use sluice::endpoint::Dialect;
use sluice::prompts::Library;
use sluice::routing::{PathRule, Table, MAX_UPLOAD};

type Cell = Rc<OnceCell<Rc<Table>>>;

thread_local! {
    /// Those of the chain that is being configured.
    static CHAIN: RefCell<Cell> = RefCell::default();
    /// Those of all routers, the newest last: for filters whose `router` is in another entry.
    static ALL: RefCell<Vec<Weak<Table>>> = const { RefCell::new(Vec::new()) };
}

/// A chain is about to be configured.
pub fn begin_chain() {
    CHAIN.take();
}

/// The router of the chain that is being configured has this table.
pub fn publish(table: &Rc<Table>) {
    let first = CHAIN.with_borrow(|chain| chain.set(table.clone()).is_ok());
    debug_assert!(first, "a chain has one router");
    ALL.with_borrow_mut(|all| {
        all.retain(|table| table.strong_count() > 0);
        all.push(Rc::downgrade(table));
    });
}

/// The router of one chain.
#[derive(Clone)]
pub struct ChainRouter(Cell);

impl ChainRouter {
    /// That of the chain that is being configured, once all of its filters are.
    pub fn of_chain() -> Self {
        ChainRouter(CHAIN.with_borrow(Rc::clone))
    }

    /// Its table; `None` if it is in another entry.
    pub fn table(&self) -> Option<&Table> {
        self.0.get().map(Rc::as_ref)
    }

    /// The dialect of a request to a further path; `None` if the path is none of them.
    pub fn find(&self, path: &str) -> Option<Dialect> {
        self.rules(path).last().map(|rule| rule.dialect(path))
    }

    /// The largest form. Of several routers, the largest counts.
    pub fn max_upload(&self) -> usize {
        let most = |table: &Table| table.paths().max_upload;
        match self.0.get() {
            Some(own) => most(own),
            None => {
                let all: Vec<Rc<Table>> = ALL.with_borrow(|all| all.iter().filter_map(Weak::upgrade).collect());
                all.iter().map(|table| most(table)).max().unwrap_or(MAX_UPLOAD)
            }
        }
    }

    /// The prompt library. Of several routers, the newest that has one.
    pub fn library(&self) -> Option<Rc<Library>> {
        match self.0.get() {
            Some(own) => own.paths().library.clone(),
            None => ALL.with_borrow(|all| all.iter().rev().find_map(|table| table.upgrade()?.paths().library.clone())),
        }
    }

    /// The default model of a router in another entry. Of several, the newest that has one.
    pub fn default_model_elsewhere(&self) -> Option<String> {
        ALL.with_borrow(|all| all.iter().rev().find_map(|table| table.upgrade()?.default_model.clone()))
    }

    /// Whether a request to this path passes a guard that cannot check it. Of several routers, all must say so.
    pub fn skips_guard(&self, path: &str) -> bool {
        let rules = self.rules(path);
        !rules.is_empty() && rules.iter().all(|rule| rule.skips_guard)
    }

    /// The rule for a path: of the router in the same entry, or of each other one.
    fn rules(&self, path: &str) -> Vec<PathRule> {
        let find = |table: &Table| table.paths().find(path).map(|(_, rule)| rule.clone());
        match self.0.get() {
            Some(own) => find(own).into_iter().collect(),
            None => {
                let all: Vec<Rc<Table>> = ALL.with_borrow(|all| all.iter().filter_map(Weak::upgrade).collect());
                all.iter().filter_map(|table| find(table)).collect()
            }
        }
    }
}
