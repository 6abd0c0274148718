//! Turns: the next member if each has a share, deterministic, and spread out instead of in bursts.
//!
//! The algorithm is nginx's smooth weighted round robin (commit 52327e0, "Upstream: smooth weighted round-robin
//! balancing"): each turn the credit of every member grows by its weight, the one with most credit is picked and pays
//! the sum of all weights. While the members stay the same, each is picked exactly `weight` times in any window as long
//! as the sum of the weights.
//!
//! Here the members change from turn to turn: an ejected target misses turns, and dialects have different targets. So
//! credit is counted in turns, and converted when the sum of the weights changes. If it were counted in weights, as in
//! nginx, half a turn beside a target of weight 1000 would become five hundred turns in a row, once that target is
//! ejected and only those of weight 1 are left.

use std::cell::RefCell;

use super::TargetSet;

/// One unit of weight in credit: fine enough that rounding in conversions does not matter.
const GRAIN: i64 = 1 << 20;

/// The maximum number of turns that a member can be ahead or behind. Taking turns alone stays far below it. It bounds
/// how long a member makes up for turns that it missed for another reason.
const MOST_OWED: i64 = 16;

/// The turns of some members, known by their index.
#[derive(Debug)]
pub(super) struct Turns(RefCell<Credits>);

#[derive(Debug)]
struct Credits {
    amounts: Vec<i64>,
    /// The price of a turn at the last change, in their unit.
    price: i64,
}

/// A turn to give.
pub(super) struct Turn<W> {
    /// The members that have a share in it.
    pub sharing: TargetSet,
    /// The members that may be picked.
    pub eligible: TargetSet,
    /// The share of each, relative to the others; at least 1.
    pub weight: W,
    /// Whether it is taken. If not, nothing changes: so retries do not distort the shares of first attempts.
    pub taken: bool,
}

impl Turns {
    /// Turns among the members 0 to `count - 1`.
    pub fn new(count: usize) -> Self {
        Turns(RefCell::new(Credits { amounts: vec![0; count], price: GRAIN }))
    }

    /// The member whose turn it is; of equal credits the one with the largest weight, then the first. `None` if no
    /// member may be picked.
    pub fn next(&self, turn: Turn<impl Fn(usize) -> u32>) -> Option<usize> {
        let mut credits = self.0.borrow_mut();
        let sharing = turn.sharing.intersection(TargetSet::first(credits.amounts.len()));
        let gain = |member| i64::from((turn.weight)(member).max(1)) * GRAIN;
        let price: i64 = sharing.iter().map(gain).sum();
        let standing = |member| (member, credits.of(member, price) + gain(member));
        let (richest, _) = turn.eligible.intersection(sharing).iter().map(standing).reduce(richer)?;
        if turn.taken {
            credits.convert(price);
            for member in sharing.iter() {
                credits.add(member, gain(member));
            }
            credits.add(richest, -price);
        }
        Some(richest)
    }
}

/// The member with more credit; the first of equals. The credit includes this turn's gain, so the larger weight wins a
/// tie.
fn richer(best: (usize, i64), next: (usize, i64)) -> (usize, i64) {
    if next.1 > best.1 {
        next
    } else {
        best
    }
}

impl Credits {
    /// A member's credit, if a turn costs `price`.
    fn of(&self, member: usize, price: i64) -> i64 {
        converted(self.amounts.get(member).copied().unwrap_or(0), self.price, price)
    }

    /// Changes the unit to `price`.
    fn convert(&mut self, price: i64) {
        for amount in &mut self.amounts {
            *amount = converted(*amount, self.price, price);
        }
        self.price = price;
    }

    fn add(&mut self, member: usize, amount: i64) {
        let most = MOST_OWED * self.price;
        if let Some(credit) = self.amounts.get_mut(member) {
            *credit = (*credit + amount).clamp(-most, most);
        }
    }
}

/// Converts turns from the price `from` to the price `to`.
fn converted(amount: i64, from: i64, to: i64) -> i64 {
    if from == to {
        amount
    } else {
        (amount as f64 * (to as f64 / from as f64)).round_ties_even() as i64
    }
}
