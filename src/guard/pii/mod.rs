//! Personal data in texts: found, merged with other findings, masked, or hidden and restored.
//!
//! | step | by |
//! |---|---|
//! | find by pattern | [`Patterns`], in parts [`Search`] |
//! | convert a server's findings |  [`byte_spans`] |
//! | one list of both | [`merge`] |
//! | mask it permanently |  [`mask`] |
//! | hide it, and restore it in the answer |  [`Vault`], [`Restorer`] |
//!
//! All of it takes linear time, for any text.

mod api_key;
mod bank;
mod card;
mod context;
mod custom;
mod email;
mod entity;
mod groups;
mod ip;
mod mask;
mod merge;
mod name;
mod numbers;
mod originals;
mod patterns;
mod phone;
mod placeholder;
mod references;
mod restore;
mod search;
mod surroundings;
mod vault;

pub use bank::is_iban;
pub use card::is_card_number;
pub use custom::{PatternError, MAX_MATCH, MAX_PATTERN, MAX_PATTERNS};
pub use entity::Entity;
pub use mask::mask;
pub(super) use mask::mask_value;
pub(super) use merge::precedence;
pub use merge::{byte_spans, merge};
pub use patterns::Patterns;
pub use placeholder::MAX_PLACEHOLDER;
pub use restore::Restorer;
pub use search::{Search, MAX_FINDINGS};
pub use vault::{is_placeholder, Vault, VaultError, MAX_BYTES, MAX_RESERVED, MAX_VALUES};
