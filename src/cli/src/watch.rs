//! `sluice watch`: keeps the files of an Envoy that runs elsewhere as a file, etcd or a command says.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use crate::check;
use crate::dynamic::{Admin, Files, Running};
use crate::render::{environment, Split, BOOTSTRAP, CLUSTERS, FILES};
use crate::source::{interval, Configuration, Location, Source, Update};
use crate::stop::Stop;
use crate::{file, Failure};

/// How long it waits for news before it looks for something to remove.
const PERIOD: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct Watch {
    /// Where the short file or Envoy's files are: file:PATH, etcd:URL/KEY or exec:COMMAND.
    #[arg(long)]
    from: Location,
    /// The directory for Envoy's files.
    #[arg(long)]
    dir: PathBuf,
    /// Where Envoy finds that directory, if it is elsewhere, such as in a container.
    #[arg(long)]
    at: Option<String>,
    /// Envoy's admin interface, such as 127.0.0.1:9901: what Envoy refuses is taken back.
    #[arg(long)]
    admin: Option<SocketAddr>,
    /// How often a command runs.
    #[arg(long, default_value = "10s", value_parser = interval)]
    every: Duration,
    /// How long requests may still use upstreams that are gone, in seconds.
    #[arg(long, default_value_t = 600)]
    drain_timeout: u64,
}

/// Runs until a signal ends it: each file is moved into place, so it can be stopped at any time.
///
/// # Errors
/// The directory cannot be made.
pub(crate) fn run(command: &Watch) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::Usage(format!("{} cannot be written: {error}", command.dir.display()));
    std::fs::create_dir_all(&command.dir).map_err(failed)?;
    let directory = command.dir.canonicalize().map_err(failed)?;
    let at = command.at.clone().unwrap_or_else(|| directory.to_string_lossy().into_owned());
    let source = Source::start(command.from.clone(), command.every);
    let files = Files::open(&directory);
    let mut watched = Watched {
        place: &command.from,
        directory,
        at,
        admin: command.admin.map(Admin),
        stop: Stop::default(),
        files,
        cleanup: None,
    };
    loop {
        let done = match source.next(PERIOD)? {
            None => watched.clean(),
            Some(Update::Same) => {
                eprintln!("sluice: {} can be read again; nothing has changed", command.from.shown());
                Ok(())
            }
            Some(Update::Failed(failure)) => Err(failure),
            Some(Update::New(new)) => watched.apply(new, Duration::from_secs(command.drain_timeout)),
        };
        if let Err(Failure::Input(problem) | Failure::Usage(problem)) = done {
            let rest = if watched.files.is_some() { "the old configuration stays" } else { "there is none yet" };
            eprintln!("sluice: not applied: {problem}; {rest}");
        }
    }
}

struct Watched<'a> {
    place: &'a Location,
    directory: PathBuf,
    /// Where Envoy finds the directory.
    at: String,
    admin: Option<Admin>,
    /// Never set: a signal ends this program at once.
    stop: Stop,
    /// `None` until the first ones are written.
    files: Option<Files>,
    /// When what is gone may be removed.
    cleanup: Option<Instant>,
}

impl Watched<'_> {
    fn apply(&mut self, new: Configuration, drain: Duration) -> Result<(), Failure> {
        let new = match new {
            Configuration::Short(text) => self.rendered(&text)?,
            Configuration::Split(split) => self.checked(*split)?,
        };
        // an Envoy that does not run yet reads the files when it starts
        let envoy = self.admin.as_ref().filter(|admin| admin.is_up()).map(|admin| Running { admin, stop: &self.stop });
        match &mut self.files {
            None => {
                self.files = Some(Files::create(&self.directory, new)?);
                eprintln!("sluice: written; start Envoy with: envoy -c {}/{BOOTSTRAP}", self.at);
            }
            Some(files) if files.has(&new) && !files.needs_restart(&new) => {
                eprintln!("sluice: nothing has changed for Envoy");
            }
            Some(files) => {
                let restart = files.needs_restart(&new);
                let applied = files.apply(new, envoy);
                if !files.is_tidy() {
                    self.cleanup = Some(Instant::now() + drain);
                }
                applied?;
                eprintln!("sluice: the change is applied");
                if restart {
                    eprintln!("sluice: Envoy reads a part of it ({BOOTSTRAP}) only when it is started again");
                }
            }
        }
        Ok(())
    }

    fn rendered(&mut self, text: &str) -> Result<Split, Failure> {
        let shown = self.place.shown();
        checked(&shown, text)?;
        let mut short = file::short(text, &shown)?;
        for (own, cluster) in self.files.iter_mut().flat_map(|files| files.name_clusters(&mut short)) {
            eprintln!("sluice: {}", file::moved(&own, &cluster));
        }
        file::in_files(&short, text, &self.place.name(), &self.at, &environment(short.variables()))
    }

    fn checked(&self, split: Split) -> Result<Split, Failure> {
        for name in FILES {
            checked(&format!("{}: {name}", self.place.shown()), split.file(name))?;
        }
        let own = serde_json::Value::from(format!("{}/{CLUSTERS}", self.at)).to_string();
        match split.bootstrap.contains(&own) {
            true => Ok(split),
            false => Err(Failure::Input(format!(
                "{BOOTSTRAP} does not name {own}; write these files with: sluice render --at {}",
                self.at
            ))),
        }
    }

    fn clean(&mut self) -> Result<(), Failure> {
        let Some(files) = self.files.as_mut().filter(|_| self.cleanup.is_some_and(|at| at <= Instant::now())) else {
            return Ok(());
        };
        self.cleanup = None;
        files.tidy(self.admin.as_ref().filter(|admin| admin.is_up()).map(|admin| Running { admin, stop: &self.stop }))
    }
}

/// Prints what is wrong with a text.
///
/// # Errors
/// There are errors, not only warnings.
fn checked(name: &str, text: &str) -> Result<(), Failure> {
    let mut report = check::check(text);
    // these variables are Envoy's, which runs elsewhere
    report.findings.retain(|finding| finding.rule != "unset_variable");
    if !report.findings.is_empty() {
        eprint!("{}", report.text(name));
    }
    match report.errors() {
        0 => Ok(()),
        _ => Err(Failure::Input(format!("{name} has mistakes; see the errors above"))),
    }
}
