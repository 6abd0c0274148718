//! Which model's cache it is.

use std::rc::Rc;

use sluice::cache::CachePolicy;
use sluice::routing::Table;

/// A model's cache.
#[derive(Clone)]
pub struct ModelCache {
    pub table: Rc<Table>,
    pub model: usize,
}

impl ModelCache {
    /// The cache's settings.
    pub fn policy(&self) -> Option<&CachePolicy> {
        self.table.models().get(self.model)?.cache.as_deref()
    }

    /// The memory of all entries, in bytes.
    pub fn memory(&self) -> usize {
        self.table.cache_memory
    }

    /// The model's configured name.
    pub fn name(&self) -> &str {
        self.table.models().get(self.model).map_or("", |model| model.name.as_str())
    }
}
