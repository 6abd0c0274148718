//! Detects the kind of a connection from its first bytes, before anything reads them.
//!
//! A server that refuses connections must still accept the control call that ends this. A server with TLS must still
//! answer health checks and control calls in plain HTTP.

use std::time::Duration;

use tokio::net::TcpStream;

/// How long a refusing server waits for a control call.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often it checks again while too few bytes have arrived.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);
const CONTROL: [&[u8]; 3] = [b"GET /_mock", b"PUT /_mock", LONGEST];
const LONGEST: &[u8] = b"DELETE /_mock";
#[cfg(feature = "tls")]
const TLS_HANDSHAKE: u8 = 0x16;

/// Whether the connection begins with a control call.
pub async fn is_control(stream: &TcpStream) -> bool {
    tokio::time::timeout(PATIENCE, begins_with_control(stream)).await.unwrap_or(false)
}

/// Whether the connection begins with a TLS handshake; `None` if it ends before.
#[cfg(feature = "tls")]
pub async fn is_tls(stream: &TcpStream) -> Option<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) => Some(first == [TLS_HANDSHAKE]),
        Ok(_) | Err(_) => None,
    }
}

async fn begins_with_control(stream: &TcpStream) -> bool {
    let mut beginning = [0; LONGEST.len()];
    loop {
        let seen = match stream.peek(&mut beginning).await {
            Ok(0) | Err(_) => return false,
            Ok(length) => beginning.get(..length).unwrap_or_default(),
        };
        match judge(seen) {
            Some(verdict) => return verdict,
            None => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
}

/// `None`: too short to tell.
fn judge(seen: &[u8]) -> Option<bool> {
    if CONTROL.iter().any(|call| seen.starts_with(call)) {
        return Some(true);
    }
    let may_become = CONTROL.iter().any(|call| call.starts_with(seen));
    (!may_become).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings() {
        let cases: [(&[u8], Option<bool>); 7] = [
            (b"P", None),
            (b"POST /_mock", Some(false)),
            (b"PUT /_mock H", Some(true)),
            (b"DELETE /_moc", None),
            (b"DELETE /_mock", Some(true)),
            (b"GET /healthz", Some(false)),
            (b"\x16\x03\x01", Some(false)),
        ];
        for (seen, want) in cases {
            assert_eq!(judge(seen), want, "{seen:?}");
        }
    }
}
