//! The bytes after a JSON answer: white space, and from some servers a stream's end marker.

const MARK: &[u8] = b"data:[DONE]";

/// How much of the marker has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Closing {
    seen: usize,
}

impl Closing {
    /// Reads the bytes after an answer; `None` if they are not allowed.
    pub(super) fn takes(mut self, bytes: &[u8]) -> Option<Self> {
        for byte in bytes.iter().filter(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
            if MARK.get(self.seen) != Some(byte) {
                return None;
            }
            self.seen += 1;
        }
        Some(self)
    }

    /// Whether it is complete.
    pub(super) fn is_whole(self) -> bool {
        self.seen == 0 || self.seen == MARK.len()
    }
}
