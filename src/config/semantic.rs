//! The configuration of a model's semantic cache.

use std::time::Duration;

use super::credential::Environment;
use super::reader::{ConfigError, Node, Object};
use super::service;
use crate::cache::semantic::{chroma, Chroma, Semantic, MAX_VECTORS};
use crate::embeddings::{self, Embedder};

/// The fields of `semantic` besides those of its service.
pub const SEMANTIC_FIELDS: &[&str] = &["model", "threshold", "max_entries", "max_text", "store"];
/// The fields of `store: {chroma: ...}`.
pub const CHROMA_FIELDS: &[&str] =
    &["cluster", "authority", "credential", "timeout", "tenant", "database", "collection"];

/// The default of `timeout`, for the vectors and for their database.
const TIMEOUT: Duration = Duration::from_millis(300);
/// The default of `max_entries`.
const ENTRIES: usize = 1000;
/// The default of `max_text`, in bytes: small models read about 200 words.
const TEXT: usize = 1024;
const MAX_TEXT: usize = 64 << 10;

/// Reads the semantic cache at `node`.
pub(super) fn read(node: &Node<'_>, environment: Environment<'_>) -> Result<Semantic, ConfigError> {
    let fields = node.object(&[service::FIELDS, SEMANTIC_FIELDS].concat())?;
    let Some(threshold) = fields.get("threshold") else {
        return Err(fields.error(
            "`threshold` is missing; write a similarity such as 0.95, and measure it with your model and your prompts",
        ));
    };
    let entries = fields.get("max_entries").map(|node| node.integer(1, MAX_VECTORS as u32)).transpose()?;
    Ok(Semantic {
        embedder: Embedder {
            service: service::read(&fields, embeddings::PATH, TIMEOUT, environment)?,
            model: fields.require("model")?.text()?.to_owned(),
        },
        threshold: threshold.share()? as f32,
        max_entries: entries.map_or(ENTRIES, |entries| entries as usize),
        max_text: fields
            .get("max_text")
            .map_or(Ok(TEXT), |node| node.size(1..=MAX_TEXT, "must be a size from 1B to 64KiB, such as 1KiB"))?,
        database: fields.get("store").map_or(Ok(None), |node| database(&node, environment))?,
    })
}

fn database(node: &Node<'_>, environment: Environment<'_>) -> Result<Option<Chroma>, ConfigError> {
    if node.is_text() {
        return match node.text()? {
            "memory" => Ok(None),
            _ => Err(node.error("must be memory, or {chroma: {cluster: chroma, collection: ...}}")),
        };
    }
    let chroma = node.object(&["chroma"])?.require("chroma")?.object(CHROMA_FIELDS)?;
    let name = |field: &str, default: &'static str| named(&chroma, field).map(|name| name.unwrap_or(default));
    let collection = named(&chroma, "collection")?.ok_or_else(|| {
        chroma
            .error("`collection` is missing; write the collection's id, which Chroma has answered when it was created")
    })?;
    let path = chroma::path(name("tenant", "default_tenant")?, name("database", "default_database")?, collection);
    Ok(Some(Chroma { service: service::read(&chroma, &path, TIMEOUT, environment)? }))
}

/// A name that stands in a path.
fn named<'a>(fields: &Object<'a>, field: &str) -> Result<Option<&'a str>, ConfigError> {
    let Some(node) = fields.get(field) else {
        return Ok(None);
    };
    let text = node.text()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => Ok(Some(text)),
        false => Err(node.error("must be letters, digits, `-`, `_` and `.`")),
    }
}
