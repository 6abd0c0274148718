//! Stores the values that are hidden from the model, with their placeholders.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::mask::{name, replace};
use super::name::is_name;
use super::originals::Originals;
use super::placeholder::{may_begin, reservable};
use super::restore::{restore, restore_name, Restorer};
use crate::guard::Finding;
use crate::json::write_number;

/// The maximum number of values in a conversation.
pub const MAX_VALUES: usize = 10_000;
/// The maximum total size of a conversation's values, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The maximum number of a conversation's own texts that look like placeholders.
pub const MAX_RESERVED: usize = 10_000;

/// The largest number in a placeholder; before it, there are too many values.
const MAX_NUMBER: usize = MAX_VALUES + MAX_RESERVED;

/// Why a conversation cannot be hidden. Then it must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultError {
    /// More than [`MAX_VALUES`].
    TooManyValues,
    /// More than [`MAX_BYTES`].
    TooManyBytes,
    /// More than [`MAX_RESERVED`].
    TooManyReserved,
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VaultError::TooManyValues => write!(f, "more than {MAX_VALUES} values to hide"),
            VaultError::TooManyBytes => write!(f, "more than {MAX_BYTES} bytes to hide"),
            VaultError::TooManyReserved => write!(f, "more than {MAX_RESERVED} texts that look like placeholders"),
        }
    }
}

impl std::error::Error for VaultError {}

/// Whether a text is a placeholder in a vault's form, with or without brackets.
pub fn is_placeholder(text: &str) -> bool {
    let numbered = text.trim_matches(['<', '>']).rsplit_once('_');
    numbered.is_some_and(|(entity, number)| {
        is_name(entity) && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The numbers of one entity.
#[derive(Clone, Default)]
struct Numbers {
    last: usize,
    by_value: BTreeMap<Arc<str>, usize>,
}

/// The values of one conversation. All of its texts go through [`Vault::reserve`], and then through [`Vault::hide`], in
/// order. So a longer conversation with the same beginning gets the same numbers, which keeps the model servers' prompt
/// caches valid.
///
/// ```
/// use sluice::guard::pii::{Entity, Patterns, Vault};
///
/// let patterns = Patterns::new(Entity::ALL, &[]).unwrap();
/// let text = "From jo@example.com to me@example.com and jo@example.com";
/// let mut vault = Vault::default();
/// vault.reserve(text).unwrap();
/// let hidden = vault.hide(text, &patterns.find(text)).unwrap();
/// assert_eq!(hidden, "From <EMAIL_ADDRESS_1> to <EMAIL_ADDRESS_2> and <EMAIL_ADDRESS_1>");
/// assert_eq!(vault.restore(&hidden), text);
/// ```
#[derive(Clone, Default)]
pub struct Vault {
    originals: Arc<Originals>,
    numbers: BTreeMap<String, Numbers>,
    /// Placeholders in the conversation itself, without brackets.
    reserved: BTreeSet<String>,
    /// The entities to hide; `None`: all.
    entities: Option<BTreeSet<String>>,
    bytes: usize,
}

impl Vault {
    /// Only values of these entities are to be hidden, and of those that [`Vault::also`] names: what looks like a
    /// placeholder of another is none. To be said before the first text.
    pub fn only<'a>(&mut self, entities: impl Iterator<Item = &'a str>) {
        self.entities = Some(BTreeSet::new());
        entities.for_each(|entity| self.also(entity));
    }

    /// Values of this entity are to be hidden, too.
    pub(in crate::guard) fn also(&mut self, entity: &str) {
        let (name, entities) = (name(entity), self.entities.get_or_insert_default());
        if !entities.contains(&*name) {
            entities.insert(name.into_owned());
        }
    }

    /// Reserves texts of the conversation that look like placeholders, so that they are never used as placeholders.
    pub fn reserve(&mut self, text: &str) -> Result<(), VaultError> {
        self.reserve_part(text, 0..text.len())
    }

    /// The same, of what begins in a part of the text.
    pub(in crate::guard) fn reserve_part(&mut self, text: &str, part: Range<usize>) -> Result<(), VaultError> {
        let mut full = false;
        reservable(text, part, |name| {
            if self.reserved.contains(name) || !self.is_ours(name) {
                return;
            }
            match self.reserved.len() {
                MAX_RESERVED => full = true,
                _ => drop(self.reserved.insert(name.to_owned())),
            }
        });
        if full {
            Err(VaultError::TooManyReserved)
        } else {
            Ok(())
        }
    }

    /// Whether a placeholder could be one of the vault's: of a hidden entity, with a possible number, in the vault's
    /// form.
    fn is_ours(&self, name: &str) -> bool {
        name.rsplit_once('_').is_some_and(|(entity, number)| {
            self.entities.as_ref().is_none_or(|entities| entities.contains(entity))
                && !number.starts_with('0')
                && number.parse().is_ok_and(|number: usize| number <= MAX_NUMBER)
        })
    }

    /// The text with numbered placeholders instead of the findings: the same one wherever the same value of the same
    /// entity occurs.
    pub fn hide(&mut self, text: &str, findings: &[Finding]) -> Result<String, VaultError> {
        replace(text, findings, |out, name, value| self.write(out, name, value))
    }

    /// Writes the placeholder of a value of an entity, as [`Vault::hide`] does.
    pub(in crate::guard) fn hide_value(
        &mut self,
        out: &mut String,
        entity: &str,
        value: &str,
    ) -> Result<(), VaultError> {
        self.write(out, &name(entity), value)
    }

    fn write(&mut self, out: &mut String, name: &str, value: &str) -> Result<(), VaultError> {
        let number = self.number(name, value)?;
        out.push('<');
        out.push_str(name);
        out.push('_');
        write_number(out, number as u64);
        out.push('>');
        Ok(())
    }

    /// The number of a value; a new one if it has none yet.
    fn number(&mut self, name: &str, value: &str) -> Result<usize, VaultError> {
        if let Some(number) = self.numbers.get(name).and_then(|numbers| numbers.by_value.get(value)) {
            return Ok(*number);
        }
        if self.originals.len() == MAX_VALUES {
            return Err(VaultError::TooManyValues);
        }
        if self.bytes.saturating_add(value.len()) > MAX_BYTES {
            return Err(VaultError::TooManyBytes);
        }
        let numbers = self.numbers.entry(name.to_owned()).or_default();
        let number = (numbers.last + 1..)
            .find(|number| !self.reserved.contains(&format!("{name}_{number}")))
            .ok_or(VaultError::TooManyReserved)?;
        let value: Arc<str> = Arc::from(value);
        numbers.last = number;
        numbers.by_value.insert(Arc::clone(&value), number);
        self.bytes += value.len();
        Arc::make_mut(&mut self.originals).insert(name, number, value);
        Ok(number)
    }

    /// The text with the values instead of their placeholders, `<EMAIL_ADDRESS_1>` or one of the other forms that
    /// models write. In JSON text, values are escaped for it.
    pub fn restore<'a>(&self, text: &'a str) -> Cow<'a, str> {
        restore(&self.originals, text)
    }

    /// Whether anything in a text may be restored.
    pub(in crate::guard) fn may_restore(&self, text: &str) -> bool {
        !self.is_empty() && text.bytes().any(may_begin)
    }

    /// A name with the originals in the place of their placeholders, which have no brackets there: providers allow none
    /// in names.
    pub fn restore_name<'a>(&self, text: &'a str) -> Cow<'a, str> {
        restore_name(&self.originals, text)
    }

    /// Restores a text that arrives in pieces.
    pub fn restorer(&self) -> Restorer {
        Restorer::new(Arc::clone(&self.originals))
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.originals.len()
    }

    /// Whether there are none: nothing has to be restored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("values", &self.len()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
