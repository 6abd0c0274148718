//! What of a request the target's dialect has no word for.

/// The most that is told; a client that sends more knows what it does.
const MAX_LENGTH: usize = 512;
/// The longest name of a field that is told.
const MAX_NAME: usize = 64;

/// The names of the fields that were left out, as the header `x-sluice-dropped` has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped(String);

impl Dropped {
    /// Adds a field, once. A name that cannot stand in a header is not told: clients choose them.
    pub fn add(&mut self, name: &str) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let fits = !name.is_empty() && name.len() <= MAX_NAME && self.0.len() + name.len() + 2 <= MAX_LENGTH;
        if !fits || !name.bytes().all(plain) || self.0.split(", ").any(|known| known == name) {
            return;
        }
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        self.0.push_str(name);
    }

    /// The header's value; `None` if nothing was left out.
    pub fn header(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}
