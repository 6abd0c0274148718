//! Where a configuration comes from: a file, etcd, or a command that prints it. A thread reads it, and hands over what has
//! changed. What cannot be read is told once; the reader keeps trying.

#[cfg(feature = "etcd")]
mod etcd;
mod exec;
mod files;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use serde_json::Value;
use sluice::config::Node;

use crate::file::MAX_FILE;
use crate::render::Split;
use crate::Failure;

/// So many different failures are told until something has been read.
const MOST_TOLD: usize = 16;

/// What `--from` names.
#[derive(Clone)]
pub(crate) enum Location {
    /// A short file, or a directory with Envoy's files.
    File(PathBuf),
    /// A key with a short file; with a slash at its end: the keys of Envoy's files begin so.
    #[cfg(feature = "etcd")]
    Etcd(etcd::Address),
    /// A command for the shell that prints a short file.
    Exec(String),
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Location, String> {
        let (kind, rest) = text.split_once(':').unwrap_or_default();
        match kind {
            "file" | "exec" if rest.trim().is_empty() => Err(format!("nothing stands after `{kind}:`")),
            "file" => Ok(Location::File(PathBuf::from(rest))),
            "exec" => Ok(Location::Exec(rest.to_owned())),
            #[cfg(feature = "etcd")]
            "etcd" => rest.parse().map(Location::Etcd),
            #[cfg(not(feature = "etcd"))]
            "etcd" => Err("this program was built without etcd".to_owned()),
            _ => Err("must be file:PATH, etcd:URL/KEY or exec:COMMAND".to_owned()),
        }
    }
}

impl Location {
    /// For messages. Of a command only its first word: the others may be secrets.
    pub(crate) fn shown(&self) -> String {
        match self {
            Location::File(path) => path.display().to_string(),
            #[cfg(feature = "etcd")]
            Location::Etcd(address) => address.to_string(),
            Location::Exec(command) => format!("exec:{}", command.split_whitespace().next().unwrap_or_default()),
        }
    }

    /// For the comment in files that are made from it.
    pub(crate) fn name(&self) -> String {
        match self {
            Location::File(path) => crate::file::name(path),
            _ => self.shown(),
        }
    }

    /// Relative paths in it start here.
    pub(crate) fn directory(&self) -> &Path {
        match self {
            Location::File(path) => path.parent().unwrap_or(Path::new("")),
            _ => Path::new(""),
        }
    }
}

/// An interval of the command line, such as `10s`.
///
/// # Errors
/// It is none, or shorter than a second or longer than a day.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let json = Value::String(text.to_owned());
    let read = Node::root("", &json).duration().map_err(|error| error.problem().to_owned())?;
    match (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&read) {
        true => Ok(read),
        false => Err("must be between 1s and 1d".to_owned()),
    }
}

/// A configuration as it was read.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Configuration {
    /// A short file's text.
    Short(String),
    /// Envoy's files, as `sluice render --dir` writes them.
    Split(Box<Split>),
}

/// What the reader has to tell.
pub(crate) enum Update {
    /// Another configuration than before.
    New(Configuration),
    /// The same as before, after a failure.
    Same,
    Failed(Failure),
}

/// A place that a thread reads.
pub(crate) struct Source(Receiver<Update>);

impl Source {
    /// Starts reading; `every` is for commands.
    pub(crate) fn start(place: Location, every: Duration) -> Source {
        // the reader waits until its last update has been taken: then it reads what is newest
        let (sender, receiver) = sync_channel(0);
        std::thread::spawn(move || {
            let mut reader = Reader { sender, last: None, told: Vec::new() };
            match place {
                Location::File(path) => files::follow(&path, &mut reader),
                #[cfg(feature = "etcd")]
                Location::Etcd(address) => etcd::follow(&address, &mut reader),
                Location::Exec(command) => exec::follow(&command, every, &mut reader),
            }
        });
        Source(receiver)
    }

    /// The next update; `None` if there is none within this time.
    ///
    /// # Errors
    /// The reader has ended, which is a fault of this program.
    pub(crate) fn next(&self, within: Duration) -> Result<Option<Update>, Failure> {
        match self.0.recv_timeout(within) {
            Ok(update) => Ok(Some(update)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Failure::Usage("the configuration's reader has ended by itself".to_owned()))
            }
        }
    }
}

/// Nobody takes updates any more.
struct Ended;

/// The reader's end of a source: passes on only what is news.
struct Reader {
    sender: SyncSender<Update>,
    last: Option<Configuration>,
    /// The failures that were told since something has been read.
    told: Vec<String>,
}

impl Reader {
    /// Passes on what was read.
    fn took(&mut self, read: Result<Configuration, Failure>) -> Result<(), Ended> {
        let update = match read {
            Err(failure) => {
                let (Failure::Input(text) | Failure::Usage(text)) = &failure;
                if self.told.contains(text) || self.told.len() == MOST_TOLD {
                    return Ok(());
                }
                self.told.push(text.clone());
                Update::Failed(failure)
            }
            Ok(configuration) => {
                let failed = !self.told.is_empty();
                self.told.clear();
                if self.last.as_ref() == Some(&configuration) {
                    if !failed {
                        return Ok(());
                    }
                    Update::Same
                } else {
                    self.last = Some(configuration.clone());
                    Update::New(configuration)
                }
            }
        };
        self.sender.send(update).map_err(|_| Ended)
    }
}

/// A text from its bytes.
///
/// # Errors
/// It is too large, or not UTF-8.
fn text(bytes: Vec<u8>, name: &str) -> Result<String, Failure> {
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::Input(format!("{name} is larger than 16 MiB")));
    }
    String::from_utf8(bytes).map_err(|_| Failure::Input(format!("{name} is not UTF-8")))
}
