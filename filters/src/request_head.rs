//! A request's headers, and what must not go on of them.

use sluice::endpoint::{keys_in_protocols, Socket, PROTOCOL_HEADER};
use sluice::forwarding::KeptBack;
use sluice::wire_names::{is_reserved_header, CREDENTIAL_HEADERS};

use crate::host::{self, text, HeaderPairs, Headers};

/// A request's headers, read in one pass.
#[derive(Default)]
pub struct RequestHead<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub authority: &'a str,
    pub length: Option<usize>,
    pub content_type: Option<&'a str>,
    /// Headers that are only forwarded to upstreams that name them.
    pub kept_back: KeptBack,
    encodings: Option<&'a str>,
    /// Whether the body is compressed.
    pub encoded: bool,
    pub credentials: Vec<(&'a str, &'a str)>,
    /// Headers that clients must not set.
    reserved: Vec<&'a str>,
    /// Of a WebSocket: its subprotocols that are no keys.
    subprotocols: Vec<String>,
}

impl<'a> RequestHead<'a> {
    /// Reads them.
    pub fn of(pairs: &'a HeaderPairs) -> Self {
        let mut head = RequestHead::default();
        for (name, value_bytes) in pairs.iter() {
            let value = || text(value_bytes); // most are not needed
            match name {
                b":method" => head.method = value(),
                b":path" => head.path = value(),
                b":authority" => head.authority = value(),
                b"content-length" => head.length = value().parse().ok(),
                b"content-type" => head.content_type = Some(value()),
                b"content-encoding" => head.encoded = !value_bytes.is_empty() && value_bytes != b"identity",
                b"accept-encoding" => head.encodings = Some(value()),
                name if CREDENTIAL_HEADERS.iter().any(|known| known.as_bytes() == name) => {
                    head.credentials.push((text(name), value()));
                }
                name if is_reserved_header(name) => head.reserved.push(text(name)),
                name => head.kept_back.take_in(name, value_bytes),
            }
        }
        head
    }

    /// The WebSocket that the client wishes to go on with, if any. Browsers send their key as a subprotocol. Without
    /// extensions the frames can be read.
    #[cold]
    pub fn socket(&mut self, pairs: &'a HeaderPairs) -> Option<Socket> {
        if !self.kept_back.take_upgrade() {
            return None;
        }
        self.reserved.push("sec-websocket-extensions");
        for (_, list) in pairs.iter().filter(|(name, _)| *name == PROTOCOL_HEADER.as_bytes()) {
            let (keys, rest) = keys_in_protocols(text(list));
            self.credentials.extend(keys.into_iter().map(|key| (PROTOCOL_HEADER, key)));
            self.subprotocols.push(rest);
        }
        Some(Socket::of_path(self.path))
    }

    /// Sets the subprotocols again that are no keys.
    pub fn restore_protocols(&self) -> bool {
        let lists: Vec<&str> = self.subprotocols.iter().map(String::as_str).filter(|list| !list.is_empty()).collect();
        let had_key = self.credentials.iter().any(|(name, _)| *name == PROTOCOL_HEADER);
        !had_key || lists.is_empty() || host::set_header(Headers::Request, PROTOCOL_HEADER, &lists.join(", "))
    }

    /// Removes the client's key, also from the path (`path` is without it), and every header that would control the
    /// gateway or Envoy. Answers must be uncompressed to be read.
    pub fn clean(&self, path: &str) -> bool {
        let credentials = self.credentials.iter().map(|(name, _)| *name);
        credentials.chain(self.reserved.iter().copied()).all(|name| host::remove_header(Headers::Request, name))
            && (path == self.path || host::set_header(Headers::Request, ":path", path))
            && (self.encodings.is_none_or(|encodings| encodings == "identity")
                || host::set_header(Headers::Request, "accept-encoding", "identity"))
    }
}
