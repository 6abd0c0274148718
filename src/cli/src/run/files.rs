//! Envoy's configuration files, and how they follow the short file.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::admin::Admin;
use crate::render::{missing, split, Split, BOOTSTRAP, CLUSTERS, LISTENERS};
use crate::short::Short;
use crate::{check, file, Failure};

/// How long Envoy may take to accept or refuse a change: it may have to compile the filters again.
const TAKEN: Duration = Duration::from_secs(60);

/// The SHA-256 of `sk-demo-user`, which is public.
const DEMO_USER: &str = "sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c";

/// A checked short file.
pub(super) struct Gateway {
    short: Short,
    text: String,
    name: String,
    /// The short file's path of the filters.
    pub(super) wasm: Option<PathBuf>,
}

impl Gateway {
    /// Reads and checks a short file, and prints the mistakes.
    ///
    /// # Errors
    /// It has errors.
    pub(super) fn read(path: &Path) -> Result<Gateway, Failure> {
        let text = file::read(path)?;
        let name = file::shown(path);
        let report = check::check(&text);
        if !report.findings.is_empty() {
            eprint!("{}", report.text(&name));
        }
        let unset = report.findings.iter().any(|finding| finding.rule == "unset_variable");
        if report.errors() > 0 || unset {
            return Err(Failure::Input(format!("{name} cannot be run; see the errors above")));
        }
        let mut short = file::short(&text, &name)?;
        let wasm = short.wasm.take().map(|wasm| path.parent().unwrap_or(Path::new("")).join(wasm));
        Ok(Gateway { short, text, name: file::name(path), wasm })
    }

    /// A model for the printed command; `None` if the file only has patterns of names.
    pub(super) fn model(&self) -> Option<&str> {
        let models = self.short.tree.get("models").map(crate::yaml::Tree::items).unwrap_or_default();
        models.iter().filter_map(|model| model.text_of("name")).find(|name| !name.contains('*'))
    }

    /// The key for the printed command; only the demo's key is known here.
    pub(super) fn key(&self) -> &'static str {
        let keys = self.short.tree.get("keys").map(crate::yaml::Tree::items).unwrap_or_default();
        match keys.iter().any(|key| key.text_of("hash") == Some(DEMO_USER)) {
            true => "sk-demo-user",
            false => "$SLUICE_KEY",
        }
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

    fn split(&self, directory: &Path) -> Result<Split, Failure> {
        let rendered = file::rendered(&self.short, &self.text, &self.name)?;
        split(&rendered, &directory.to_string_lossy()).map_err(|lost| file::lost(&lost))
    }
}

/// The files in the directory of a run.
pub(super) struct Files {
    directory: PathBuf,
    current: Split,
    /// The short file when it was last read.
    seen: Option<SystemTime>,
    /// When unused old clusters may be removed.
    cleanup: Option<Instant>,
}

impl Files {
    /// Writes the files.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn new(directory: &Path, wasm: &Path, gateway: &Gateway) -> Result<Files, Failure> {
        let current = gateway.split(directory)?;
        let files = Files { directory: directory.to_owned(), current, seen: None, cleanup: None };
        let link = directory.join("sluice.wasm");
        #[cfg(unix)]
        let linked = std::os::unix::fs::symlink(wasm, &link);
        #[cfg(not(unix))]
        let linked = std::fs::copy(wasm, &link).map(drop);
        linked.map_err(|error| Failure::Usage(format!("{} cannot be written: {error}", link.display())))?;
        files.write(BOOTSTRAP, &files.current.bootstrap)?;
        files.write(CLUSTERS, &files.current.clusters)?;
        files.write(LISTENERS, &files.current.listeners)?;
        Ok(files)
    }

    /// Moves a file into place, because Envoy only notices moves.
    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let (part, file) = (self.directory.join(format!(".{name}")), self.directory.join(name));
        let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &file));
        written.map_err(|error| Failure::Usage(format!("{} cannot be written: {error}", file.display())))
    }

    /// Applies changes of the short file to Envoy. Mistakes are printed, and the old configuration stays.
    pub(super) fn follow(&mut self, path: &Path, admin: &Admin, drain: Duration) {
        if self.cleanup.is_some_and(|at| at <= Instant::now()) {
            self.cleanup = None;
            self.told(self.write(CLUSTERS, &self.current.clusters));
        }
        let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        if changed == self.seen || changed.is_none() {
            return;
        }
        let first = self.seen.is_none();
        self.seen = changed;
        // changes between the start and now are noticed as well
        let new = match Gateway::read(path).and_then(|gateway| gateway.split(&self.directory)) {
            Ok(new) => new,
            Err(failure) => return self.told(Err(failure)),
        };
        let same = new.clusters == self.current.clusters && new.listeners == self.current.listeners;
        if new.bootstrap != self.current.bootstrap {
            eprintln!("sluice: changes of `admin`, `tracing` and the file's name need a restart");
        }
        if same {
            if !first {
                eprintln!("sluice: nothing has changed for Envoy");
            }
            return;
        }
        let done = self.apply(new, admin, drain);
        self.told(done);
    }

    fn told(&self, done: Result<(), Failure>) {
        if let Err(Failure::Input(problem) | Failure::Usage(problem)) = done {
            eprintln!("sluice: not applied: {problem}; the old configuration stays");
        }
    }

    /// Clusters are added before the listeners that use them, and removed after them.
    fn apply(&mut self, new: Split, admin: &Admin, drain: Duration) -> Result<(), Failure> {
        let old = missing(&self.current.clusters, &new.clusters);
        if new.clusters != self.current.clusters {
            let all = format!("{}{old}", new.clusters);
            taken(admin, "cluster_manager.cds", || self.write(CLUSTERS, &all))?;
        }
        if new.listeners != self.current.listeners {
            taken(admin, "listener_manager.lds", || self.write(LISTENERS, &new.listeners))?;
        }
        if !old.is_empty() {
            self.cleanup = Some(Instant::now() + drain);
        }
        self.current = new;
        eprintln!("sluice: the change is applied");
        Ok(())
    }
}

/// Makes a change, and waits until Envoy has accepted or refused it.
fn taken(admin: &Admin, what: &str, change: impl Fn() -> Result<(), Failure>) -> Result<(), Failure> {
    let count = |outcome: &str| admin.stat(&format!("{what}.update_{outcome}")).unwrap_or_default();
    let before = (count("success"), count("rejected"));
    change()?;
    let until = Instant::now() + TAKEN;
    while Instant::now() < until {
        if count("rejected") > before.1 {
            return Err(Failure::Input("Envoy refuses it; see its message above".to_owned()));
        }
        if count("success") > before.0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Failure::Usage(format!("Envoy has not read it after {} seconds", TAKEN.as_secs())))
}
