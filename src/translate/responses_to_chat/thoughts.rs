//! Reasoning in `encrypted_content`, which a client must send back, unread, so that the provider can continue from it.
//! It is the JSON of LiteLLM's `thinking_blocks`, with one more kind for Gemini's signatures of calls.

use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The kind of block with a call's signature.
const CALL_SIGNATURE: &str = "call_signature";

/// Adds the signature of a call.
pub fn put_signature(blocks: &mut Writer, call_id: &str, signature: &str) {
    blocks.object(|out| {
        out.put_string("type", CALL_SIGNATURE);
        out.put_string("call_id", call_id);
        out.put_string("signature", signature);
    });
}

/// The content of `encrypted_content`.
#[derive(Default)]
pub struct Thoughts {
    /// Elements of `thinking_blocks`, separated by commas.
    pub blocks: Writer,
    /// Calls' ids and their signatures.
    pub signatures: Vec<(String, String)>,
}

impl Thoughts {
    /// Reads it; `None` if this gateway has not written it: only OpenAI can read its own.
    pub fn read(encrypted: &str) -> Option<Self> {
        let list = Raw::parse(encrypted.as_bytes()).filter(|list| list.is_array())?;
        let mut thoughts = Thoughts::default();
        list.items(|block| {
            let [kind, call, signature] =
                block.fields(["type", "call_id", "signature"]).map(|field| field.and_then(Raw::string));
            match (kind.as_deref(), call, signature) {
                (Some(CALL_SIGNATURE), Some(call), Some(signature)) => {
                    thoughts.signatures.push((call.into_owned(), signature.into_owned()));
                }
                (Some("thinking" | "redacted_thinking"), _, _) => thoughts.blocks.raw(block.json()),
                (Some(_) | None, _, _) => {}
            }
        });
        Some(thoughts)
    }
}

/// Joins a stream's pieces: reasoning text, then its signature.
#[derive(Debug, Default)]
pub struct Gathered {
    blocks: Writer,
    /// How much of the text belongs to finished blocks.
    over: usize,
}

impl Gathered {
    /// Adds a chunk's blocks; `text` is all reasoning so far.
    pub fn add(&mut self, told: Raw<'_>, text: &str) {
        told.items(|block| {
            let [kind, thinking, signature, data] =
                block.fields(["type", "thinking", "signature", "data"]).map(|field| field.and_then(Raw::string));
            match (kind.as_deref(), signature) {
                (Some("thinking"), Some(signature)) if !signature.is_empty() => {
                    let thinking = thinking.filter(|thinking| !thinking.is_empty());
                    let gathered = text.get(self.over..).unwrap_or_default();
                    self.over = text.len();
                    self.blocks.object(|out| {
                        out.put_string("type", "thinking");
                        out.put_string("thinking", thinking.as_deref().unwrap_or(gathered));
                        out.put_string("signature", &signature);
                    });
                }
                (Some("redacted_thinking"), _) => self.blocks.object(|out| {
                    out.put_string("type", "redacted_thinking");
                    out.put_string("data", &data.unwrap_or_default());
                }),
                (Some(_) | None, _) => {}
            }
        });
    }

    pub fn put_signature(&mut self, call_id: &str, signature: &str) {
        put_signature(&mut self.blocks, call_id, signature);
    }

    /// Objects separated by commas.
    pub fn as_str(&self) -> &str {
        self.blocks.as_str()
    }

    pub fn reserved(&self) -> usize {
        self.blocks.reserved()
    }
}
