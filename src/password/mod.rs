//! Basic users: names and passwords (HTTP Basic, RFC 7617), checked without ever holding up a worker.
//!
//! The configuration holds a salted PBKDF2-HMAC-SHA256 hash (RFC 8018) per user. To check a password is slow on
//! purpose, a few tenths of a second, and an Envoy worker serves all its connections on one thread. So a check is
//! cut into slices: the request pauses, and each tick does a few thousand iterations. The filter does this:
//!
//! | when | call | then |
//! |---|---|---|
//! | request headers | [`credentials`] | `None`: 401 |
//! | | [`Door::knock`] | [`Knock::Open`]: goes on as that user |
//! | | | [`Knock::Wait`]: 429 with `retry-after` |
//! | | | [`Knock::Busy`]: 503 |
//! | | | [`Knock::Checking`]: the request pauses, [`Door::work`] answers |
//! | a tick, while [`Door::under_way`] is not 0 | [`Door::work`] | each answer: goes on, or 401 or 503 |
//! | the client leaves | [`Door::cancel`] | |
//!
//! **A success is remembered** for a few minutes, as a keyed hash, and requests with the same name and password
//! share one check. So only the first request of a client waits, and the rest of its first burst with it.
//!
//! **Guessing is slowed down** per name and source ([`Throttle`]): an address, of IPv6 a network of 64 bits. The order in
//! [`Door::knock`] matters: what is remembered comes before the throttle. So whoever knows a name cannot lock its user
//! out by guessing: not where the user is remembered, and nowhere but at the same address. Who guesses from many
//! addresses still has one check after the other: about one a second and worker, for all names together.
//!
//! **Nobody is crowded out** by those who wait elsewhere: [`Checks`] says whose turn it is, and who gives up a place.
//!
//! **Names are not given away.** An unknown name costs the same time as a user's, waits in the same queue and is
//! throttled in the same way.
//!
//! Each worker has a door of its own: nothing here is shared, and a guesser has as many attempts more as there are
//! workers. A new configuration makes a new door, so a changed password is not remembered.

mod basic;
mod derivation;
mod door;
mod hash;
mod queue;
mod remembered;
mod tag;
mod throttle;

pub use basic::{credentials, is_name, MAX_NAME, MAX_PASSWORD};
pub use derivation::{Derivation, Progress};
pub use door::{Answer, Door, Knock, UserError, Verdict};
pub use hash::{HashError, PasswordHash, MAX_ITERATIONS, MIN_ITERATIONS};
pub use queue::{Busy, Checks, Job, Verified, MAX_WAITING, MAX_WAITING_OF_SOURCE};
pub use remembered::{Remembered, MAX_REMEMBERED, REMEMBERED_FOR};
pub use tag::{LoginTag, NameTag, SourceTag, TagKey};
pub use throttle::{Throttle, FREE_FAILURES, LONGEST_WAIT, MAX_NAMES, SHORTEST_WAIT};
