//! The prices of a model or a target, in dollars per million tokens, or per image.

use hashbrown::HashMap;

use super::reader::{ConfigError, Node};
use crate::usage::Price;

/// The fields of `price`.
pub const PRICE_FIELDS: &[&str] = &[
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "output",
    "audio_output",
    "image_output",
    "image",
];

/// Reads prices. [`Price::new`] has the defaults.
///
/// # Errors
/// The first mistake, with its path.
pub(super) fn read(node: &Node<'_>) -> Result<Price, ConfigError> {
    let fields = node.object(PRICE_FIELDS)?;
    let price = |name: &str, default| fields.get(name).map_or(Ok(default), |node| node.price());
    let usual = Price::new(fields.require("input")?.price()?, fields.require("output")?.price()?);
    Ok(Price {
        cached_input: price("cached_input", usual.cached_input)?,
        cache_write: price("cache_write", usual.cache_write)?,
        cache_write_1h: price("cache_write_1h", usual.cache_write_1h)?,
        audio_input: price("audio_input", usual.audio_input)?,
        audio_output: price("audio_output", usual.audio_output)?,
        image_input: price("image_input", usual.image_input)?,
        image_output: price("image_output", usual.image_output)?,
        image: price("image", usual.image)?,
        ..usual
    })
}

/// Every VM keeps each price.
const MAX_PRICES: usize = 1000;

/// Reads the prices of a provider's models, by the models' names.
///
/// # Errors
/// The first mistake, with its path.
pub(super) fn list(node: &Node<'_>) -> Result<HashMap<String, Price>, ConfigError> {
    let entries = node.entries()?;
    if entries.len() > MAX_PRICES {
        return Err(node.error(format!("has {} models; {MAX_PRICES} at most", entries.len())));
    }
    entries.into_iter().map(|(name, node)| Ok((name.to_owned(), read(&node)?))).collect()
}
