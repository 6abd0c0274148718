//! What is asked of the gateway itself: one table of paths, methods and rights.

use std::mem::discriminant;

use crate::keys::Role;
use crate::uri::percent_decode;

/// What is asked of the gateway itself. [`COMMANDS`] has the paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Whether anybody is there.
    Ping,
    /// The same for load balancers and orchestrators.
    Health,
    /// The models that the caller may use.
    Models,
    /// One of them.
    Model(String),
    /// The same in Ollama's form.
    Tags,
    /// The version of Ollama whose API is spoken.
    Version,
    /// The models that Ollama has in memory, of which the gateway knows nothing.
    Running,
    /// Who the caller is.
    WhoAmI,
    /// What is left of the caller's limits.
    Limits,
    /// What has been used; of the caller's own key, unless it is an administrator's.
    Usage,
    /// Everyone who may call.
    Keys,
    /// A new virtual key.
    IssueKey,
    /// Revokes a key.
    RevokeKey(String),
    /// Takes a revocation back.
    RestoreKey(String),
    /// The state of every upstream.
    Upstreams,
    /// Takes a cluster out of the pool.
    Eject(String),
    /// Takes it in again.
    Restore(String),
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone, without a key.
    Anyone,
    /// Whoever has a key.
    Caller,
    /// Whoever has an administrator's key.
    Admin,
}

impl Access {
    /// Whether a caller may ask who has this role; `None`: who has no key.
    pub fn allows(self, role: Option<Role>) -> bool {
        match (self, role) {
            (Access::Anyone, _) | (Access::Caller, Some(_)) | (Access::Admin, Some(Role::Admin)) => true,
            (Access::Caller | Access::Admin, None) | (Access::Admin, Some(Role::User)) => false,
        }
    }
}

/// A path of the gateway's own.
struct Entry {
    method: &'static str,
    path: Path,
    access: Access,
    /// The value of `Allow`, for other methods.
    allow: &'static str,
    takes_body: bool,
    /// The command, given what stands in the path in place of `{}`.
    command: fn(String) -> Command,
}

/// Where a command is found. `{}` stands for a name, which may have slashes.
enum Path {
    /// At this path.
    At(&'static str),
    /// After the configured prefix, [`DEFAULT_PREFIX`] by default.
    Own(&'static str),
}

use Access::{Admin, Anyone, Caller};
use Path::{At, Own};

/// All of them. Of two that a path may mean, the first whose method is the request's.
static COMMANDS: [Entry; 18] = [
    entry("GET", At("/ping"), Anyone, |_| Command::Ping),
    entry("GET", At("/healthz"), Anyone, |_| Command::Health),
    entry("GET", At("/v1/models"), Caller, |_| Command::Models),
    entry("GET", At("/v1/models/{}"), Caller, Command::Model),
    entry("GET", At("/api/tags"), Caller, |_| Command::Tags),
    entry("GET", At("/tags"), Caller, |_| Command::Tags),
    entry("GET", At("/api/version"), Caller, |_| Command::Version),
    entry("GET", At("/api/ps"), Caller, |_| Command::Running),
    entry("GET", Own("/whoami"), Caller, |_| Command::WhoAmI),
    entry("GET", Own("/limits"), Caller, |_| Command::Limits),
    entry("GET", Own("/usage"), Caller, |_| Command::Usage),
    Entry { allow: "GET, POST", ..entry("GET", Own("/keys"), Admin, |_| Command::Keys) },
    Entry { allow: "GET, POST", takes_body: true, ..entry("POST", Own("/keys"), Admin, |_| Command::IssueKey) },
    entry("POST", Own("/keys/{}/restore"), Admin, Command::RestoreKey),
    entry("DELETE", Own("/keys/{}"), Admin, Command::RevokeKey),
    entry("GET", Own("/upstreams"), Admin, |_| Command::Upstreams),
    Entry { takes_body: true, ..entry("POST", Own("/upstreams/{}/eject"), Admin, Command::Eject) },
    entry("POST", Own("/upstreams/{}/restore"), Admin, Command::Restore),
];

const fn entry(method: &'static str, path: Path, access: Access, command: fn(String) -> Command) -> Entry {
    Entry { method, path, access, allow: method, takes_body: false, command }
}

/// Why a request asks nothing of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCommand {
    /// The path is one of the gateway's own, but not with this method; the value for `Allow`.
    WrongMethod(&'static str),
    /// It is none of them.
    Unknown,
}

/// What the gateway's own paths begin with, where nothing else is configured.
pub const DEFAULT_PREFIX: &str = "/gateway";

impl Path {
    /// The name that a path has in place of `{}`, undecoded, or nothing where none is asked for. `None`: it is another path.
    fn name<'a>(&self, path: &'a str, prefix: &str) -> Option<&'a str> {
        let (path, pattern) = match self {
            At(pattern) => (path, pattern),
            Own(pattern) => (path.strip_prefix(prefix)?, pattern),
        };
        match pattern.split_once("{}") {
            Some((before, after)) => path.strip_prefix(before)?.strip_suffix(after),
            None => (path == *pattern).then_some(""),
        }
    }
}

impl Command {
    /// What a request asks of the gateway. `path` has no query.
    ///
    /// # Errors
    /// It asks nothing of the gateway, or by another method than the path takes.
    ///
    /// ```
    /// use sluice::gateway::{Command, NoCommand};
    ///
    /// assert_eq!(Command::find("GET", "/gateway/keys", "/gateway"), Ok(Command::Keys));
    /// assert_eq!(Command::find("POST", "/gateway/keys", "/gateway"), Ok(Command::IssueKey));
    /// assert_eq!(Command::find("PUT", "/gateway/keys", "/gateway"), Err(NoCommand::WrongMethod("GET, POST")));
    /// assert_eq!(Command::find("GET", "/gateway/keys", "/admin"), Err(NoCommand::Unknown));
    /// ```
    pub fn find(method: &str, path: &str, prefix: &str) -> Result<Command, NoCommand> {
        let mut refusal = NoCommand::Unknown;
        for entry in &COMMANDS {
            let Some(name) = entry.path.name(path, prefix) else {
                continue;
            };
            if method == entry.method || method == "HEAD" && entry.access == Anyone {
                return Ok((entry.command)(percent_decode(name).into_owned()));
            }
            if refusal == NoCommand::Unknown {
                refusal = NoCommand::WrongMethod(entry.allow);
            }
        }
        Err(refusal)
    }

    fn entry(&self) -> Option<&'static Entry> {
        COMMANDS.iter().find(|entry| discriminant(&(entry.command)(String::new())) == discriminant(self))
    }

    /// The method it takes.
    pub fn method(&self) -> &'static str {
        self.entry().map_or("", |entry| entry.method)
    }

    /// Whether it reads a body; others are answered without waiting for it.
    pub fn takes_body(&self) -> bool {
        self.entry().is_some_and(|entry| entry.takes_body)
    }

    /// Who may ask for it.
    pub fn access(&self) -> Access {
        self.entry().map_or(Admin, |entry| entry.access)
    }
}
