use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::password::{
    LoginOutcome, LoginResult, LoginVerdict, PasswordHash, PasswordVerifier, UserError, MAX_WAITING_OF_SOURCE,
    REMEMBERED_FOR,
};
use sluice::routing::Secret;

use super::at;
use LoginOutcome::{Busy, Checking, Open, Wait};

const KEY: [u8; 32] = [7; 32];
const WRONG: &str = "wrong";
/// From Python's `hashlib.pbkdf2_hmac`: "sesame" and "simsim".
const SESAME: &str = "pbkdf2-sha256$1000$OCBieXRlcys=$Qn2f9IwmSmHRyZraRaqoutNoYN+UaIVtU8lk7Zj4BSc=";
const SIMSIM: &str = "pbkdf2-sha256$1500$OCBieXRlcys=$XEYuZoohZTI6rF9mQdzXTyzKoqTE1mz476FeYW8wOEs=";

/// Alice's password is "sesame", Bob's is "simsim".
fn verifier() -> PasswordVerifier {
    verifier_with(&KEY)
}

fn verifier_with(key: &[u8; 32]) -> PasswordVerifier {
    let users = [("alice", SESAME), ("bob", SIMSIM)].map(|(name, hash)| (name.to_owned(), read(hash)));
    PasswordVerifier::new(users.into(), key, REMEMBERED_FOR).unwrap()
}

fn read(hash: &str) -> PasswordHash {
    PasswordHash::parse(hash).unwrap()
}

fn log_in(verifier: &mut PasswordVerifier, id: u32, name: &str, password: &str, now: u64) -> LoginOutcome {
    log_in_from("192.0.2.1:80", verifier, id, name, password, now)
}

fn log_in_from(
    address: &str,
    verifier: &mut PasswordVerifier,
    id: u32,
    name: &str,
    password: &str,
    now: u64,
) -> LoginOutcome {
    verifier.log_in(id, name, &Secret::new(password.to_owned()), || address.to_owned(), at(now))
}

fn user(verdict: LoginVerdict) -> Option<usize> {
    match verdict {
        LoginVerdict::Right(user) => Some(user),
        LoginVerdict::Wrong => None,
        LoginVerdict::Crowded => panic!("there is room"),
    }
}

/// Tries to log in, and waits for the answer.
fn try_one(verifier: &mut PasswordVerifier, name: &str, password: &str, now: u64) -> Option<usize> {
    match log_in(verifier, 1, name, password, now) {
        Open(user) => Some(user),
        Checking => user(verifier.work(u32::MAX, at(now))[0].verdict),
        other @ (Wait(_) | Busy) => panic!("{name}: {other:?}"),
    }
}

#[test]
fn logins() {
    let cases = [
        ("alice", "sesame", Some(0)),
        ("bob", "simsim", Some(1)),
        ("alice", "simsim", None),
        ("bob", "sesame", None),
        ("Alice", "sesame", None),
        ("alice", "sesame ", None),
        ("carol", "sesame", None),
        ("dave", "simsim", None),
        ("dave", "sesame", None),
        ("", "", None),
        ("alice\0sesame", "", None),
    ];
    let mut verifier = verifier();
    for (name, password, want) in cases {
        assert_eq!(try_one(&mut verifier, name, password, 1000), want, "{name:?} {password:?}");
        let again = log_in(&mut verifier, 2, name, password, 1001);
        assert_eq!(again, want.map_or(Checking, Open), "{name:?} {password:?}, again");
        verifier.cancel(2);
    }
    assert_eq!(verifier.under_way(), 0);
}

#[test]
fn a_first_burst_shares_one_check() {
    let mut verifier = verifier();
    for id in 0..100 {
        assert_eq!(log_in(&mut verifier, id, "alice", "sesame", 1000), Checking);
    }
    assert_eq!(verifier.under_way(), 1);
    verifier.cancel(50);
    assert_eq!(verifier.work(998, at(1000)), []);
    let answers = verifier.work(1, at(1000));
    assert_eq!(answers.len(), 99);
    assert!(answers.iter().all(|answer| answer.verdict == LoginVerdict::Right(0) && answer.id != 50));
    assert_eq!(log_in(&mut verifier, 200, "alice", "sesame", 1299), Open(0));
    assert_eq!(log_in(&mut verifier, 200, "alice", "sesame", 1300), Checking, "a while later");
}

#[test]
fn guesses_wait_and_remembered_logins_do_not() {
    let mut verifier = verifier();
    for name in ["alice", "nobody"] {
        if name == "alice" {
            assert_eq!(try_one(&mut verifier, name, "sesame", 1000), Some(0));
        }
        for number in 0..5 {
            assert_eq!(try_one(&mut verifier, name, &format!("guess {number}"), 1000), None, "{name}");
        }
        assert_eq!(log_in(&mut verifier, 1, name, "guess", 1000), Wait(at(1)), "{name}");
    }
    assert_eq!(log_in(&mut verifier, 1, "alice", "sesame", 1000), Open(0), "remembered");
    assert_eq!(log_in(&mut verifier, 1, "bob", "simsim", 1000), Checking, "another name");
    let mut another_verifier = self::verifier();
    for number in 0..5 {
        assert_eq!(try_one(&mut another_verifier, "alice", &format!("guess {number}"), 1000), None);
    }
    assert_eq!(log_in(&mut another_verifier, 1, "alice", "sesame", 1000), Wait(at(1)), "not remembered");
    assert_eq!(try_one(&mut another_verifier, "alice", "sesame", 1001), Some(0), "after the wait");
    assert_eq!(try_one(&mut another_verifier, "alice", WRONG, 1001), None, "a success makes the failures forgotten");
}

#[test]
fn parallel_guesses_gain_nothing() {
    for name in ["alice", "nobody"] {
        let mut verifier = verifier();
        for id in 0..5 {
            assert_eq!(log_in(&mut verifier, id, name, &format!("guess {id}"), 1000), Checking, "{name}");
        }
        assert_eq!(log_in(&mut verifier, 5, name, "guess 5", 1000), Wait(at(1)), "{name}");
        assert_eq!(
            log_in(&mut verifier, 6, name, "guess 4", 1000),
            Checking,
            "{name}: the same guess tells nothing new"
        );
        assert_eq!(verifier.work(u32::MAX, at(1000)).len(), 6);
        assert_eq!(log_in(&mut verifier, 7, name, "guess 7", 1000), Wait(at(1)), "{name}");
        assert_eq!(log_in(&mut verifier, 8, name, "guess 8", 1001), Checking, "{name}");
        assert_eq!(log_in(&mut verifier, 9, name, "guess 9", 1001), Wait(at(1)), "{name}: one at a time");
        verifier.cancel(8);
        assert_eq!(log_in(&mut verifier, 9, name, "guess 9", 1001), Checking, "{name}: nobody learned anything");
    }
}

/// Neither unknown names nor wrong passwords lock out a user at another address.
#[test]
fn users_elsewhere_are_not_locked_out() {
    let mut verifier = verifier();
    for id in 0..MAX_WAITING_OF_SOURCE as u32 {
        let name = if id < 5 { "alice".to_owned() } else { format!("name {id}") };
        assert_eq!(log_in(&mut verifier, id, &name, &format!("guess {id}"), 1000), Checking);
    }
    assert_eq!(log_in(&mut verifier, 900, "alice", "guess", 1000), Wait(at(1)), "the guesser");
    assert_eq!(log_in(&mut verifier, 900, "bob", "simsim", 1000), Busy, "at the same address");
    for (id, address) in [(901, "192.0.2.2:80"), (902, "[2001:db8:1:1::1]:80")] {
        assert_eq!(log_in_from(address, &mut verifier, id, "alice", "sesame", 1000), Checking);
    }
    let answers = verifier.work(2 * 1500, at(1000));
    assert!(answers.contains(&LoginResult { id: 902, verdict: LoginVerdict::Right(0) }), "{answers:?}");
}

/// An IPv6 /64 network is one source, since its owner has all addresses in it.
#[test]
fn a_network_is_one_source() {
    let wait = |address: &str| {
        let mut verifier = verifier();
        for id in 0..5 {
            assert_eq!(
                log_in_from("[2001:db8:1:1::1]:80", &mut verifier, id, "alice", &format!("{id}"), 1000),
                Checking
            );
        }
        log_in_from(address, &mut verifier, 9, "alice", "guess", 1000)
    };
    for (address, want) in [
        ("[2001:db8:1:1:ffff::2]:9", Wait(at(1))),
        ("[2001:db8:1:2::1]:80", Checking),
        ("192.0.2.1:80", Checking),
        ("", Checking),
    ] {
        assert_eq!(wait(address), want, "{address}");
    }
}

/// The number of iterations before an answer.
fn cost(verifier: &mut PasswordVerifier, name: &str) -> u32 {
    assert_eq!(log_in(verifier, 1, name, WRONG, 1000), Checking);
    let cost = (1..).find(|_| !verifier.work(1, at(1000)).is_empty());
    cost.unwrap() + 1
}

#[test]
fn an_unknown_name_costs_as_much_as_a_known_one() {
    let mut costs = Vec::new();
    for number in 0..8 {
        let name = format!("name {number}");
        let cost = cost(&mut verifier(), &name);
        assert_eq!(self::cost(&mut verifier_with(&[8; 32]), &name), cost, "in every worker");
        costs.push(cost);
    }
    assert_eq!(cost(&mut verifier(), "alice"), 1000);
    assert_eq!(cost(&mut verifier(), "bob"), 1500);
    assert!(costs.contains(&1000) && costs.contains(&1500) && costs.iter().all(|cost| matches!(cost, 1000 | 1500)));
}

#[test]
fn without_users_every_login_fails() {
    let mut verifier = PasswordVerifier::new(Vec::new(), &KEY, REMEMBERED_FOR).unwrap();
    assert_eq!(log_in(&mut verifier, 1, "alice", "sesame", 1000), Checking);
    assert_eq!(verifier.work(10_000, at(1000)), [], "it takes its time all the same");
    assert_eq!(verifier.under_way(), 1);
}

#[test]
fn mistakes() {
    let one = read(SESAME);
    let cases = [
        (vec!["alice", "bob"], None),
        (vec!["alice", "bob", "alice"], Some(UserError::Twice(2))),
        (vec!["alice", ""], Some(UserError::Name(1))),
        (vec!["a:b"], Some(UserError::Name(0))),
        (vec!["a\nb"], Some(UserError::Name(0))),
        (vec!["a\0b"], Some(UserError::Name(0))),
    ];
    for (names, want) in cases {
        let users = names.iter().map(|name| ((*name).to_owned(), one.clone())).collect();
        assert_eq!(PasswordVerifier::new(users, &KEY, REMEMBERED_FOR).err(), want, "{names:?}");
    }
    let want = "a user's name must be 1 to 256 bytes, without colons and control characters";
    assert_eq!(UserError::Name(0).to_string(), want);
}

#[test]
fn nothing_prints_a_password() {
    let mut verifier = verifier();
    assert_eq!(try_one(&mut verifier, "bob", "simsim", 1000), Some(1));
    assert_eq!(log_in(&mut verifier, 1, "alice", "sesame", 1000), Checking);
    let printed = format!("{verifier:?}");
    assert!(printed.contains("***") && !printed.contains("sesame") && !printed.contains("simsim"), "{printed}");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    LogsIn { name: &'static str, password: &'static str },
    Works(u32),
    Leaves(u32),
    Passes(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop::sample::select(vec!["alice", "bob", "nobody"]);
    let password = prop::sample::select(vec!["sesame", "simsim", "a", "b", "c", "d", "e", "f"]);
    prop_oneof![
        6 => (name, password).prop_map(|(name, password)| Step::LogsIn { name, password }),
        4 => (0..1500u32).prop_map(Step::Works),
        1 => (0..20u32).prop_map(Step::Leaves),
        2 => (0..400_000u64).prop_map(Step::Passes),
    ]
}

proptest! {
    #![proptest_config(crate::cases(48))]

    /// Only right passwords succeed, and everyone who waits is answered exactly once, unless they left.
    #[test]
    fn any_sequence_of_events(steps in vec(step(), 0..40)) {
        let mut verifier = verifier();
        let mut now = Duration::from_secs(1000);
        let mut waiting = Vec::new();
        let right = |name, password| match (name, password) {
            ("alice", "sesame") => Some(0),
            ("bob", "simsim") => Some(1),
            _ => None,
        };
        let mut id = 0;
        for step in steps.into_iter().chain([Step::Works(u32::MAX)]) {
            match step {
                Step::Passes(millis) => now += Duration::from_millis(millis),
                Step::Leaves(back) => {
                    let left = id - back.min(id);
                    verifier.cancel(left);
                    waiting.retain(|(id, _)| *id != left);
                }
                Step::LogsIn { name, password } => {
                    id += 1;
                    match verifier.log_in(id, name, &Secret::new(password.to_owned()), String::new, now) {
                        Open(user) => prop_assert_eq!(right(name, password), Some(user)),
                        Checking => waiting.push((id, right(name, password))),
                        Wait(wait) => prop_assert!(!wait.is_zero()),
                        Busy => prop_assert!(false, "never so many"),
                    }
                }
                Step::Works(budget) => {
                    for LoginResult { id, verdict } in verifier.work(budget, now) {
                        let at = waiting.iter().position(|waits| *waits == (id, user(verdict)));
                        prop_assert!(at.is_some(), "{} {:?}", id, verdict);
                        waiting.remove(at.unwrap());
                    }
                }
            }
        }
        prop_assert_eq!((verifier.under_way(), waiting.len()), (0, 0));
    }
}
