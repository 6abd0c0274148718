use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::password::{Busy, Checks, Job, PasswordHash, Verified, MAX_CHECKS, MAX_WAITING};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{hash, key};

fn job(name: &str, password: &str, hash: &Rc<PasswordHash>, user: Option<usize>) -> Job {
    Job::new(key().name(name), key().login(name, password), password, Rc::clone(hash), user)
}

/// Who waited, and what came of it.
fn ended(verified: &[Verified]) -> Vec<(&[u32], Option<usize>)> {
    verified.iter().map(|check| (check.waiting.as_slice(), check.user)).collect()
}

#[test]
fn in_order_and_within_the_budget() {
    let hash = Rc::new(hash("sesame", 1000));
    let mut checks = Checks::default();
    for (id, name, password, user) in [
        (1, "alice", "sesame", Some(3)),
        (2, "bob", "wrong", Some(4)),
        (3, "alice", "sesame", Some(3)),
        (4, "nobody", "sesame", None),
    ] {
        assert_eq!(checks.submit(id, job(name, password, &hash, user)), Ok(()));
    }
    assert_eq!((checks.len(), checks.waiting()), (3, 4), "the same login is checked once");
    assert_eq!((checks.of(&key().name("alice")), checks.of(&key().name("carol"))), (1, 0));
    assert!(checks.has(&key().login("bob", "wrong")) && !checks.has(&key().login("bob", "sesame")));
    assert_eq!(ended(&checks.work(0)), []);
    assert_eq!(ended(&checks.work(998)), []);
    assert_eq!(ended(&checks.work(2)), [(&[1, 3][..], Some(3))], "one iteration goes to the next");
    // the first iteration of each is done when it is submitted: 998 + 999
    assert_eq!(ended(&checks.work(998)), [(&[2][..], None)], "a wrong password");
    assert_eq!(ended(&checks.work(998)), []);
    assert_eq!(ended(&checks.work(1)), [(&[4][..], None)], "no such user, though the password fits the decoy");
    assert!(checks.is_empty());
    assert_eq!(ended(&checks.work(1000)), []);
}

#[test]
fn one_budget_may_end_several() {
    let hash = Rc::new(hash("sesame", 1000));
    let mut checks = Checks::default();
    for id in 0..4 {
        assert_eq!(checks.submit(id, job(&id.to_string(), "sesame", &hash, Some(0))), Ok(()));
    }
    let all: Vec<u32> = checks.work(3 * 999).iter().flat_map(|check| check.waiting.clone()).collect();
    assert_eq!(all, [0, 1, 2]);
}

#[test]
fn cancelled() {
    let hash = Rc::new(hash("sesame", 1000));
    let mut checks = Checks::default();
    for (id, name) in [(1, "alice"), (2, "alice"), (3, "bob")] {
        assert_eq!(checks.submit(id, job(name, "sesame", &hash, Some(0))), Ok(()));
    }
    checks.cancel(1);
    checks.cancel(3);
    checks.cancel(77);
    assert_eq!((checks.len(), checks.waiting()), (1, 1), "somebody still waits for alice's");
    assert_eq!(checks.submit(2, job("carol", "sesame", &hash, Some(1))), Ok(()));
    assert_eq!(ended(&checks.work(5000)), [(&[2][..], Some(1))], "a request waits for its last check alone");
}

#[test]
fn bounded() {
    let hash = Rc::new(hash("sesame", 1000));
    let mut checks = Checks::default();
    for id in 0..MAX_CHECKS as u32 {
        assert_eq!(checks.submit(id, job(&id.to_string(), "x", &hash, None)), Ok(()));
    }
    assert_eq!(checks.submit(900, job("900", "x", &hash, None)), Err(Busy), "another check");
    for id in MAX_CHECKS as u32..MAX_WAITING as u32 {
        assert_eq!(checks.submit(1000 + id, job("0", "x", &hash, None)), Ok(()), "another that waits for one of them");
    }
    assert_eq!(checks.submit(5000, job("0", "x", &hash, None)), Err(Busy));
    assert_eq!((checks.len(), checks.waiting()), (MAX_CHECKS, MAX_WAITING));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever the slices: all end, in order, each by its own password, for exactly the work they need.
    #[test]
    fn any_budgets(rights in vec(any::<bool>(), 0..6), budgets in vec(0..1500u32, 0..20)) {
        let hash = Rc::new(hash("sesame", 1000));
        let mut checks = Checks::default();
        for (id, right) in rights.iter().enumerate() {
            let password = if *right { "sesame" } else { "wrong" };
            prop_assert_eq!(checks.submit(id as u32, job(&id.to_string(), password, &hash, Some(id))), Ok(()));
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
        let want: Vec<_> = rights.iter().enumerate().map(|(id, right)| (id as u32, right.then_some(id))).collect();
        prop_assert_eq!(answers, want);
    }
}
