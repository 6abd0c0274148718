//! The client for `/healthz`: an image built from scratch has no curl.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Succeeds if the server at `target` (`127.0.0.1:9101`, or a URL) answers 200.
pub fn run(target: &str) -> Result<(), String> {
    let authority = authority(target);
    let status_line = ask(authority).map_err(|error| format!("{authority}: {error}"))?;
    if status_line.starts_with(b"HTTP/1.1 200") {
        Ok(())
    } else {
        let answer = String::from_utf8_lossy(&status_line).into_owned();
        Err(format!("{authority} answered: {answer}"))
    }
}

fn ask(authority: &str) -> std::io::Result<Vec<u8>> {
    let address = authority.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n")?;
    let mut start = Vec::new();
    stream.take(64).read_to_end(&mut start)?;
    Ok(start)
}

/// A server with TLS also answers `/healthz` in plain HTTP, so the scheme does not matter.
fn authority(target: &str) -> &str {
    let rest = target.strip_prefix("http://").or(target.strip_prefix("https://")).unwrap_or(target);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_is_found_in_any_form() {
        for target in ["127.0.0.1:9", "http://127.0.0.1:9", "https://127.0.0.1:9/healthz"] {
            assert_eq!(super::authority(target), "127.0.0.1:9", "{target}");
        }
    }
}
