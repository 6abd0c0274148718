//! What may follow a JSON answer: white space, and from some servers the mark that ends a stream.

const MARK: &[u8] = b"data:[DONE]";

/// How much of the mark has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Closing {
    seen: usize,
}

impl Closing {
    /// Takes in what follows; `None` if it may not.
    pub(super) fn takes(mut self, bytes: &[u8]) -> Option<Self> {
        for byte in bytes.iter().filter(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
            if MARK.get(self.seen) != Some(byte) {
                return None;
            }
            self.seen += 1;
        }
        Some(self)
    }

    /// Whether it is not broken off.
    pub(super) fn is_whole(self) -> bool {
        self.seen == 0 || self.seen == MARK.len()
    }
}
