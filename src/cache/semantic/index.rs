//! One worker's vectors of a model, with the oldest first.

use std::collections::VecDeque;
use std::time::Duration;

use super::Group;
use crate::cache::CacheKey;
use crate::embeddings::Vector;

/// A kept answer to a similar request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similar {
    /// The key of the entry.
    pub key: CacheKey,
    /// How similar its request is: at most 1.
    pub similarity: f32,
}

#[derive(Debug)]
struct Item {
    group: Group,
    key: CacheKey,
    created: Duration,
    vector: Vector,
}

/// The vectors of requests whose answers are kept.
///
/// ```
/// use std::time::Duration;
/// use sluice::cache::{CacheKey, semantic::{Group, Index}};
/// use sluice::embeddings::Vector;
///
/// let mut index = Index::default();
/// let (group, now) = (Group([0; 16]), Duration::from_secs(1));
/// index.insert(group, CacheKey([1; 32]), Vector::new(vec![1.0, 0.0]).unwrap(), (now, 100));
/// let near = Vector::new(vec![1.0, 0.1]).unwrap();
/// assert_eq!(index.find(group, &near, 0.9, (now, Duration::ZERO)).unwrap().key, CacheKey([1; 32]));
/// assert!(index.find(Group([1; 16]), &near, 0.9, (now, Duration::ZERO)).is_none());
/// ```
#[derive(Debug, Default)]
pub struct Index {
    items: VecDeque<Item>,
}

impl Index {
    /// The most similar request of a group, if its similarity is at least `threshold`, and its answer not older than `time`
    /// at `now`.
    pub fn find(
        &self,
        group: Group,
        vector: &Vector,
        threshold: f32,
        (now, time): (Duration, Duration),
    ) -> Option<Similar> {
        let is_young = |item: &&Item| now.saturating_sub(item.created) <= time;
        let items = self.items.iter().filter(|item| item.group == group).filter(is_young);
        let similar = items.filter_map(|item| {
            let similarity = item.vector.similarity(vector).filter(|similarity| *similarity >= threshold)?;
            Some(Similar { key: item.key, similarity })
        });
        similar.reduce(|best, next| if next.similarity >= best.similarity { next } else { best })
    }

    /// Adds a request whose answer has been kept at `now`; with more than `most`, the oldest is forgotten.
    pub fn insert(&mut self, group: Group, key: CacheKey, vector: Vector, (now, most): (Duration, usize)) {
        self.forget(&key);
        while self.items.len() >= most.max(1) {
            self.items.pop_front();
        }
        self.items.push_back(Item { group, key, created: now, vector });
    }

    /// Forgets a request whose answer is no longer kept.
    pub fn forget(&mut self, key: &CacheKey) {
        self.items.retain(|item| item.key != *key);
    }

    /// The number of vectors.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether the index is empty.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
