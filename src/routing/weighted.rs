//! Smooth weighted round robin: deterministic, and spread out instead of in bursts.
//!
//! The algorithm is nginx's (commit 52327e0, "Upstream: smooth weighted round-robin balancing"): each
//! turn every target's credit grows by its weight, the richest is picked and pays the sum of all weights.
//! Over any window as long as the sum of the weights, each target is picked exactly `weight` times.

use std::cell::RefCell;

/// The weights of one pool, and the credits of its members.
#[derive(Debug)]
pub struct SmoothWeighted {
    weights: Vec<i64>,
    credits: RefCell<Vec<i64>>,
}

impl SmoothWeighted {
    /// A pool whose member `i` has the weight `weights[i]`.
    pub fn new(weights: &[u32]) -> Self {
        SmoothWeighted {
            weights: weights.iter().map(|weight| i64::from(*weight)).collect(),
            credits: RefCell::new(vec![0; weights.len()]),
        }
    }

    /// The next member in turn. `None` only for an empty pool.
    ///
    /// ```
    /// use sluice::routing::SmoothWeighted;
    ///
    /// let pool = SmoothWeighted::new(&[3, 2, 1]);
    /// let turns: Vec<_> = (0..6).filter_map(|_| pool.next()).collect();
    /// assert_eq!(turns, [0, 1, 0, 2, 1, 0]);
    /// ```
    pub fn next(&self) -> Option<usize> {
        let mut credits = self.credits.borrow_mut();
        for (credit, weight) in credits.iter_mut().zip(&self.weights) {
            *credit += weight;
        }
        let richest = richest(credits.iter().copied().enumerate())?;
        if let Some(credit) = credits.get_mut(richest) {
            *credit -= self.weights.iter().sum::<i64>();
        }
        Some(richest)
    }

    /// Whose turn would come next among those `allowed`. The turns themselves stay as they are, so that
    /// retries do not bend the share of first attempts.
    pub fn peek(&self, allowed: impl Fn(usize) -> bool) -> Option<usize> {
        let credits = self.credits.borrow();
        let standing = credits.iter().zip(&self.weights).map(|(credit, weight)| credit + weight);
        richest(standing.enumerate().filter(|(member, _)| allowed(*member)))
    }
}

/// The member with the most credit; the first of several.
fn richest(members: impl Iterator<Item = (usize, i64)>) -> Option<usize> {
    members.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(member, _)| member)
}
