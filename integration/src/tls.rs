//! TLS for listeners that replace HTTPS providers.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::args::Args;
use crate::socket::Socket;

/// The acceptor, if the arguments enable TLS.
pub fn acceptor(args: &Args) -> Result<Option<TlsAcceptor>, String> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Ok(Some(from_files(certificate, key)?)),
        // clap requires both or neither.
        (Some(_), None) | (None, Some(_)) | (None, None) => Ok(None),
    }
}

fn from_files(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| format!("{}: {error}", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| format!("{}: {error}", certificate.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A failed handshake is the client's problem.
pub async fn handshake(acceptor: &TlsAcceptor, stream: TcpStream) -> Option<Socket> {
    let stream = acceptor.accept(stream).await.ok()?;
    Some(Socket::Tls(Box::new(stream)))
}
