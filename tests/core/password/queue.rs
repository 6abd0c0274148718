use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::password::{Busy, Checks, Job, NameTag, PasswordHash, Verified, MAX_WAITING, MAX_WAITING_OF_SOURCE};

use super::{hash, key};

fn job(name: &str, password: &str, hash: &Rc<PasswordHash>, user: Option<usize>) -> Job {
    job_from("192.0.2.1:80", name, password, hash, user)
}

fn job_from(address: &str, name: &str, password: &str, hash: &Rc<PasswordHash>, user: Option<usize>) -> Job {
    let source = key().source(address);
    let name_there = key().name_from(&source, name);
    Job::new((source, name_there), key().login(name, password), password, Rc::clone(hash), user)
}

fn name(name: &str) -> NameTag {
    key().name_from(&key().source("192.0.2.1:80"), name)
}

/// The waiting checks, and their results.
fn ended(verified: &[Verified]) -> Vec<(&[u32], Option<usize>)> {
    verified.iter().map(|check| (check.waiting.as_slice(), check.user)).collect()
}

#[test]
fn newest_first_and_within_the_budget() {
    let hash = Rc::new(hash("sesame", 1000));
    let mut checks = Checks::default();
    let submit = |checks: &mut Checks, id, name, password, user| {
        assert_eq!(checks.submit(id, job(name, password, &hash, user)), Ok(Vec::new()));
    };
    submit(&mut checks, 1, "alice", "sesame", Some(3));
    assert_eq!(ended(&checks.work(10)), [], "it goes on with what it has begun");
    submit(&mut checks, 2, "nobody", "sesame", None);
    submit(&mut checks, 3, "alice", "sesame", Some(3));
    submit(&mut checks, 4, "bob", "wrong", Some(4));
    assert_eq!((checks.len(), checks.waiting()), (3, 4), "the same login is checked once");
    assert_eq!((checks.of(&name("alice")), checks.of(&name("carol"))), (1, 0));
    assert!(checks.has(&key().login("bob", "wrong")) && !checks.has(&key().login("bob", "sesame")));
    assert_eq!(ended(&checks.work(0)), []);
    assert_eq!(ended(&checks.work(988)), []);
    assert_eq!(ended(&checks.work(2)), [(&[1, 3][..], Some(3))], "one iteration goes to the next");
    // the first iteration of each is done when it is submitted: 998 + 999
    assert_eq!(ended(&checks.work(998)), [(&[4][..], None)], "a wrong password");
    assert_eq!(ended(&checks.work(998)), []);
    assert_eq!(ended(&checks.work(1)), [(&[2][..], None)], "no such user, though the password fits the decoy");
    assert!(checks.is_empty());
    assert_eq!(ended(&checks.work(1000)), []);
}

#[test]
fn one_budget_can_finish_several() {
    let hash = Rc::new(hash("sesame", 1000));
    let mut checks = Checks::default();
    for id in 0..4 {
        assert_eq!(checks.submit(id, job(&id.to_string(), "sesame", &hash, Some(0))), Ok(Vec::new()));
    }
    let all: Vec<u32> = checks.work(3 * 999).iter().flat_map(|check| check.waiting.clone()).collect();
    assert_eq!(all, [3, 2, 1]);
}

/// However many checks wait, at one address or at a hundred: a check from a new address is next.
#[test]
fn sources_take_turns() {
    let hash = Rc::new(hash("sesame", 1000));
    for addresses in [1, 100] {
        let mut checks = Checks::default();
        let guess = |checks: &mut Checks, id: u32| {
            let address = format!("198.51.100.{}:{id}", id % addresses);
            checks.submit(id, job_from(&address, &id.to_string(), "guess", &hash, None)).unwrap()
        };
        (0..128).for_each(|id| assert!(guess(&mut checks, id).is_empty()));
        let mut id = 128;
        for owner in 1000..1003 {
            checks.submit(owner, job_from("192.0.2.1:7", &owner.to_string(), "sesame", &hash, Some(0))).unwrap();
            let mut others = 0;
            // each guesser tries again at once
            while !checks.work(1000).iter().any(|check| check.waiting == [owner]) {
                others += 1;
                guess(&mut checks, id);
                id += 1;
            }
            assert!(others <= if owner == 1000 { 1 } else { addresses + 1 }, "{addresses}: {others} before {owner}");
        }
    }
}

/// When the queue is full, the source with most checks loses one, unless the new one has as many.
#[test]
fn a_full_queue_drops_checks() {
    let hash = Rc::new(hash("sesame", 1000));
    let mut checks = Checks::default();
    let submit = |checks: &mut Checks, address: &str, id: u32| {
        checks.submit(id, job_from(&format!("{address}:1"), &id.to_string(), "x", &hash, None))
    };
    let each = MAX_WAITING_OF_SOURCE as u32;
    for source in 0..4 {
        let address = format!("198.51.100.{source}");
        for number in 0..each {
            assert_eq!(submit(&mut checks, &address, source * each + number), Ok(Vec::new()));
        }
        assert_eq!(submit(&mut checks, &address, 5000), Err(Busy), "all places of one source");
    }
    assert_eq!(checks.waiting(), MAX_WAITING);
    assert_eq!(submit(&mut checks, "192.0.2.1", 6000), Ok(vec![4 * each - 1]), "the newest of those with most");
    assert_eq!(submit(&mut checks, "192.0.2.1", 6001), Ok(vec![3 * each - 1]));
    assert_eq!(checks.waiting(), MAX_WAITING);
    for number in 0..2 * each {
        let _ = submit(&mut checks, "192.0.2.1", 7000 + number);
        assert_eq!(checks.waiting(), MAX_WAITING);
    }
}

#[test]
fn cancelled() {
    let hash = Rc::new(hash("sesame", 1000));
    let mut checks = Checks::default();
    for (id, name) in [(1, "alice"), (2, "alice"), (3, "bob")] {
        assert_eq!(checks.submit(id, job(name, "sesame", &hash, Some(0))), Ok(Vec::new()));
    }
    checks.cancel(1);
    checks.cancel(3);
    checks.cancel(77);
    assert_eq!((checks.len(), checks.waiting()), (1, 1), "somebody still waits for alice's");
    assert_eq!(checks.submit(2, job("carol", "sesame", &hash, Some(1))), Ok(Vec::new()));
    assert_eq!(ended(&checks.work(5000)), [(&[2][..], Some(1))], "a request waits for its last check alone");
}

proptest! {
    #![proptest_config(crate::cases(32))]

    /// For any slices: all finish, newest first, each with its own password, and after exactly the necessary work.
    #[test]
    fn any_budgets(rights in vec(any::<bool>(), 0..6), budgets in vec(0..1500u32, 0..20)) {
        let hash = Rc::new(hash("sesame", 1000));
        let mut checks = Checks::default();
        for (id, right) in rights.iter().enumerate() {
            let password = if *right { "sesame" } else { "wrong" };
            prop_assert_eq!(checks.submit(id as u32, job(&id.to_string(), password, &hash, Some(id))), Ok(Vec::new()));
        }
        let mut spent = 0;
        let mut answers = Vec::new();
        for budget in budgets.into_iter().chain([10_000]) {
            spent += budget;
            for check in checks.work(budget) {
                answers.push((check.waiting[0], check.user));
            }
            prop_assert_eq!(answers.len(), rights.len().min(spent as usize / 999));
        }
        let want: Vec<_> = rights.iter().enumerate().rev().map(|(id, right)| (id as u32, right.then_some(id))).collect();
        prop_assert_eq!(answers, want);
    }
}
