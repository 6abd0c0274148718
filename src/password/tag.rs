//! Keyed hashes under which names and passwords are remembered. They are useless without the key, which is random and
//! never leaves the worker's memory. Nobody can provoke collisions in a table, either.

use std::fmt;
use std::net::SocketAddr;

use hmac::Hmac;
use sha2::Sha256;

use super::derivation::{keyed, mac};

/// Represents a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameTag([u8; 32]);

/// Represents a source.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceTag([u8; 32]);

/// Represents a name with a password.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoginTag([u8; 32]);

/// Makes tags.
#[derive(Clone)]
pub struct TagKey(Hmac<Sha256>);

impl TagKey {
    /// `key` must be random.
    pub fn new(key: &[u8; 32]) -> Self {
        TagKey(keyed(key))
    }

    /// The tag of a name.
    pub fn name(&self, name: &str) -> NameTag {
        NameTag(mac(&self.0, &[name.as_bytes()]))
    }

    /// The tag of a name from a source.
    pub fn name_from(&self, source: &SourceTag, name: &str) -> NameTag {
        NameTag(mac(&self.0, &[&source.0, &[0], name.as_bytes()]))
    }

    /// The tag of a source, from its address and port in Envoy's format: the address; for IPv6 the /64 network, because
    /// its owner has all addresses in it. Anything else (a Unix socket) is one source.
    pub fn source(&self, address: &str) -> SourceTag {
        let source = match address.parse::<SocketAddr>() {
            Ok(SocketAddr::V4(address)) => address.ip().octets().to_vec(),
            Ok(SocketAddr::V6(address)) => match address.ip().to_ipv4_mapped() {
                Some(address) => address.octets().to_vec(),
                None => address.ip().octets().into_iter().take(8).collect(),
            },
            Err(_) => Vec::new(),
        };
        SourceTag(mac(&self.0, &[b"source", &[0], &source]))
    }

    /// The tag of a name with a password. A zero byte is between them, and no user's name contains one.
    pub fn login(&self, name: &str, password: &str) -> LoginTag {
        LoginTag(mac(&self.0, &[name.as_bytes(), &[0], password.as_bytes()]))
    }
}

impl NameTag {
    /// A number that is uniformly distributed over names.
    pub(super) fn number(&self) -> u64 {
        self.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(***)")
    }
}

impl fmt::Debug for NameTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameTag(***)")
    }
}

impl fmt::Debug for SourceTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceTag(***)")
    }
}

impl fmt::Debug for LoginTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginTag(***)")
    }
}
