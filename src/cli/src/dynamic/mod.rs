//! The one writer of the files from which a running Envoy takes its configuration. What is new is written in the order
//! clusters, routes, filters, so that everything that is named exists; what is gone is removed in reverse, when nothing uses
//! it any more. Each file is moved into place, because Envoy only notices moves, and never sees half a file.

mod admin;
mod names;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) use self::admin::Admin;
use self::names::Names;
use crate::render::{
    version, with_old_clusters, with_old_routes, Split, BOOTSTRAP, CLUSTERS, FILTERS, LISTENERS, ROUTES,
};
use crate::short::Short;
use crate::stop::Stop;
use crate::Failure;

/// How long Envoy may take to accept or refuse a file: it may have to compile the filters again.
const TAKEN: Duration = Duration::from_secs(60);

/// How long a file waits for the one before it, where nobody tells whether Envoy has read it.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a new cluster may take to resolve its server's name; until then Envoy does not use it.
const RESOLVED: Duration = Duration::from_secs(10);

/// How often Envoy is asked.
const PERIOD: Duration = Duration::from_millis(20);

/// A running Envoy, and what ends the wait for it.
#[derive(Clone, Copy)]
pub(crate) struct Running<'a> {
    pub(crate) admin: &'a Admin,
    pub(crate) stop: &'a Stop,
}

/// A file that Envoy reads again.
#[derive(Clone, Copy, PartialEq)]
enum ResourceFile {
    Clusters,
    Routes,
    Filters,
    Listeners,
}

impl ResourceFile {
    fn file(self) -> &'static str {
        match self {
            ResourceFile::Clusters => CLUSTERS,
            ResourceFile::Routes => ROUTES,
            ResourceFile::Filters => FILTERS,
            ResourceFile::Listeners => LISTENERS,
        }
    }

    /// Where Envoy tells what it has made of it.
    fn stat(self) -> &'static str {
        match self {
            ResourceFile::Clusters => "cluster_manager.cds",
            ResourceFile::Routes => "http.gateway.rds.gateway",
            ResourceFile::Filters => "extension_config_discovery.http_filter.sluice",
            ResourceFile::Listeners => "listener_manager.lds",
        }
    }

    /// Waits until Envoy uses the file that it has read.
    fn wait_until_usable(self, admin: &Admin, stop: &Stop) -> Result<(), Failure> {
        let ResourceFile::Clusters = self else { return Ok(()) };
        let until = Instant::now() + RESOLVED;
        while Instant::now() < until && admin.stat("cluster_manager.warming_clusters").is_some_and(|count| count > 0) {
            if stop.wait(PERIOD, 0) {
                return Err(stopped());
            }
        }
        Ok(())
    }

    fn of(self, split: &Split) -> &str {
        match self {
            ResourceFile::Clusters => &split.clusters,
            ResourceFile::Routes => &split.routes,
            ResourceFile::Filters => &split.filters,
            ResourceFile::Listeners => &split.listeners,
        }
    }

    fn of_mut(self, split: &mut Split) -> &mut String {
        match self {
            ResourceFile::Clusters => &mut split.clusters,
            ResourceFile::Routes => &mut split.routes,
            ResourceFile::Filters => &mut split.filters,
            ResourceFile::Listeners => &mut split.listeners,
        }
    }
}

/// Envoy's files in a directory.
pub(crate) struct Files {
    directory: PathBuf,
    /// What the files have.
    written: Split,
    /// The same without the clusters and matcher lines that only older requests use.
    wanted: Split,
    names: Names,
}

impl Files {
    /// Writes the files into an existing directory.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn create(directory: &Path, split: Split) -> Result<Files, Failure> {
        let names = Names::of(&split.clusters);
        let files = Files { directory: directory.to_owned(), written: split.clone(), wanted: split, names };
        for part in [ResourceFile::Clusters, ResourceFile::Routes, ResourceFile::Filters, ResourceFile::Listeners] {
            files.write(part.file(), part.of(&files.wanted))?;
        }
        files.write(BOOTSTRAP, &files.written.bootstrap)?;
        Ok(files)
    }

    /// The files that another run has left; `None` if some are missing.
    pub(crate) fn open(directory: &Path) -> Option<Files> {
        let read = |name: &str| std::fs::read_to_string(directory.join(name)).ok();
        let written = Split {
            bootstrap: read(BOOTSTRAP)?,
            clusters: read(CLUSTERS)?,
            listeners: read(LISTENERS)?,
            routes: read(ROUTES)?,
            filters: read(FILTERS)?,
        };
        let names = Names::of(&written.clusters);
        Some(Files { directory: directory.to_owned(), wanted: written.clone(), written, names })
    }

    /// Names the clusters of a short file for this directory, so that no name gets another address. Returns the upstreams
    /// and services that have moved, with the new names of their clusters.
    pub(crate) fn name_clusters(&mut self, short: &mut Short) -> Vec<(String, String)> {
        self.names.give(short)
    }

    /// Whether nothing would change.
    pub(crate) fn has(&self, split: &Split) -> bool {
        let Split { bootstrap: _, clusters, listeners, routes, filters } = split;
        let own = &self.wanted;
        *clusters == own.clusters && *listeners == own.listeners && *routes == own.routes && *filters == own.filters
    }

    /// Whether the part that only a restart changes is another.
    pub(crate) fn needs_restart(&self, split: &Split) -> bool {
        split.bootstrap != self.wanted.bootstrap
    }

    /// Adds what is new, and waits until Envoy has it; `tidy` later removes what is gone.
    ///
    /// # Errors
    /// Envoy refuses a file, so that it serves as before, perhaps with more clusters than it uses; a file cannot be written; or a signal has come, so that some
    /// files are new: Envoy can serve with them.
    pub(crate) fn apply(&mut self, new: Split, envoy: Option<Running<'_>>) -> Result<(), Failure> {
        let all = Split {
            clusters: with_old_clusters(&new.clusters, &self.written.clusters),
            routes: with_old_routes(&new.routes, &self.written.routes),
            ..new.clone()
        };
        let before = self.written.clone();
        for part in [ResourceFile::Clusters, ResourceFile::Routes, ResourceFile::Filters, ResourceFile::Listeners] {
            if let Err(failure) = self.replace(part, part.of(&all), envoy) {
                if envoy.is_none_or(|envoy| envoy.stop.signals() == 0) {
                    self.restore(&before, part);
                }
                return Err(failure);
            }
        }
        if new.bootstrap != self.written.bootstrap {
            self.write(BOOTSTRAP, &new.bootstrap)?;
            self.written.bootstrap.clone_from(&new.bootstrap);
        }
        self.wanted = new;
        Ok(())
    }

    /// Whether there is something to remove.
    pub(crate) fn is_tidy(&self) -> bool {
        self.written.clusters == self.wanted.clusters && self.written.routes == self.wanted.routes
    }

    /// Removes the clusters and matcher lines that no request uses any more.
    ///
    /// # Errors
    /// A file cannot be written, Envoy refuses it, or a signal has come.
    pub(crate) fn tidy(&mut self, envoy: Option<Running<'_>>) -> Result<(), Failure> {
        let Split { routes, clusters, .. } = self.wanted.clone();
        self.replace(ResourceFile::Routes, &routes, envoy)?;
        self.replace(ResourceFile::Clusters, &clusters, envoy)
    }

    /// Goes back to the files as they were, after one was refused. New clusters and their routes stay until `tidy`: requests
    /// may have begun with filters that name them.
    fn restore(&mut self, before: &Split, refused: ResourceFile) {
        for part in [ResourceFile::Listeners, ResourceFile::Filters, ResourceFile::Routes, ResourceFile::Clusters] {
            if matches!(part, ResourceFile::Routes | ResourceFile::Clusters) && part != refused {
                continue;
            }
            let text = part.of(before);
            if part.of(&self.written) != text && self.write(part.file(), text).is_ok() {
                text.clone_into(part.of_mut(&mut self.written));
            }
        }
    }

    /// Changes one file, if its text is another, and waits until Envoy has taken it.
    fn replace(&mut self, part: ResourceFile, text: &str, envoy: Option<Running<'_>>) -> Result<(), Failure> {
        if part.of(&self.written) == text {
            return Ok(());
        }
        let refused = |admin: &Admin| admin.stat(&format!("{}.update_rejected", part.stat()));
        let before = envoy.and_then(|envoy| refused(envoy.admin));
        self.write(part.file(), text)?;
        text.clone_into(part.of_mut(&mut self.written));
        let Some(Running { admin, stop }) = envoy else {
            std::thread::sleep(PAUSE);
            return Ok(());
        };
        let until = Instant::now() + TAKEN;
        while Instant::now() < until {
            if admin.text(&format!("{}.version_text", part.stat())).as_deref() == Some(version(text)) {
                return part.wait_until_usable(admin, stop);
            }
            if refused(admin).zip(before).is_some_and(|(now, before)| now > before) {
                return Err(Failure::Input("Envoy refuses it; see its message above".to_owned()));
            }
            if stop.wait(PERIOD, 0) {
                return Err(stopped());
            }
        }
        Err(Failure::Usage(format!("Envoy has not read {} after {} seconds", part.file(), TAKEN.as_secs())))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let file = self.directory.join(name);
        let part = self.directory.join(format!(".{name}.{}", std::process::id()));
        let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &file));
        written.map_err(|error| Failure::Usage(format!("{} cannot be written: {error}", file.display())))
    }
}

fn stopped() -> Failure {
    Failure::Usage("the gateway stops".to_owned())
}

impl Admin {
    /// Whether Envoy has refused the filters' configuration with which it started.
    pub(crate) fn has_refused(&self) -> bool {
        let parts = [ResourceFile::Clusters, ResourceFile::Routes, ResourceFile::Filters, ResourceFile::Listeners];
        parts.iter().any(|part| self.stat(&format!("{}.update_rejected", part.stat())).unwrap_or_default() > 0)
    }
}
