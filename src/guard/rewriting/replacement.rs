//! The replacements of findings.

use std::borrow::Cow;

use super::merged::Writing;
use crate::guard::nested::{escaped, Spot};
use crate::guard::pii::{mask_value, Vault, VaultError};
use crate::guard::texts::PassageKind;
use crate::guard::Finding;

/// The replacement at a spot: a string in place of a number.
pub(in crate::guard) fn in_place<'a>(written: &'a str, spot: &Spot) -> Cow<'a, str> {
    match spot.number {
        false => Cow::Borrowed(written),
        true => {
            let quote = escaped("\"", spot.depth);
            Cow::Owned([&quote, written, &quote].concat())
        }
    }
}

/// Writes the replacement of a nonempty value, in a text of this kind; `out` is empty.
pub(super) fn write(
    out: &mut String,
    kind: PassageKind,
    (finding, writing): (&Finding, Writing),
    value: &str,
    vault: &mut Vault,
) -> Result<(), VaultError> {
    match (writing, &finding.replacement) {
        (Writing::Replace, Some(text)) => out.push_str(text),
        (Writing::Replace | Writing::Mask, _) => mask_value(out, &finding.entity),
        (Writing::Hide, _) => vault.hide_value(out, &finding.entity, value)?,
    }
    if kind == PassageKind::Name {
        let is_replaced = writing == Writing::Replace;
        let plain = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
        out.retain(|character| !matches!(character, '<' | '>') && (!is_replaced || plain(character)));
    }
    Ok(())
}
