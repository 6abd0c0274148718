//! Envoy's configuration files, and how they follow the short file.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sluice::gateway::DEFAULT_PREFIX;

use crate::dynamic::{Files, Running};
use crate::render::{environment, Split};
use crate::short::Short;
use crate::source::{Configuration, Location, Source, Update};
use crate::{check, file, Failure};

/// The SHA-256 of `sk-demo-user`, which is public.
const DEMO_USER: &str = "sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c";

/// That of `sk-demo-admin`.
const DEMO_ADMIN: &str = "sha256:a1304128f87ba7aa357d7fe938db628cccb9ad9465ba832773a604aed2cfd54e";

/// A checked short file.
pub(super) struct Gateway {
    short: Short,
    text: String,
    name: String,
    /// The short file's path of the filters.
    pub(super) wasm: Option<PathBuf>,
}

impl Gateway {
    /// Checks a short file, and prints the mistakes.
    ///
    /// # Errors
    /// It has errors.
    pub(super) fn read(configuration: Configuration, place: &Location) -> Result<Gateway, Failure> {
        let name = place.shown();
        let Configuration::Short(text) = configuration else {
            let problem = format!("{name} has Envoy's files, not a short file; `sluice watch` takes them");
            return Err(Failure::Input(problem));
        };
        let report = check::check(&text);
        if !report.findings.is_empty() {
            eprint!("{}", report.text(&name));
        }
        let unset = report.findings.iter().any(|finding| finding.rule == "unset_variable");
        if report.errors() > 0 || unset {
            return Err(Failure::Input(format!("{name} cannot be run; see the errors above")));
        }
        let mut short = file::short(&text, &name)?;
        let wasm = short.wasm.take().map(|wasm| place.directory().join(wasm));
        Ok(Gateway { short, text, name: place.name(), wasm })
    }

    /// A model for the printed command; `None` if the file only has patterns of names.
    pub(super) fn model(&self) -> Option<&str> {
        let models = self.short.tree.get("models").map(crate::yaml::Tree::items).unwrap_or_default();
        models.iter().filter_map(|model| model.text_of("name")).find(|name| !name.contains('*'))
    }

    /// The key for the printed command; only the demo's key is known here.
    pub(super) fn key(&self) -> &'static str {
        match self.has_key("hash", DEMO_USER) {
            true => "sk-demo-user",
            false => "$SLUICE_KEY",
        }
    }

    /// The path of the gateway's page, and how to sign in there.
    pub(super) fn page(&self) -> (String, &'static str) {
        let prefix = self.short.tree.get("gateway_prefix").and_then(crate::yaml::Tree::text).unwrap_or(DEFAULT_PREFIX);
        let sign_in = match (self.has_key("hash", DEMO_ADMIN), self.has_key("role", "admin")) {
            (true, _) => "sign in with sk-demo-admin",
            (false, true) => "sign in with a key of `role: admin`",
            (false, false) => "sign in with any key; one of `role: admin` also shows clusters, requests and keys",
        };
        (format!("{prefix}/ui"), sign_in)
    }

    fn has_key(&self, field: &str, value: &str) -> bool {
        let keys = self.short.tree.get("keys").map(crate::yaml::Tree::items).unwrap_or_default();
        keys.iter().any(|key| key.text_of(field) == Some(value))
    }

    /// Its listeners must be free: Envoy shares a port with another Envoy, and each gets a part of the connections.
    ///
    /// # Errors
    /// One is not; the text says what to do.
    pub(super) fn require_free_ports(&self) -> Result<(), Failure> {
        for (field, address) in [("listen", &self.short.listen), ("admin", &self.short.admin)] {
            let crate::short::Address { host, port } = address;
            if *port == 0 {
                continue;
            }
            let Err(error) = TcpListener::bind((host.as_str(), *port)) else { continue };
            let written = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            let free = port.checked_add(1).unwrap_or(1024);
            let problem = match error.kind() {
                ErrorKind::AddrInUse => format!(
                    "{written}:{port} is in use, maybe by another `sluice run`; stop that program, or write another port in {}: `{field}: {written}:{free}`",
                    self.name
                ),
                ErrorKind::PermissionDenied => format!(
                    "{written}:{port} needs more rights; write a port above 1023 in {}: `{field}: {written}:10000`",
                    self.name
                ),
                ErrorKind::AddrNotAvailable => format!(
                    "{written} is no address of this machine; write one in {}, such as `{field}: 127.0.0.1:{port}`",
                    self.name
                ),
                _ => continue, // Envoy says more
            };
            return Err(Failure::Usage(problem));
        }
        Ok(())
    }

    fn split(&self, directory: &Path, environment: &[String]) -> Result<Split, Failure> {
        file::in_files(&self.short, &self.text, &self.name, &directory.to_string_lossy(), environment)
    }
}

/// The files in the directory of a run, which follow the short file.
pub(super) struct Followed {
    files: Files,
    directory: PathBuf,
    /// The variables that the filters see until Envoy starts again.
    environment: Vec<String>,
    /// The filters' file, as the short file names it.
    wasm: Option<PathBuf>,
    /// When what is gone may be removed.
    cleanup: Option<Instant>,
}

impl Followed {
    /// Writes the files.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn new(directory: &Path, wasm: &Path, gateway: &Gateway) -> Result<Followed, Failure> {
        let environment = environment(gateway.short.variables());
        let link = directory.join("sluice.wasm");
        #[cfg(unix)]
        let linked = std::os::unix::fs::symlink(wasm, &link);
        #[cfg(not(unix))]
        let linked = std::fs::copy(wasm, &link).map(drop);
        linked.map_err(|error| Failure::Usage(format!("{} cannot be written: {error}", link.display())))?;
        let files = Files::create(directory, gateway.split(directory, &environment)?)?;
        let (directory, wasm) = (directory.to_owned(), gateway.wasm.clone());
        Ok(Followed { files, directory, environment, wasm, cleanup: None })
    }

    /// Applies changes of the short file to Envoy. Mistakes are printed, and the old configuration stays. Waits for a
    /// change at most `period`.
    ///
    /// # Errors
    /// The reader has ended.
    pub(super) fn follow(
        &mut self,
        source: &Source,
        place: &Location,
        envoy: Running<'_>,
        drain: Duration,
        period: Duration,
    ) -> Result<(), Failure> {
        if self.cleanup.is_some_and(|at| at <= Instant::now()) {
            self.cleanup = None;
            told(self.files.tidy(Some(envoy)));
        }
        match source.next(period)? {
            None => {}
            Some(Update::New(new)) => told(self.apply(new, place, envoy, drain)),
            Some(Update::Failed(failure)) => told(Err(failure)),
            Some(Update::Same) => eprintln!("sluice: {} can be read again; nothing has changed", place.shown()),
        }
        Ok(())
    }

    fn apply(
        &mut self,
        new: Configuration,
        place: &Location,
        envoy: Running<'_>,
        drain: Duration,
    ) -> Result<(), Failure> {
        let mut gateway = Gateway::read(new, place)?;
        let unseen = gateway.short.variables().into_iter().find(|name| !self.environment.contains(name));
        if let Some(name) = unseen {
            let problem = format!("the filters see the environment variable {name} only after a restart");
            return Err(Failure::Input(problem));
        }
        let moved = self.files.name_clusters(&mut gateway.short);
        let new = gateway.split(&self.directory, &self.environment)?;
        if self.files.needs_restart(&new) || gateway.wasm != self.wasm {
            eprintln!("sluice: changes of `admin`, `tracing`, `wasm` and the file's name need a restart");
        }
        if self.files.has(&new) {
            eprintln!("sluice: nothing has changed for Envoy");
            return Ok(());
        }
        let applied = self.files.apply(new, Some(envoy));
        if !self.files.is_tidy() {
            self.cleanup = Some(Instant::now() + drain);
        }
        applied?;
        for (own, cluster) in moved {
            eprintln!("sluice: {}", file::moved(&own, &cluster));
        }
        eprintln!("sluice: the change is applied");
        Ok(())
    }
}

fn told(done: Result<(), Failure>) {
    if let Err(Failure::Input(problem) | Failure::Usage(problem)) = done {
        eprintln!("sluice: not applied: {problem}; the old configuration stays");
    }
}
