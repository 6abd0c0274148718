//! The ledger's only port: Envoy's access log and rate limit services (gRPC), and HTTP for the filters, for people and
//! programs.

mod envoys;
mod http;
mod services;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluice::keys::KeyHash;
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::watch;

use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::store::{self, Failed};
use crate::store_thread::StoreThread;

/// How often changes of the limits are written.
const WRITTEN_EVERY: Duration = Duration::from_millis(50);

/// LedgerState shared by all calls.
pub(crate) struct LedgerState {
    store_thread: StoreThread,
    limits: Mutex<Limits>,
    /// The number of the limits' changes at the last write, successful or not.
    written: watch::Sender<u64>,
    metrics: Metrics,
    /// What clients must show to read or change what Envoys learn.
    token: Option<KeyHash>,
    /// A name of this process. Another one may have another store.
    instance: String,
    /// The number of the last change of what is revoked; negative: unknown.
    last_change: AtomicI64,
    /// The latest answer about windows, and when it was made.
    windows: Mutex<Option<(Instant, Arc<Vec<u8>>)>>,
}

impl LedgerState {
    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs the store's first failure, then nothing until it works again.
    fn failed(&self, error: &Failed) {
        if self.metrics.fail(&error.0) {
            eprintln!("sluice ledger: the store has failed: {error}; it is tried again each second");
        }
    }

    /// Writes changes of the limits.
    async fn write(&self) {
        let (changed, changes) = {
            let mut limits = self.limits();
            (limits.take_changed(), limits.changes())
        };
        if !changed.is_empty() {
            let kept = changed.clone();
            match self.store_thread.run(move |store| store.put_counters(&changed, now())).await {
                Ok(()) => self.metrics.recover(),
                Err(error) => {
                    self.failed(&error);
                    self.limits().give_back(kept);
                }
            }
        }
        self.written.send_replace(changes);
    }
}

/// The time, in seconds since the epoch.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// Serves until the process is told to stop. `ready` gets the listening address. With a `token`, only who shows it can
/// read or change what Envoys learn: the windows, and what is revoked.
///
/// # Errors
/// It cannot start: the store cannot be opened, or the address is taken.
pub fn serve(
    listen: SocketAddr,
    place: &str,
    token: Option<&str>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Failed> {
    let mut store = store::open(place)?;
    let limits = Limits::new(store.counters()?, now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failed(error.to_string()))?;
    let state = Arc::new(LedgerState {
        store_thread: StoreThread::start(store),
        limits: Mutex::new(limits),
        written: watch::Sender::new(0),
        metrics: Metrics::default(),
        token: token.map(KeyHash::of),
        instance: format!("{:016x}", RandomState::new().build_hasher().finish()),
        last_change: AtomicI64::new(-1),
        windows: Mutex::new(None),
    });
    let served = runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        ready(listener.local_addr()?);
        let writer = tokio::spawn(write_now_and_then(state.clone()));
        // Envoy's access log streams never end by themselves, so do not wait for them
        tokio::select! {
            served = axum::serve(listener, http::routes(state.clone())) => served?,
            ended = asked_to_end() => ended?,
        }
        writer.abort();
        state.write().await;
        Ok(())
    });
    served.map_err(|error: std::io::Error| Failed(format!("{listen}: {error}")))
}

async fn write_now_and_then(state: Arc<LedgerState>) {
    loop {
        tokio::time::sleep(match state.metrics.failing() {
            None => WRITTEN_EVERY,
            Some(_) => Duration::from_secs(1),
        })
        .await;
        state.write().await;
    }
}

async fn asked_to_end() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
