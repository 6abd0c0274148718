//! Users with passwords (HTTP Basic, RFC 7617), checked without blocking a worker.
//!
//! The configuration has a salted PBKDF2-HMAC-SHA256 hash (RFC 8018) per user. Checking a password is slow on purpose,
//! a few tenths of a second, and an Envoy worker serves all its connections on one thread. So a check is cut into
//! slices: the request pauses, and each tick runs a few thousand iterations. The filter does this:
//!
//! | when | call | then |
//! |---|---|---|
//! | request headers | [`credentials`] | `None`: 401 |
//! | | [`PasswordVerifier::log_in`] | [`LoginOutcome::Open`]: continue as that user |
//! | | | [`LoginOutcome::Wait`]: 429 with `retry-after` |
//! | | | [`LoginOutcome::Busy`]: 503 |
//! | | | [`LoginOutcome::Checking`]: the request pauses, [`PasswordVerifier::work`] answers |
//! | a tick, while [`PasswordVerifier::under_way`] is not 0 | [`PasswordVerifier::work`] | each answer: continue, or 401 or 503 |
//! | the client leaves | [`PasswordVerifier::cancel`] | |
//!
//! **A success is remembered** for a few minutes, as a keyed hash, and requests with the same name and password share
//! one check. So only the first burst of a client's requests waits.
//!
//! **Guessing is slowed down** per name and source ([`Throttle`]). A source is an address; for IPv6, a /64 network. The
//! order in [`PasswordVerifier::log_in`] matters: remembered logins come before the throttle. So guesses at a name cannot lock out
//! its user: not if the login is remembered, and otherwise only at the same address. A guesser with many addresses
//! still gets one check after another: about one per second and worker, for all names together.
//!
//! **Fairness.** Requests that wait elsewhere do not crowd anyone out: [`Checks`] decides which check is next, and
//! which one is dropped.
//!
//! **Names are not revealed.** An unknown name costs the same time as a known one, waits in the same queue, and is
//! throttled in the same way.
//!
//! Each worker has its own state: nothing here is shared, so a guesser has as many more attempts as there are workers.
//! A new configuration starts with empty state, so a changed password is not remembered.

mod basic;
mod derivation;
mod hash;
mod queue;
mod remembered;
mod tag;
mod throttle;
mod verifier;

pub use basic::{credentials, is_name, MAX_NAME, MAX_PASSWORD};
pub use derivation::{Derivation, Progress};
pub use hash::{HashError, PasswordHash, MAX_ITERATIONS, MIN_ITERATIONS};
pub use queue::{Busy, Checks, Job, Verified, MAX_WAITING, MAX_WAITING_OF_SOURCE};
pub use remembered::{Remembered, MAX_REMEMBERED, REMEMBERED_FOR};
pub use tag::{LoginTag, NameTag, SourceTag, TagKey};
pub use throttle::{Throttle, FREE_FAILURES, LONGEST_WAIT, MAX_NAMES, SHORTEST_WAIT};
pub use verifier::{LoginOutcome, LoginResult, LoginVerdict, PasswordVerifier, UserError};
