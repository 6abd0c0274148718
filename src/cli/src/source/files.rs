//! A file, or a directory with Envoy's files: looks for changes a few times a second.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::{Configuration, Ended, Reader};
use crate::render::{Split, FILES};
use crate::{file, Failure};

/// How often the files are checked for changes.
const PERIOD: Duration = Duration::from_millis(200);

/// A file that is missing for so long is told: an editor may move it away for a moment while it saves.
const MISSING: Duration = Duration::from_secs(5);

/// Tells two versions of a file apart, also if the file is a link to another.
#[derive(PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode })
    }
}

pub(super) fn follow(path: &Path, reader: &mut Reader) {
    if path.as_os_str() == "-" {
        // standard input has one configuration only
        if reader.took(read(path)).is_ok() {
            loop {
                std::thread::park();
            }
        }
        return;
    }
    let mut seen = None;
    let mut present: Option<Instant> = None;
    loop {
        let paths: Vec<PathBuf> = match path.is_dir() {
            true => FILES.iter().map(|name| path.join(name)).collect(),
            false => vec![path.to_owned()],
        };
        let stamps: Option<Vec<Stamp>> = paths.iter().map(|path| Stamp::of(path)).collect();
        let is_gone = stamps.is_none();
        let done = match stamps {
            Some(stamps) => {
                present = Some(Instant::now());
                match seen.as_ref() == Some(&stamps) {
                    true => Ok(()),
                    false => {
                        seen = Some(stamps);
                        reader.took(read(path))
                    }
                }
            }
            None if present.is_some_and(|at| at.elapsed() < MISSING) => Ok(()),
            None => reader.took(read(path)),
        };
        if is_gone {
            seen = None;
        }
        if let Err(Ended) = done {
            return;
        }
        std::thread::sleep(PERIOD);
    }
}

fn read(path: &Path) -> Result<Configuration, Failure> {
    if !path.is_dir() {
        return Ok(Configuration::Short(file::read_short(path)?));
    }
    let split = Split::read(|name| file::read(&path.join(name)))?;
    Ok(Configuration::Split(Box::new(split)))
}
