//! The frame that closes a connection.

/// The longest payload of a control frame, without the code.
const MAX_REASON: usize = 123;

/// Why the gateway closes a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The status code (RFC 6455, section 7.4.1).
    pub code: u16,
    /// For developers.
    pub reason: String,
}

impl Close {
    /// 1002: the bytes are no frames.
    pub fn protocol(reason: impl Into<String>) -> Self {
        Close { code: 1002, reason: reason.into() }
    }

    /// 1007: a text is not UTF-8.
    pub fn not_text() -> Self {
        Close { code: 1007, reason: "a text message is not UTF-8".to_owned() }
    }

    /// 1008: the key may not do this.
    pub fn policy(reason: impl Into<String>) -> Self {
        Close { code: 1008, reason: reason.into() }
    }

    /// 1013: there is no memory for a message.
    pub fn out_of_memory() -> Self {
        Close { code: 1013, reason: "the gateway is at its memory limit".to_owned() }
    }

    /// The frame, as a client sends it to a server: masked, with a key of zeros. The server repeats code and reason in its
    /// own frame, which the client gets.
    ///
    /// ```
    /// use sluice::websocket::Close;
    ///
    /// assert_eq!(Close::policy("no").as_client(), b"\x88\x84\0\0\0\0\x03\xf0no");
    /// ```
    pub fn as_client(&self) -> Vec<u8> {
        let mut end = self.reason.len().min(MAX_REASON);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = self.reason.as_bytes().get(..end).unwrap_or_default();
        let mut frame = vec![0x88, 0x80 | (reason.len() + 2) as u8, 0, 0, 0, 0];
        frame.extend(self.code.to_be_bytes());
        frame.extend_from_slice(reason);
        frame
    }
}
