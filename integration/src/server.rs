//! Accepts connections, and serves each until its end.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{signal, SignalKind};

use crate::args::Args;
use crate::gate;
use crate::handler::{Server, Visit};
use crate::line::{Line, LineIo};
use crate::socket::{reset, Socket};

/// Probably out of file descriptors: some may be free again after this time.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(50);

/// Serves until SIGTERM or ctrl-c, then ends at once.
pub async fn run(args: Args) -> Result<(), String> {
    let address = args.listen.ok_or("--listen is needed")?;
    let listener = TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    let host = Arc::new(Host::new(args)?);
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    println!("{} listening on {bound}", host.server.name);
    tokio::select! {
        () = accept(&listener, &host) => {}
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}

struct Host {
    server: Arc<Server>,
    #[cfg(feature = "tls")]
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl Host {
    fn new(args: Args) -> Result<Self, String> {
        Ok(Self {
            #[cfg(feature = "tls")]
            tls: crate::tls::acceptor(&args)?,
            server: Arc::new(Server::new(args)),
        })
    }

    /// The socket to serve, and whether it may only be used for control. `None`: not served.
    async fn admit(&self, stream: TcpStream) -> Option<(Socket, bool)> {
        let control = &self.server.control;
        if control.is_refusing() && !gate::is_control(&stream).await && control.take_refusal() {
            reset(&stream);
            return None;
        }
        #[cfg(feature = "tls")]
        if let Some(acceptor) = &self.tls {
            return match gate::is_tls(&stream).await? {
                true => Some((crate::tls::handshake(acceptor, stream).await?, false)),
                false => Some((Socket::Plain(stream), true)),
            };
        }
        Some((Socket::Plain(stream), false))
    }
}

async fn accept(listener: &TcpListener, host: &Arc<Host>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, Arc::clone(host)));
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, host: Arc<Host>) {
    // It only fails on a closed connection, which the next read notices.
    let _nodelay = stream.set_nodelay(true);
    let Some((socket, control_only)) = host.admit(stream).await else {
        return;
    };
    let line = Arc::new(Line::default());
    let visit = Visit { server: Arc::clone(&host.server), line: Arc::clone(&line), sni: socket.sni(), control_only };
    let visit = Arc::new(visit);
    let service = service_fn(move |request| Box::pin(Arc::clone(&visit).handle(request)));
    let io = TokioIo::new(LineIo::new(socket, Arc::clone(&line)));
    let mut connection = http1::Builder::new().serve_connection(io, service);
    // Clients that disconnect and faults are expected: both end the connection here.
    let _ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let parts = connection.into_parts();
    let mut io = parts.io.into_inner();
    if let Some(conversation) = line.take_conversation() {
        io = conversation.hold(io, parts.read_buf).await;
    }
    io.socket.end(line.ending()).await;
}
