//! Users with passwords. Few iterations, because a debug build is slow.

mod basic;
mod derivation;
mod hash;
mod queue;
mod remembered;
mod throttle;
mod verifier;

use std::time::Duration;

use sluice::password::{PasswordHash, TagKey};

const SALT: &[u8] = b"8 bytes+";

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn key() -> TagKey {
    TagKey::new(&[7; 32])
}

fn hash(password: &str, iterations: u32) -> PasswordHash {
    PasswordHash::parse(&PasswordHash::make(password.as_bytes(), SALT, iterations).unwrap()).unwrap()
}
