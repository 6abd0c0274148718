//! What is asked of the gateway itself, by path and method.

use crate::uri::percent_decode;

/// What is asked of the gateway itself. The paths that begin with `/gateway` begin with its configured prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `GET /ping`: whether anybody is there.
    Ping,
    /// `GET /healthz`: the same for load balancers and orchestrators.
    Health,
    /// `GET /v1/models`: the models that the caller may use.
    Models,
    /// `GET /v1/models/{model}`: one of them.
    Model(String),
    /// `GET /api/tags` and `GET /tags`: the same in Ollama's form.
    Tags,
    /// `GET /api/version`: the version of Ollama whose API is spoken.
    Version,
    /// `GET /api/ps`: the models that Ollama has in memory, of which the gateway knows nothing.
    Running,
    /// `GET /gateway/whoami`: who the caller is.
    WhoAmI,
    /// `GET /gateway/limits`: what is left of the caller's limits.
    Limits,
    /// `GET /gateway/usage`: what has been used; of the caller's own key, unless it is an administrator's.
    Usage,
    /// `GET /gateway/keys`: everyone who may call.
    Keys,
    /// `POST /gateway/keys`: a new virtual key.
    IssueKey,
    /// `DELETE /gateway/keys/{id}`: revokes a key.
    RevokeKey(String),
    /// `POST /gateway/keys/{id}/restore`: takes a revocation back.
    RestoreKey(String),
    /// `GET /gateway/upstreams`: the state of every upstream.
    Upstreams,
    /// `POST /gateway/upstreams/{cluster}/eject`: takes a cluster out of the pool.
    Eject(String),
    /// `POST /gateway/upstreams/{cluster}/restore`: takes it in again.
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
        let command = Command::at(path, prefix, method).ok_or(NoCommand::Unknown)?;
        let allowed = command.method();
        if method == allowed || (method == "HEAD" && command.access() == Access::Anyone) {
            return Ok(command);
        }
        Err(NoCommand::WrongMethod(match command {
            Command::Keys => "GET, POST",
            _ => allowed,
        }))
    }

    /// The command at a path. Where there are two, the method tells which.
    fn at(path: &str, prefix: &str, method: &str) -> Option<Command> {
        match path {
            "/ping" => return Some(Command::Ping),
            "/healthz" => return Some(Command::Health),
            "/v1/models" => return Some(Command::Models),
            "/tags" | "/api/tags" => return Some(Command::Tags),
            "/api/version" => return Some(Command::Version),
            "/api/ps" => return Some(Command::Running),
            _ => {}
        }
        if let Some(model) = path.strip_prefix("/v1/models/") {
            return Some(Command::Model(percent_decode(model).into_owned()));
        }
        let own = path.strip_prefix(prefix)?;
        match (own, method) {
            ("/whoami", _) => return Some(Command::WhoAmI),
            ("/limits", _) => return Some(Command::Limits),
            ("/usage", _) => return Some(Command::Usage),
            ("/keys", "POST") => return Some(Command::IssueKey),
            ("/keys", _) => return Some(Command::Keys),
            ("/upstreams", _) => return Some(Command::Upstreams),
            _ => {}
        }
        if let Some(id) = own.strip_prefix("/keys/") {
            let decoded = |id| percent_decode(id).into_owned();
            // an id may have a slash in it
            return Some(match id.strip_suffix("/restore").filter(|_| method != "DELETE") {
                Some(id) => Command::RestoreKey(decoded(id)),
                None => Command::RevokeKey(decoded(id)),
            });
        }
        let (cluster, verb) = own.strip_prefix("/upstreams/")?.rsplit_once('/')?;
        let cluster = percent_decode(cluster).into_owned();
        match verb {
            "eject" => Some(Command::Eject(cluster)),
            "restore" => Some(Command::Restore(cluster)),
            _ => None,
        }
    }

    /// The method it takes.
    pub fn method(&self) -> &'static str {
        match self {
            Command::Ping | Command::Health | Command::Models | Command::Model(_) | Command::Tags => "GET",
            Command::Version | Command::Running => "GET",
            Command::WhoAmI | Command::Limits | Command::Usage | Command::Keys | Command::Upstreams => "GET",
            Command::IssueKey | Command::RestoreKey(_) | Command::Eject(_) | Command::Restore(_) => "POST",
            Command::RevokeKey(_) => "DELETE",
        }
    }

    /// Whether it reads a body; others are answered without waiting for it.
    pub fn takes_body(&self) -> bool {
        match self {
            Command::IssueKey | Command::Eject(_) => true,
            Command::Ping | Command::Health | Command::Models | Command::Model(_) | Command::Tags => false,
            Command::Version | Command::Running => false,
            Command::WhoAmI | Command::Limits | Command::Usage | Command::Keys | Command::Upstreams => false,
            Command::RevokeKey(_) | Command::RestoreKey(_) | Command::Restore(_) => false,
        }
    }

    /// Who may ask for it.
    pub fn access(&self) -> Access {
        match self {
            Command::Ping | Command::Health => Access::Anyone,
            Command::Models | Command::Model(_) | Command::Tags => Access::Caller,
            Command::Version | Command::Running => Access::Caller,
            Command::WhoAmI | Command::Limits | Command::Usage => Access::Caller,
            Command::Keys | Command::IssueKey | Command::RevokeKey(_) | Command::RestoreKey(_) => Access::Admin,
            Command::Upstreams | Command::Eject(_) | Command::Restore(_) => Access::Admin,
        }
    }
}
