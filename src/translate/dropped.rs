//! The request's fields that the target's dialect does not have.

/// The maximum number of reported fields; a client that sends more knows about them.
const MAX_LENGTH: usize = 512;
/// The longest reported field name.
const MAX_NAME: usize = 64;

/// The names of the dropped fields, for the header `x-sluice-dropped`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped(String);

impl Dropped {
    /// Adds a field, once. A name that is invalid in a header is not reported, because clients choose names.
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

    /// The header's value; `None` if nothing was dropped.
    pub fn header(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}
