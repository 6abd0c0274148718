//! A TCP connection, with or without TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// A delay before a reset: a peer that finds data and reset at once may never read the data.
const BEFORE_RESET: Duration = Duration::from_millis(20);

/// How a connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    #[default]
    Fin,
    Rst,
}

#[derive(Debug)]
pub enum Socket {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

impl Socket {
    /// The server name in the client's TLS handshake.
    pub fn sni(&self) -> Option<Arc<str>> {
        match self {
            Socket::Plain(_) => None,
            #[cfg(feature = "tls")]
            Socket::Tls(stream) => stream.get_ref().1.server_name().map(Arc::from),
        }
    }

    /// Ends the connection; an error only means that the peer has closed it first.
    pub async fn end(mut self, ending: Ending) {
        match ending {
            Ending::Fin => drop(self.shutdown().await),
            Ending::Rst => {
                tokio::time::sleep(BEFORE_RESET).await;
                reset(self.tcp());
            }
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Socket::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Socket::Tls(stream) => stream.get_ref().0,
        }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut (dyn Stream + Send)> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream),
            #[cfg(feature = "tls")]
            Socket::Tls(stream) => Pin::new(stream.as_mut()),
        }
    }
}

/// From now on, closing this connection resets it.
pub fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        eprintln!("cannot reset a connection: {error}");
    }
}

/// Both kinds of streams as one type.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
