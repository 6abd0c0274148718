//! The semantic cache: an answer may also serve a request that says the same in other words.
//!
//! Only the last text of the user is compared by meaning: by the cosine of two vectors. Everything else must be the same,
//! as in the exact cache: such requests are a [`Group`]. In the text itself, digits and the guard's placeholders must be
//! the same, in the same order, because vectors hardly tell them apart.

pub mod chroma;
mod index;

use std::fmt;

use sha2::{Digest, Sha256};

use super::{CacheKey, CanonicalBody, KeyParts, Uncacheable};
use crate::embeddings::Embedder;
use crate::endpoint::Endpoint;
use crate::hash::hexadecimal;
use crate::user_text;

pub use chroma::Chroma;
pub use index::{Index, Similar};

/// The largest configurable number of vectors of one model in a worker: searching them takes milliseconds.
pub const MAX_VECTORS: usize = 10_000;

/// A model's semantic cache.
#[derive(Clone, Debug)]
pub struct Semantic {
    /// What turns texts into vectors.
    pub embedder: Embedder,
    /// The similarity from which a kept answer serves.
    pub threshold: f32,
    /// The number of vectors in a worker's memory.
    pub max_entries: usize,
    /// A longer text is not compared: models read only its beginning, and two long texts may differ after that.
    pub max_text: usize,
    /// The database of the vectors; `None`: each worker's memory.
    pub database: Option<Chroma>,
}

/// What similar requests must have in common, as a digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group(pub [u8; 16]);

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Group")
    }
}

impl Group {
    /// In hexadecimal digits.
    pub fn hexadecimal(&self) -> String {
        hexadecimal(&self.0)
    }
}

/// What a request is compared by.
#[derive(Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The requests that it is compared with.
    pub group: Group,
    /// The text that is compared.
    pub text: String,
}

impl Comparison {
    /// What a request with this body is compared by; `None` if it has no text of the user at its end, or a longer one than
    /// `max_text` bytes.
    ///
    /// # Errors
    /// The body has no canonical form.
    pub fn of(
        endpoint: Endpoint,
        body: &[u8],
        parts: &KeyParts<'_>,
        max_text: usize,
    ) -> Result<Option<Self>, Uncacheable> {
        let Some(found) = user_text::last(endpoint, body).filter(|found| found.text.len() <= max_text) else {
            return Ok(None);
        };
        if found.text.trim().is_empty() {
            return Ok(None);
        }
        let (Some(before), Some(after)) = (body.get(..found.place.start), body.get(found.place.end..)) else {
            return Ok(None);
        };
        let rest = CanonicalBody::of(&[before, b"\"\"", after].concat())?;
        let CacheKey(rest) = parts.digest(&rest);
        let mut hash = Sha256::new();
        hash.update(b"similar");
        hash.update(rest);
        exact_parts(&found.text, |part| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        });
        let digest: [u8; 32] = hash.finalize().into();
        Ok(Some(Comparison { group: Group(digest.first_chunk().copied().unwrap_or_default()), text: found.text }))
    }
}

/// Calls `each` with the parts of a text that must be the same: runs of digits, and placeholders such as
/// `<EMAIL_ADDRESS_1>`.
fn exact_parts(text: &str, mut each: impl FnMut(&[u8])) {
    let is_of_placeholder = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let mut rest = text.as_bytes();
    while let Some(first) = rest.first() {
        let length = match first {
            b'0'..=b'9' => rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
            b'<' => {
                let name = rest.iter().skip(1).take_while(|byte| is_of_placeholder(byte)).count();
                if name > 0 && rest.get(name + 1) == Some(&b'>') {
                    name + 2
                } else {
                    0
                }
            }
            _ => 0,
        };
        let (part, after) = rest.split_at_checked(length.max(1)).unwrap_or((rest, b""));
        if length > 0 {
            each(part);
        }
        rest = after;
    }
}
