//! A model's cache, as configured.

use std::time::Duration;

use super::semantic::Semantic;

/// The largest configurable entry, in bytes.
pub const MAX_ENTRY: usize = 1 << 20;

/// Who shares entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each key has its own.
    Key,
    /// All keys together: a hit shows one caller that another has asked the same.
    All,
}

/// Where entries are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// In the memory that all workers of this Envoy share.
    Memory,
    /// In Redis, through Webdis at this cluster.
    Redis {
        /// The cluster.
        cluster: String,
        /// How long a request waits for it.
        timeout: Duration,
    },
}

/// A model's cache.
#[derive(Clone, Debug)]
pub struct CachePolicy {
    /// How long an entry is used.
    pub time: Duration,
    /// Who shares it.
    pub scope: Scope,
    /// The largest kept answer, in bytes.
    pub max_entry: usize,
    /// Whether requests are answered from it whose answers would differ each time.
    pub always: bool,
    /// Whether requests with tools, or with their results, are.
    pub tools: bool,
    /// How long a request waits for the same request of another client; zero: it does not.
    pub wait: Duration,
    /// Where entries are.
    pub store: Store,
    /// How answers also serve similar requests; `None`: they do not.
    pub semantic: Option<Box<Semantic>>,
    /// A digest of the model's configuration: another configuration has other entries.
    pub digest: [u8; 16],
}
