//! The files that Envoy runs by, and how they follow the short file.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::admin::Admin;
use crate::render::{missing, split, Split, BOOTSTRAP, CLUSTERS, LISTENERS};
use crate::short::Short;
use crate::{check, file, Failure};

/// How long Envoy may take until it has taken or refused a change: it may have to compile the filters anew.
const TAKEN: Duration = Duration::from_secs(60);

/// The SHA-256 of `sk-demo-user`, which everybody knows.
const DEMO_USER: &str = "sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c";

/// A short file that has been checked.
pub(super) struct Gateway {
    short: Short,
    text: String,
    name: String,
    /// Where the short file says the filters are.
    pub(super) wasm: Option<PathBuf>,
}

impl Gateway {
    /// Reads and checks a short file, and prints what is wrong.
    ///
    /// # Errors
    /// It has errors.
    pub(super) fn read(path: &Path) -> Result<Gateway, Failure> {
        let text = file::read(path)?;
        let name = file::name(path);
        let report = check::check(&text);
        if !report.findings.is_empty() {
            eprint!("{}", report.text(&name));
        }
        let unset = report.findings.iter().any(|finding| finding.rule == "unset_variable");
        if report.errors() > 0 || unset {
            return Err(Failure::Input(format!("{name} cannot be run as it is")));
        }
        let mut short = file::short(&text, &name)?;
        let wasm = short.wasm.take().map(|wasm| path.parent().unwrap_or(Path::new("")).join(wasm));
        Ok(Gateway { short, text, name, wasm })
    }

    /// A model that a client may ask for.
    pub(super) fn model(&self) -> String {
        let models = self.short.tree.get("models").map(crate::yaml::Tree::items).unwrap_or_default();
        let names = || models.iter().filter_map(|model| model.text_of("name"));
        names().find(|name| !name.contains('*')).or_else(|| names().next()).unwrap_or("MODEL").to_owned()
    }

    /// The key for the command that is printed; others than the demo's are not known here.
    pub(super) fn key(&self) -> &'static str {
        let keys = self.short.tree.get("keys").map(crate::yaml::Tree::items).unwrap_or_default();
        match keys.iter().any(|key| key.text_of("hash") == Some(DEMO_USER)) {
            true => "sk-demo-user",
            false => "$SLUICE_KEY",
        }
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
    /// The short file as it was when it was last looked at.
    seen: Option<SystemTime>,
    /// When clusters that nothing new is sent to may go.
    cleanup: Option<Instant>,
}

impl Files {
    /// Writes them.
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

    /// Envoy notices what is moved into its place.
    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let (part, file) = (self.directory.join(format!(".{name}")), self.directory.join(name));
        let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &file));
        written.map_err(|error| Failure::Usage(format!("{} cannot be written: {error}", file.display())))
    }

    /// Has Envoy take what has changed in the short file; what is wrong is told, and the old one goes on.
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
        // what was changed between the start and now is seen as well
        let new = match Gateway::read(path).and_then(|gateway| gateway.split(&self.directory)) {
            Ok(new) => new,
            Err(failure) => return self.told(Err(failure)),
        };
        let same = new.clusters == self.current.clusters && new.listeners == self.current.listeners;
        if new.bootstrap != self.current.bootstrap {
            eprintln!("sluice: `admin`, `tracing` and the file's name change with the next start");
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
            eprintln!("sluice: not taken: {problem}; what ran before goes on");
        }
    }

    /// Clusters come before what leads to them, and go after it.
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
        eprintln!("sluice: the change is taken");
        Ok(())
    }
}

/// Makes a change, and waits until Envoy has taken or refused it.
fn taken(admin: &Admin, what: &str, change: impl Fn() -> Result<(), Failure>) -> Result<(), Failure> {
    let count = |outcome: &str| admin.stat(&format!("{what}.update_{outcome}")).unwrap_or_default();
    let before = (count("success"), count("rejected"));
    change()?;
    let until = Instant::now() + TAKEN;
    while Instant::now() < until {
        if count("rejected") > before.1 {
            return Err(Failure::Input("Envoy refuses it; see what it says above".to_owned()));
        }
        if count("success") > before.0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Failure::Usage(format!("Envoy has not read it after {} seconds", TAKEN.as_secs())))
}
