//! Listen addresses, and the parts of a URL.

use std::net::IpAddr;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an IP address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Reads `127.0.0.1:10000`, `[::1]:10000` or `:10000`, which means every address.
    pub(crate) fn parse(text: &str) -> Option<Address> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[').map(|host| host.strip_suffix(']')) {
            Some(host) => host?,
            None if host.contains(':') => return None,
            None if host.is_empty() => "0.0.0.0",
            None => host,
        };
        is_host(host).then_some(Address { host: host.to_owned(), port: port.parse().ok()? })
    }
}

/// A server's URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) tls: bool,
    pub(crate) address: Address,
    /// Empty, or from the first slash on; without a slash at its end.
    pub(crate) path: String,
}

impl Url {
    /// Reads `http://` or `https://`, a host, an optional port, and a path.
    pub(crate) fn parse(text: &str) -> Option<Url> {
        let (scheme, rest) = text.split_once("://")?;
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if path.contains(['?', '#', ' ']) || authority.contains(['@', '?', '#']) {
            return None;
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let address = match has_port {
            true => Address::parse(authority)?,
            false => Address::parse(&format!("{authority}:{}", if tls { 443 } else { 80 }))?,
        };
        let named = !authority.starts_with(':') && !authority.is_empty();
        named.then_some(Url { tls, address, path: path.trim_end_matches('/').to_owned() })
    }

    /// The server's `host` header; none for an IP address, which needs none.
    pub(crate) fn host_header(&self) -> Option<String> {
        let Address { host, port } = &self.address;
        let usual = if self.tls { 443 } else { 80 };
        match self.is_local() {
            true => None,
            false if *port == usual => Some(host.clone()),
            false => Some(format!("{host}:{port}")),
        }
    }

    /// Whether the host is `localhost` or an IP address.
    pub(crate) fn is_local(&self) -> bool {
        self.address.host == "localhost" || self.address.host.parse::<IpAddr>().is_ok()
    }
}

fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    !text.is_empty() && text.bytes().all(plain)
}
