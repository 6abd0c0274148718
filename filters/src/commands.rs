//! Runs commands to the gateway itself: the only place with the implementation of each command.
//!
//! `auth` knows the keys, and `router` the upstreams; the first filter with the needed data answers a command. Without
//! `auth` there are no keys, and nobody is an administrator.

use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::gateway::{self, Access, Command};
use sluice::keys::{admin as written, Auth};
use sluice::routing::{Table, Upstream};

use crate::admin;
use crate::admission::without_caller;
use crate::clusters;
use crate::host;
use crate::limits;
use crate::page;
use crate::recent_requests;
use crate::reply::CommandReply;
use crate::texts;

/// The filter that should answer, by its data.
#[derive(Clone, Copy)]
pub enum By<'a> {
    /// Keys.
    Auth(&'a Auth),
    /// Models and upstreams.
    Router(&'a Table),
}

/// The answer to a command, whose stream has Envoy's number `context`. `None`: the request is not a command, or another
/// filter answers it.
pub fn serve(exchange: &mut Exchange, by: By<'_>, context: u32) -> Option<Result<CommandReply, ApiError>> {
    if let (Some((Command::Limits, _)), By::Auth(auth), Some(identity)) = (exchange.command(), by, exchange.identity())
    {
        match admin::limited(auth, identity, &exchange.original().path) {
            Ok(reported) => exchange.report_limits(reported), // `router` adds the models
            Err(error) => return Some(Err(error)),
        }
    }
    if let (Command::Texts, _) = exchange.command()? {
        let permitted = permit(Access::Caller, exchange, by);
        return Some(permitted.and_then(|()| texts::begin(exchange, context)).map(|()| CommandReply::later()));
    }
    let (command, body) = exchange.command()?;
    answer(command, body, exchange, by).transpose()
}

fn answer(command: &Command, body: &[u8], exchange: &Exchange, by: By<'_>) -> Result<Option<CommandReply>, ApiError> {
    permit(command.access(), exchange, by)?;
    let known = || exchange.identity().map(AsRef::as_ref).ok_or_else(without_caller);
    Ok(Some(match (command, by) {
        (Command::Ping, _) => CommandReply::text("pong"),
        (Command::Page, _) => page::page(),
        (Command::Health, _) => CommandReply::json(r#"{"status":"ok"}"#),
        (Command::WhoAmI, By::Auth(_)) => CommandReply::json(written::whoami(known()?)),
        (Command::Usage, By::Auth(auth)) => admin::usage(auth, known()?, &exchange.original().path)?,
        (Command::Recent, By::Auth(_)) => CommandReply::json(recent_requests::list()),
        (Command::Keys, By::Auth(auth)) => admin::list(auth),
        (Command::IssueKey, By::Auth(auth)) => admin::issue(auth, body)?,
        (Command::RevokeKey(id), By::Auth(auth)) => {
            if *id == known()?.id && !written::is_forced(&exchange.original().path)? {
                return Err(own_key());
            }
            admin::revoke(auth, id)?
        }
        (Command::RestoreKey(id), By::Auth(auth)) => admin::restore(auth, id)?,
        (Command::Models, By::Router(table)) => CommandReply::json(gateway::models(exchange.usable_models(table))),
        (Command::Model(name), By::Router(table)) => {
            let found = exchange.usable_models(table).find(|known| known == name);
            let name = found.ok_or_else(|| exchange.unknown_model(table, name))?;
            let mut json = String::new();
            gateway::model(&mut json, name);
            CommandReply::json(json)
        }
        (Command::Tags, By::Router(table)) => CommandReply::json(gateway::tags(exchange.usable_models(table))),
        (Command::Version, By::Router(_)) => CommandReply::json(gateway::OLLAMA_VERSION),
        (Command::Running, By::Router(_)) => CommandReply::json(gateway::OLLAMA_RUNNING),
        (Command::Limits, By::Router(table)) if exchange.identity().is_some() => {
            CommandReply::json(limits::report(&exchange.limits(table)))
        }
        (Command::Upstreams, By::Router(table)) => {
            let states = table.upstreams().iter().map(|upstream| (upstream, clusters::state(upstream)));
            CommandReply::json(gateway::list(states, host::now()))
        }
        (Command::Eject(name), By::Router(table)) => {
            let upstream = find(table, name)?;
            clusters::eject(upstream, gateway::ejection_time(body)?);
            entry(upstream)
        }
        (Command::Restore(name), By::Router(table)) => {
            let upstream = find(table, name)?;
            clusters::restore(upstream);
            entry(upstream)
        }
        (
            Command::Models
            | Command::Model(_)
            | Command::Tags
            | Command::Version
            | Command::Running
            | Command::Limits
            | Command::Upstreams
            | Command::Eject(_)
            | Command::Restore(_)
            | Command::Texts,
            By::Auth(_),
        ) => return Ok(None),
        (
            Command::WhoAmI
            | Command::Limits
            | Command::Usage
            | Command::Recent
            | Command::Keys
            | Command::IssueKey
            | Command::RevokeKey(_)
            | Command::RestoreKey(_)
            | Command::Texts,
            By::Router(_),
        ) => return Err(ApiError::unknown_path(command.method(), &exchange.original().path)),
    }))
}

/// Whether the caller has permission.
fn permit(access: Access, exchange: &Exchange, by: By<'_>) -> Result<(), ApiError> {
    let role = exchange.identity().map(|identity| identity.role);
    match by {
        _ if access.allows(role) => Ok(()),
        By::Auth(_) if role.is_none() => Err(without_caller()),
        // without `auth` everyone may call
        By::Router(_) if access == Access::Caller => Ok(()),
        By::Auth(_) | By::Router(_) => Err(ApiError::admin_only()),
    }
}

fn own_key() -> ApiError {
    let message =
        "This is the id of the key that you call with; repeat it with `?force=true` if that is what you want.";
    ApiError::conflict("own_key", "id", message)
}

fn find<'a>(table: &'a Table, cluster: &str) -> Result<&'a Upstream, ApiError> {
    let upstreams = table.upstreams();
    let found = upstreams.iter().find(|upstream| upstream.cluster == cluster);
    let known = || upstreams.iter().map(|upstream| upstream.cluster.as_str()).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| ApiError::unknown_cluster(cluster, &known()))
}

fn entry(upstream: &Upstream) -> CommandReply {
    let mut json = String::new();
    gateway::entry(&mut json, upstream, &clusters::state(upstream), host::now());
    CommandReply::json(json)
}
