//! The gateway's own commands: one table of paths, methods and permissions.

use std::mem::discriminant;

use crate::keys::Role;
use crate::uri::percent_decode;

/// A command to the gateway itself. [`COMMANDS`] has the paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Whether the gateway is running.
    Ping,
    /// The same for load balancers and orchestrators.
    Health,
    /// The operators' page. It asks for a key itself.
    Page,
    /// The models that the caller may use.
    Models,
    /// One of these models.
    Model(String),
    /// The same in Ollama's form.
    Tags,
    /// The version of the Ollama API that the gateway follows.
    Version,
    /// The models in Ollama's memory; always an empty list.
    Running,
    /// Who the caller is.
    WhoAmI,
    /// The rest of the caller's limits.
    Limits,
    /// Usage of the caller's own key, or of all keys for administrators.
    Usage,
    /// All callers.
    Keys,
    /// Issues a virtual key.
    IssueKey,
    /// Revokes a key.
    RevokeKey(String),
    /// Undoes a revocation.
    RestoreKey(String),
    /// The state of every upstream.
    Upstreams,
    /// The requests that ended last.
    Recent,
    /// Ejects a cluster.
    Eject(String),
    /// Restores a cluster.
    Restore(String),
    /// A request with several texts: the gateway sends each one to itself. Only if the text endpoints are on.
    Texts,
}

/// The permission for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone, without a key.
    Anyone,
    /// Callers with a key.
    Caller,
    /// Callers with an administrator's key.
    Admin,
}

impl Access {
    /// Whether a caller with this role may use it; `None`: a caller without a key.
    pub fn allows(self, role: Option<Role>) -> bool {
        match (self, role) {
            (Access::Anyone, _) | (Access::Caller, Some(_)) | (Access::Admin, Some(Role::Admin)) => true,
            (Access::Caller | Access::Admin, None) | (Access::Admin, Some(Role::User)) => false,
        }
    }
}

/// A path of the gateway itself.
struct Entry {
    method: &'static str,
    path: Path,
    access: Access,
    /// The value of `Allow`, for other methods.
    allow: &'static str,
    takes_body: bool,
    /// The command, from the name in place of `{}`.
    command: fn(String) -> Command,
}

/// The path of a command. `{}` is a name, which may contain slashes.
enum Path {
    /// Exactly this path.
    At(&'static str),
    /// After the configured prefix, [`DEFAULT_PREFIX`] by default.
    Own(&'static str),
}

use Access::{Admin, Anyone, Caller};
use Path::{At, Own};

/// All commands. If two match a path, the first with the request's method is used.
static COMMANDS: [Entry; 20] = [
    entry("GET", At("/ping"), Anyone, |_| Command::Ping),
    entry("GET", At("/healthz"), Anyone, |_| Command::Health),
    entry("GET", Own("/ui"), Anyone, |_| Command::Page),
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
    entry("GET", Own("/recent"), Admin, |_| Command::Recent),
    Entry { takes_body: true, ..entry("POST", Own("/upstreams/{}/eject"), Admin, Command::Eject) },
    entry("POST", Own("/upstreams/{}/restore"), Admin, Command::Restore),
];

const fn entry(method: &'static str, path: Path, access: Access, command: fn(String) -> Command) -> Entry {
    Entry { method, path, access, allow: method, takes_body: false, command }
}

/// Why a request is not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCommand {
    /// It is the gateway's own path, but with another method; the value for `Allow`.
    WrongMethod(&'static str),
    /// It is not the gateway's own path.
    Unknown,
}

/// The default prefix of the gateway's own paths.
pub const DEFAULT_PREFIX: &str = "/gateway";

impl Path {
    /// The name in place of `{}`, undecoded; empty if the path has none. `None`: another path.
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
    /// The command of a request. `path` has no query.
    ///
    /// # Errors
    /// It is not a command, or it has another method.
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

    /// Its method.
    pub fn method(&self) -> &'static str {
        self.entry().map_or("", |entry| entry.method)
    }

    /// Whether it reads a body; other commands are answered without waiting for it.
    pub fn takes_body(&self) -> bool {
        self.entry().is_some_and(|entry| entry.takes_body)
    }

    /// Its permission.
    pub fn access(&self) -> Access {
        if *self == Command::Texts {
            return Caller;
        }
        self.entry().map_or(Admin, |entry| entry.access)
    }
}
