//! `sluice run`: a gateway from a short file, in one command. It starts Envoy, applies changes of the file while Envoy
//! runs, and lets running requests finish before it stops.

mod binary;
#[cfg(feature = "download")]
mod download;
mod files;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use clap::Args;

use self::files::{Followed, Gateway};
use crate::dynamic::{Admin, Running};
use crate::source::{interval, Configuration, Location, Source, Update};
use crate::stop::Stop;
use crate::{file, Failure};

/// How often Envoy and the configuration are looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// A new Envoy compiles the filters before it listens.
const START: Duration = Duration::from_secs(120);

#[derive(Args)]
pub(crate) struct Run {
    /// The short file.
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    file: Option<PathBuf>,
    /// Where the short file is, if it is not a file here: file:PATH, etcd:URL/KEY or exec:COMMAND.
    #[arg(long)]
    from: Option<Location>,
    /// How often a command (exec:) runs.
    #[arg(long, default_value = "10s", value_parser = interval)]
    every: Duration,
    /// The file with the filters, if it is not beside this program, here, or in the short file.
    #[arg(long)]
    wasm: Option<PathBuf>,
    /// The number of Envoy's workers; default: one for each processor.
    #[arg(long)]
    concurrency: Option<u32>,
    /// How long new connections are still served after SIGTERM or Ctrl-C while the health check fails, in seconds: the time
    /// that load balancers take to notice.
    #[arg(long, default_value_t = 0)]
    drain_delay: u64,
    /// How long running requests may take after SIGTERM or Ctrl-C, in seconds; a second signal stops at once.
    #[arg(long, default_value_t = 600)]
    drain_timeout: u64,
    /// More arguments for Envoy, after --.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Runs until a signal ends it.
///
/// # Errors
/// The file has errors, there is no Envoy, or Envoy has ended by itself.
pub(crate) fn run(command: &Run) -> Result<(), Failure> {
    let place = command.from.clone().or_else(|| command.file.clone().map(Location::File));
    let place = place.ok_or_else(|| Failure::Usage("no short file is named".to_owned()))?;
    let stop = Stop::on_signals()?;
    let source = Source::start(place.clone(), command.every);
    let Some(first) = first(&source, &place, &stop)? else { return Ok(()) };
    let gateway = Gateway::read(first, &place)?;
    gateway.require_free_ports()?;
    let directory = directory()?;
    let _removed = Removed(directory.clone());
    let envoy = binary::envoy()?;
    let wasm = binary::wasm(command.wasm.as_deref().or(gateway.wasm.as_deref()), &directory)?;
    let mut files = Followed::new(&directory, &wasm, &gateway)?;
    let mut envoy = Envoy::start(&envoy, command, &directory)?;
    if !envoy.wait(&stop)? {
        return Ok(());
    }
    envoy.tell(&gateway);
    loop {
        envoy.still_runs()?;
        let running = Running { admin: &envoy.admin, stop: &stop };
        files.follow(&source, &place, running, Duration::from_secs(command.drain_timeout), Duration::ZERO)?;
        if stop.wait(PERIOD, 0) {
            return envoy.drain(command, &stop);
        }
    }
}

/// The configuration to start with; `None` after a signal. It waits for etcd and commands, which may come up later.
fn first(source: &Source, place: &Location, stop: &Stop) -> Result<Option<Configuration>, Failure> {
    while stop.signals() == 0 {
        match (source.next(PERIOD)?, place) {
            (Some(Update::New(first)), _) => return Ok(Some(first)),
            (Some(Update::Failed(failure)), Location::File(_)) => return Err(failure),
            (Some(Update::Failed(Failure::Input(problem) | Failure::Usage(problem))), _) => {
                eprintln!("sluice: waiting for {}: {problem}", place.shown());
            }
            (Some(Update::Same) | None, _) => {}
        }
    }
    Ok(None)
}

/// A directory for this run.
fn directory() -> Result<PathBuf, Failure> {
    let parent = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|directory| directory.is_dir());
    let directory = parent.unwrap_or_else(std::env::temp_dir).join(format!("sluice-run-{}", std::process::id()));
    let failed = |error| Failure::Usage(format!("{} cannot be made: {error}", directory.display()));
    // an existing directory belongs to another program
    std::fs::create_dir(&directory).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(directory)
}

/// Removes it in any case.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running Envoy.
struct Envoy {
    child: Child,
    admin: Admin,
    address_file: PathBuf,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Envoy {
    fn start(binary: &Path, options: &Run, directory: &Path) -> Result<Envoy, Failure> {
        let address_file = directory.join("admin.address");
        let mut command = Command::new(binary);
        command.current_dir(directory).args(["-c", crate::render::BOOTSTRAP, "--log-level", "warning"]);
        command.arg("--admin-address-path").arg(&address_file);
        // an open connection gets the new configuration with its next request
        command.args(["--disable-hot-restart", "--drain-strategy", "immediate", "--reject-unknown-dynamic-fields"]);
        if let Some(workers) = options.concurrency {
            command.args(["--concurrency", &workers.to_string()]);
        }
        command.args(&options.arguments);
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            // Ctrl-C would reach the whole group, and Envoy would stop without finishing its requests
            command.process_group(0);
        }
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::process::CommandExt;
            // SAFETY: between fork and exec only async-signal-safe functions are allowed; prctl is a plain system call.
            #[allow(unsafe_code)]
            unsafe {
                // an orphaned Envoy would keep the port
                command.pre_exec(|| {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                    Ok(())
                });
            }
        }
        let child =
            command.spawn().map_err(|error| Failure::Usage(format!("{} does not start: {error}", binary.display())))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Envoy { child, admin: Admin(nowhere), address_file })
    }

    /// Waits until it listens; returns false if a signal came first, so that no request can be running.
    fn wait(&mut self, stop: &Stop) -> Result<bool, Failure> {
        let until = Instant::now() + START;
        while Instant::now() < until {
            self.still_runs()?;
            if let Some(address) =
                std::fs::read_to_string(&self.address_file).ok().and_then(|text| text.trim().parse().ok())
            {
                self.admin = Admin(address);
                let refused =
                    || Failure::Input("Envoy has refused the configuration; see its message above".to_owned());
                if self.admin.has_refused() {
                    return Err(refused());
                }
                if self.admin.is_ready() {
                    return self.admin.listener().map(|_| true).ok_or_else(refused);
                }
            }
            if stop.wait(PERIOD, 0) {
                return Ok(false);
            }
        }
        Err(Failure::Usage(format!("Envoy is not ready after {} seconds", START.as_secs())))
    }

    fn still_runs(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(Failure::Input(format!("Envoy has ended by itself ({status}); see its message above")))
            }
            Err(error) => Err(Failure::Usage(format!("cannot watch Envoy: {error}"))),
        }
    }

    /// A command to paste.
    fn tell(&self, gateway: &Gateway) {
        let Some((host, port)) = self.admin.listener() else { return };
        let host = match host.as_str() {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "[::1]".to_owned(),
            other if other.contains(':') => format!("[{other}]"),
            other => other.to_owned(),
        };
        let (key, model) = (gateway.key(), gateway.model().unwrap_or("MODEL"));
        eprintln!(
            "ready: curl -s http://{host}:{port}/v1/chat/completions -H \"Authorization: Bearer {key}\" -H 'Content-Type: application/json' \
             -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
        );
        if gateway.model().is_none() {
            eprintln!("Replace MODEL with a name that one of the file's models matches.");
        }
        let (path, sign_in) = gateway.page();
        eprintln!("page: http://{host}:{port}{path} ({sign_in})");
        eprintln!(
            "metrics: http://{}/stats/prometheus; changes of the file apply when it is saved; Ctrl-C stops the gateway",
            self.admin.0
        );
    }

    /// Fails the health check, so that load balancers send no new connections; waits for the requests, then stops.
    fn drain(&mut self, options: &Run, stop: &Stop) -> Result<(), Failure> {
        let signals = stop.signals();
        self.admin.post("/healthcheck/fail");
        self.admin.post("/drain_listeners?graceful&skip_exit");
        let begun = Instant::now();
        let (delay, timeout) = (Duration::from_secs(options.drain_delay), Duration::from_secs(options.drain_timeout));
        let (mut told, mut is_closed) = (false, false);
        loop {
            // an Envoy that does not tell may be busy with requests
            let active = self.admin.stat("http.gateway.downstream_rq_active").unwrap_or(u64::MAX);
            if begun.elapsed() >= timeout.max(delay) || stop.signals() > signals {
                match active {
                    0 => {}
                    u64::MAX => eprintln!("sluice: stopping, though requests may still run"),
                    _ => eprintln!("sluice: stopping with {} still running", file::counted(active, "request")),
                }
                break;
            }
            if active == 0 && is_closed {
                break;
            }
            if active == 0 && begun.elapsed() >= delay {
                // a request that comes between this look and the stop would be cut
                is_closed = self.admin.post("/drain_listeners").is_some();
            } else if !told && active > 0 && active < u64::MAX {
                eprintln!(
                    "sluice: waiting for {}, at most {} s; a second signal stops at once",
                    file::counted(active, "request"),
                    timeout.as_secs()
                );
                told = true;
            }
            self.still_runs()?;
            stop.wait(PERIOD, signals);
        }
        self.admin.post("/quitquitquit");
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None::<ExitStatus>)) {
            std::thread::sleep(PERIOD);
        }
        eprintln!("stopped");
        Ok(())
    }
}
