//! Envoy's admin interface on this machine: small answers over HTTP/1.1, each on a new connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// No answer that is read here takes longer.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Admin(pub(crate) SocketAddr);

impl Admin {
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        self.ask("GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Option<String> {
        self.ask("POST", path)
    }

    /// The body of an answer with status 200.
    fn ask(&self, method: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.0, TIMEOUT).ok()?;
        stream.set_read_timeout(Some(TIMEOUT)).ok()?;
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", self.0);
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.take(16 << 20).read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n")?;
        if !head.lines().next()?.contains(" 200") {
            return None;
        }
        match head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            true => joined(body),
            false => Some(body.to_owned()),
        }
    }

    /// Whether Envoy runs.
    pub(crate) fn is_up(&self) -> bool {
        self.get("/server_info").is_some()
    }

    /// Whether Envoy accepts requests.
    pub(crate) fn is_ready(&self) -> bool {
        self.get("/ready").is_some()
    }

    /// The first listener's address; `None` if Envoy has refused it.
    pub(crate) fn listener(&self) -> Option<(String, u64)> {
        let listeners: Value = serde_json::from_str(&self.get("/listeners?format=json")?).ok()?;
        let address = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
        Some((address.get("address")?.as_str()?.to_owned(), address.get("port_value")?.as_u64()?))
    }

    /// A counter or gauge.
    pub(crate) fn stat(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// A statistic as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = self.get(&format!("/stats?filter=^{name}$"))?;
        Some(text.trim().rsplit_once(": ")?.1.trim_matches('"').to_owned())
    }
}

/// The text of a chunked body; `None` if it ends early.
fn joined(mut body: &str) -> Option<String> {
    let mut text = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(text);
        }
        text.push_str(rest.get(..size)?);
        body = rest.get(size + 2..)?;
    }
}
