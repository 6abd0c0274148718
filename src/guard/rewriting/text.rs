//! Rewrites one text in parts, directly into its JSON string.

use super::merged::{Merged, Writing};
use super::replacement::{in_place, write};
use crate::guard::checks::PassageRewrite;
use crate::guard::nested::{escaped, Locator, Nesting, Spot};
use crate::guard::pii::{Restorer, Vault, VaultError};
use crate::guard::texts::{Passage, PassageKind};
use crate::guard::work::Work;
use crate::json::write_escaped;

/// How many bytes of a text are read and restored at a time, to keep the state small.
const PIECE: usize = 8 << 10;
/// The cost of writing one finding's placeholder, in bytes of text that could be written in that time.
const FINDING: usize = 16;
/// The longest name whose placeholders have no brackets, in bytes. No provider allows names of half this length.
const MAX_NAME: usize = 4 << 10;

/// A rewritten text: values to restore in the answer go into the vault, all others are replaced by their names. JSON
/// stays valid JSON.
pub(super) struct TextRewriting {
    merged: Merged,
    locator: Locator,
    spots: Vec<Spot>,
    copied: usize,
    written: String, // one buffer for all, because there may be very many
    /// The last finding whose place has a service's text.
    replaced: Option<usize>,
    back: Back,
    /// The next part to restore.
    pending: String,
    json: String,
    /// The length of the text in it, in bytes.
    length: usize,
    changed: bool,
}

/// What restores the vault's values.
enum Back {
    /// Nothing: it is a request's text, or there is nothing to restore.
    Nothing,
    Text(Restorer),
    /// The text is a name.
    Name,
}

impl TextRewriting {
    /// For a text with the findings `rewrites`. `restored`: the vault's values are restored in it.
    pub fn new(passage: &Passage, rewrites: Vec<PassageRewrite>, restored: Option<&Vault>) -> Self {
        let source = passage.source();
        let back = match restored {
            None => Back::Nothing,
            Some(_) if passage.kind == PassageKind::Name && source.len() <= MAX_NAME => Back::Name,
            Some(vault) => Back::Text(vault.restorer()),
        };
        TextRewriting {
            merged: Merged::new(rewrites, &passage.text),
            locator: Locator::new(Nesting::default(), source),
            spots: Vec::new(),
            copied: 0,
            written: String::new(),
            replaced: None,
            back,
            pending: String::new(),
            json: String::from("\""),
            length: 0,
            changed: false,
        }
    }

    /// Continues; the passage must be the same each time. Returns whether it has finished.
    ///
    /// # Errors
    /// There are more values than the vault accepts; the text must not be sent.
    pub fn step(&mut self, passage: &Passage, vault: &mut Vault, work: &mut Work) -> Result<bool, VaultError> {
        if !self.merged.step(work) {
            return Ok(false);
        }
        let source = passage.source();
        while work.is_left() {
            let merged = &self.merged;
            let span = |index| merged.get(index).map(|(finding, _)| finding.span.clone());
            let before = self.locator.told();
            let ended = self.locator.read(source, work.left().min(PIECE), &span, &mut self.spots);
            let told = self.locator.told();
            work.spend(told.saturating_sub(before).max(1) + self.spots.len() * FINDING);
            let spots = std::mem::take(&mut self.spots);
            for spot in &spots {
                self.write(passage, spot, vault)?;
            }
            self.spots = spots;
            self.spots.clear();
            if let Some(rest) = source.get(self.copied..told) {
                self.put(rest);
                self.copied = told;
            }
            if ended {
                self.finish(vault);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes the replacement of a spot, and the text before it.
    fn write(&mut self, passage: &Passage, spot: &Spot, vault: &mut Vault) -> Result<(), VaultError> {
        let (Some((finding, writing)), Some(value)) =
            (self.merged.get(spot.index), passage.text.get(spot.view.clone()))
        else {
            return Ok(());
        };
        let mut written = std::mem::take(&mut self.written);
        written.clear();
        // answers are only masked: nothing goes into a vault
        let writing = match (writing, &self.back) {
            (Writing::Hide, Back::Text(_) | Back::Name) => Writing::Mask,
            (writing, _) => writing,
        };
        // a service's text stands once, also where it replaces several strings
        let is_again = writing == Writing::Replace && self.replaced.replace(spot.index) == Some(spot.index);
        if !is_again {
            write(&mut written, passage.kind, (finding, writing), value, vault)?;
        }
        self.put(passage.source().get(self.copied..spot.source.start).unwrap_or_default());
        match writing {
            Writing::Replace => self.put(&in_place(&escaped(&written, spot.depth), spot)),
            Writing::Mask | Writing::Hide => self.put(&in_place(&written, spot)),
        }
        self.written = written;
        self.copied = spot.source.end;
        self.changed = true;
        Ok(())
    }

    fn put(&mut self, text: &str) {
        match &mut self.back {
            Back::Nothing => {
                self.length += text.len();
                write_escaped(&mut self.json, text);
            }
            Back::Name => self.pending.push_str(text),
            Back::Text(restorer) => {
                self.pending.push_str(text);
                if self.pending.len() >= PIECE {
                    write_escaped(&mut self.json, &restorer.push(&self.pending));
                    self.pending.clear();
                }
            }
        }
    }

    fn finish(&mut self, vault: &Vault) {
        match &mut self.back {
            Back::Nothing => {}
            Back::Name => {
                let name = vault.restore_name(&self.pending);
                self.changed |= name != self.pending;
                write_escaped(&mut self.json, &name);
            }
            Back::Text(restorer) => {
                write_escaped(&mut self.json, &restorer.push(&self.pending));
                self.changed |= restorer.has_restored();
                write_escaped(&mut self.json, &restorer.finish());
            }
        }
        self.json.push('"');
    }

    /// The length of a request's rewritten text, in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The size of the output, in bytes.
    pub fn written(&self) -> usize {
        self.json.len()
    }

    /// The rewritten text as a JSON string; `None` if it is unchanged.
    pub fn into_json(self) -> Option<String> {
        self.changed.then_some(self.json)
    }
}
