//! The key of an entry.

use std::fmt;

use sha2::{Digest, Sha256};

use super::CanonicalBody;
use crate::endpoint::{Endpoint, Further};
use crate::hash::hexadecimal;

/// The request's headers that change an answer.
pub const ANSWER_HEADERS: [&str; 2] = ["anthropic-version", "anthropic-beta"];

/// The key of an entry: a SHA-256 of everything that decides an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey(pub [u8; 32]);

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey")
    }
}

impl CacheKey {
    /// As it stands in an index.
    pub fn short(&self) -> [u8; 16] {
        self.0.first_chunk().copied().unwrap_or_default()
    }

    /// In hexadecimal digits.
    pub fn hexadecimal(&self) -> String {
        hexadecimal(&self.0)
    }

    /// Reads what [`CacheKey::hexadecimal`] has written.
    pub fn of_hexadecimal(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else {
                return None;
            };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(CacheKey(key))
    }
}

/// What decides an answer, besides the body.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// The caller, if it does not share entries.
    pub key: Option<&'a str>,
    /// The operation.
    pub endpoint: Endpoint,
    /// The path with its query, without keys.
    pub path: &'a str,
    /// The client's name for the model.
    pub model: &'a str,
    /// The digest of the model's configuration.
    pub config: [u8; 16],
    /// The digest of the guard's configuration; `None`: there is no guard.
    pub guard: Option<[u8; 16]>,
    /// The values of [`ANSWER_HEADERS`].
    pub headers: [Option<&'a str>; ANSWER_HEADERS.len()],
}

impl KeyParts<'_> {
    /// The key of a request with this body.
    pub fn digest(&self, body: &CanonicalBody) -> CacheKey {
        let mut hash = Sha256::new();
        let mut part = |part: Option<&[u8]>| {
            // a length of its own for what is not there
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hash.update(length.to_le_bytes());
            hash.update(part.unwrap_or_default());
        };
        part(Some(b"1"));
        part(self.key.map(str::as_bytes));
        part(operation(self.endpoint).map(str::as_bytes));
        // what follows the operation: the path itself says whether Gemini streams, and how
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        let query: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("alt=")).collect();
        part(Some(query.join("&").as_bytes()));
        part(Some(self.model.as_bytes()));
        part(Some(&self.config));
        part(self.guard.as_ref().map(<[u8; 16]>::as_slice));
        self.headers.into_iter().for_each(|header| part(header.map(str::as_bytes)));
        part(Some(&body.digest));
        CacheKey(hash.finalize().into())
    }
}

/// The name of an operation whose answers may be kept; `None` for others. A stream and a JSON answer have one.
fn operation(endpoint: Endpoint) -> Option<&'static str> {
    Some(match endpoint {
        Endpoint::ChatCompletions => "openai/chat",
        Endpoint::Completions => "openai/completions",
        Endpoint::Embeddings => "openai/embeddings",
        Endpoint::Responses => "openai/responses",
        Endpoint::Messages => "anthropic/messages",
        Endpoint::OllamaChat => "ollama/chat",
        Endpoint::OllamaGenerate => "ollama/generate",
        Endpoint::OllamaEmbed => "ollama/embed",
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => "gemini/generate",
        Endpoint::Further(Further::Moderations) => "openai/moderations",
        Endpoint::Further(Further::Rerank) => "rerank",
        Endpoint::Further(Further::OllamaEmbeddings) => "ollama/embeddings",
        Endpoint::Converse | Endpoint::ConverseStream | Endpoint::Further(_) => return None,
    })
}

/// Whether answers of this operation may be kept.
pub fn serves(endpoint: Endpoint) -> bool {
    operation(endpoint).is_some()
}

/// A digest of a part of the configuration.
pub fn config_digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}
