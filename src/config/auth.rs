//! The configuration of `auth`: the callers.

use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashSet;

use super::credential::{is_variable_name, unset, Environment};
use super::reader::{parse, ConfigError, Node, Object};
use super::{ledger, limits, oidc, shared_limits, tools};
use crate::keys::{
    check_label, Auth, Identity, KeyHash, KeyRing, LabelLimits, Revocation, Revocations, Role, Roles, Signer, UserEntry,
};
use crate::keys::{MAX_LABELS, MAX_LABEL_LIMITS};
use crate::password::{is_name, PasswordHash, MAX_NAME};
use crate::pattern::Patterns;

/// The fields of `auth`.
pub const AUTH_FIELDS: &[&str] = &[
    "keys",
    "users",
    "roles",
    "virtual_keys",
    "revoked",
    "tools",
    "limits",
    "label_limits",
    "shared",
    "ledger",
    "gateway_prefix",
    "oidc",
];

/// The fields of an entry of `auth.label_limits`.
pub const LABEL_LIMIT_FIELDS: &[&str] = &["label", "value", "limits"];

/// The common fields of keys and users.
const IDENTITY_FIELDS: [&str; 6] = ["role", "models", "tools", "labels", "limits", "issued"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the callers.
///
/// # Errors
/// The first mistake, with its path.
pub fn auth(bytes: &[u8], environment: Environment<'_>) -> Result<Auth, ConfigError> {
    let value = parse("auth", bytes)?;
    let root = Node::root("auth", &value).object(AUTH_FIELDS)?;
    if !["keys", "users", "virtual_keys", "oidc"].iter().any(|way| root.get(way).is_some()) {
        return Err(root.error("nobody could call; add keys, users, virtual_keys or oidc"));
    }
    let roles = roles(root.get("roles"))?;
    let mut ids = HashSet::new();
    let ring = ring(root.get("keys"), &roles, &mut ids)?;
    let users = users(root.get("users"), &roles, &mut ids)?;
    let (signer, max_expires_in) = virtual_keys(root.get("virtual_keys"), environment)?;
    let oidc = root.get("oidc").map(|node| oidc::read(&node)).transpose()?;
    if ring.is_empty() && users.is_empty() && signer.is_none() && oidc.is_none() {
        let node = root.get("keys").map_or_else(|| root.require("users"), Ok)?;
        return Err(node.error("no key at all, so nobody could call; add one"));
    }
    Ok(Auth {
        ring,
        users,
        signer,
        max_expires_in,
        revoked: revoked(root.get("revoked"))?,
        tools: tools::read(root.get("tools"))?.map(Rc::new),
        limits: limits::read(root.get("limits"))?,
        label_limits: label_limits(root.get("label_limits"))?,
        shared: root.get("shared").map(|node| shared_limits::read(&node).map(Rc::new)).transpose()?,
        ledger: root.get("ledger").map(|node| ledger::read(&node, environment).map(Rc::new)).transpose()?,
        prefix: root.get("gateway_prefix").map_or(Ok("/gateway".to_owned()), |node| prefix(&node))?,
        roles,
        oidc,
        verified: Default::default(),
    })
}

/// A caller's unique name in stats and logs.
fn id<'a>(node: &Node<'a>, ids: &mut HashSet<&'a str>) -> Result<&'a str, ConfigError> {
    let id = node.text()?;
    if id.len() > 256 || id.chars().any(char::is_control) {
        return Err(node.error("must be at most 256 bytes, without control characters"));
    }
    ids.insert(id);
    Ok(id)
}

fn ring<'a>(node: Option<Node<'a>>, roles: &Roles, ids: &mut HashSet<&'a str>) -> Result<KeyRing, ConfigError> {
    let mut ring = KeyRing::default();
    for node in node.map_or(Ok(Vec::new()), |node| node.list())? {
        let fields = node.object(&[&["id", "hash", "expires"], &IDENTITY_FIELDS[..]].concat())?;
        let known = ids.len();
        let id = id(&fields.require("id")?, ids)?;
        let hash = fields.require("hash")?;
        // the value is not quoted, because it may be the key itself, pasted by mistake
        let parsed = KeyHash::parse(hash.text()?).ok_or_else(|| {
            hash.error("must be \"sha256:\" and 64 hexadecimal digits; make it with: printf %s 'sk-...' | sha256sum")
        })?;
        let mut identity = identity(id, &fields, roles)?;
        identity.expires = fields.get("expires").map(|node| node.timestamp()).transpose()?;
        if ids.len() == known {
            return Err(node.error(format!("a second key with the id {id:?}; ids name keys in stats")));
        }
        if !ring.insert(parsed, identity) {
            return Err(node.error("the same hash as an earlier key's; give each key its own"));
        }
    }
    Ok(ring)
}

fn users<'a>(node: Option<Node<'a>>, roles: &Roles, ids: &mut HashSet<&'a str>) -> Result<Vec<UserEntry>, ConfigError> {
    let mut users = Vec::new();
    for node in node.map_or(Ok(Vec::new()), |node| node.list())? {
        let fields = node.object(&[&["name", "hash"], &IDENTITY_FIELDS[..]].concat())?;
        let known = ids.len();
        let at = fields.require("name")?;
        let name = id(&at, ids)?;
        if name.contains(':') {
            return Err(at.error("must not contain a colon: in HTTP Basic it ends the name"));
        }
        if !is_name(name) {
            return Err(at.error(format!("must be at most {MAX_NAME} bytes, without control characters")));
        }
        let hash = fields.require("hash")?;
        // the text is not quoted, because it may be the password
        let parsed = PasswordHash::parse(hash.text()?).map_err(|problem| hash.error(problem.to_string()))?;
        let identity = identity(name, &fields, roles)?;
        if ids.len() == known {
            return Err(node.error(format!("a second key or user with the id {name:?}; ids name callers in stats")));
        }
        users.push(UserEntry { identity: Rc::new(identity), hash: parsed });
    }
    Ok(users)
}

fn identity(id: &str, fields: &Object<'_>, roles: &Roles) -> Result<Identity, ConfigError> {
    let own = [Role::User, Role::Admin].map(|role| (role.name(), role));
    let choices: Vec<(&str, Role)> = own.into_iter().chain(roles.names()).collect();
    Ok(Identity {
        id: id.to_owned(),
        role: fields.get("role").map_or(Ok(Role::User), |node| node.choice(&choices))?,
        models: fields.get("models").map_or(Ok(Patterns::any()), |node| node.texts().map(Patterns::new))?,
        tools: tools::read(fields.get("tools"))?.map(Box::new),
        labels: read_labels(fields.get("labels"))?,
        limits: limits::read(fields.get("limits"))?,
        expires: None,
        issued: false,
        issued_at: fields.get("issued").map(|node| node.timestamp()).transpose()?,
    })
}

/// Reads `labels`: names and values that the operator chooses, by name.
///
/// # Errors
/// The first mistake, with its path.
pub(crate) fn read_labels(node: Option<Node<'_>>) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(node) = node else {
        return Ok(Vec::new());
    };
    let mut labels = Vec::new();
    for (name, value) in node.entries()? {
        let text = value.text()?;
        check_label(name, text).map_err(|problem| value.error(problem))?;
        labels.push((name.to_owned(), text.to_owned()));
    }
    if labels.len() > MAX_LABELS {
        return Err(node.error(format!("must be at most {MAX_LABELS}")));
    }
    Ok(labels)
}

/// Limits at label values: `{label: team, value: a, limits: {...}}`.
fn label_limits(node: Option<Node<'_>>) -> Result<LabelLimits, ConfigError> {
    let mut found = LabelLimits::default();
    let list = node.as_ref().map_or(Ok(Vec::new()), |node| node.list())?;
    if let Some(node) = node.filter(|_| list.len() > MAX_LABEL_LIMITS) {
        return Err(node.error(format!("must be at most {MAX_LABEL_LIMITS}")));
    }
    for node in list {
        let fields = node.object(LABEL_LIMIT_FIELDS)?;
        let (label, value) = (fields.require("label")?, fields.require("value")?);
        let (name, text) = (label.text()?, value.text()?);
        check_label(name, text).map_err(|problem| node.error(format!("is no label: {problem}")))?;
        let at = fields.require("limits")?;
        let limits = limits::read(Some(at))?;
        if limits.is_unlimited() {
            return Err(node.error("has no limit; set one in `limits`, such as cost_per_month"));
        }
        if !found.insert(name, text, limits) {
            return Err(node.error(format!("a second entry for the label {name:?} with the value {text:?}")));
        }
    }
    Ok(found)
}

fn roles(node: Option<Node<'_>>) -> Result<Roles, ConfigError> {
    let Some(node) = node else {
        return Ok(Roles::default());
    };
    let fields = node.object(&["user", "admin"])?;
    let Roles { user, admin } = Roles::default();
    let names = |name: &str, default| fields.get(name).map_or(Ok(default), |node| node.texts());
    let roles = Roles { user: names("user", user)?, admin: names("admin", admin)? };
    let own = |names: &[String], other: &str| names.iter().any(|name| name == other);
    if let Some(name) = roles.user.iter().find(|name| own(&roles.admin, name) || *name == "admin") {
        return Err(node.error(format!("{name:?} is a name of both roles; give each its own")));
    }
    if own(&roles.admin, "user") {
        return Err(node.error("\"user\" is a name of both roles; give each its own"));
    }
    Ok(roles)
}

/// The secrets that sign virtual keys, and the keys' maximum lifetime.
fn virtual_keys(
    node: Option<Node<'_>>,
    environment: Environment<'_>,
) -> Result<(Option<Signer>, Duration), ConfigError> {
    let default = DAY * 90;
    let Some(node) = node else {
        return Ok((None, default));
    };
    let fields = node.object(&["secrets", "max_expires_in"])?;
    let max_expires_in = fields.get("max_expires_in").map_or(Ok(default), |node| node.duration())?;
    if max_expires_in < Duration::from_secs(1) {
        return Err(fields.require("max_expires_in")?.error("must be a second or more"));
    }
    let list = fields.require("secrets")?;
    let secrets = list.list()?;
    let (first, second) = match secrets.as_slice() {
        [first] => (first, None),
        [first, second] => (first, Some(second)),
        _ => return Err(list.error("must be one secret, or two: the current one, and the previous one")),
    };
    let (at, first) = secret(first, environment)?;
    let first = first.ok_or_else(|| unset(&at))?;
    // between two rotations there is no previous secret
    let second = second.map(|node| secret(node, environment)).transpose()?.and_then(|(_, secret)| secret);
    let signer = Signer::new(first.as_bytes(), second.as_deref().map(str::as_bytes));
    // each has been checked separately
    Ok((Some(signer.map_err(|error| list.error(format!("one of them {error}")))?), max_expires_in))
}

/// A secret, if its variable is set, and the node that names the variable.
fn secret<'a>(node: &Node<'a>, environment: Environment<'_>) -> Result<(Node<'a>, Option<String>), ConfigError> {
    let env = node.object(&["env"])?.require("env")?;
    let name = env.text()?;
    if !is_variable_name(name) {
        // not quoted, because it may be the secret itself, pasted by mistake
        return Err(env.error("is not the name of an environment variable; put the secret itself into the variable"));
    }
    let secret = environment(name).filter(|secret| !secret.is_empty());
    if let Some(Err(error)) = secret.as_ref().map(|secret| Signer::new(secret.as_bytes(), None)) {
        return Err(env.error(format!("the value of {name} {error}")));
    }
    Ok((env, secret))
}

fn revoked(node: Option<Node<'_>>) -> Result<Revocations, ConfigError> {
    let mut revoked = Revocations::default();
    for node in node.map_or(Ok(Vec::new()), |node| node.list())? {
        let (id, revocation) = match node.is_text() {
            true => (node.text()?, Revocation::default()),
            false => {
                let fields = node.object(&["id", "before", "until"])?;
                let time = |name| fields.get(name).map(|node| node.timestamp()).transpose();
                (fields.require("id")?.text()?, Revocation { before: time("before")?, until: time("until")? })
            }
        };
        revoked.revoke(id, revocation).map_err(|error| node.error(format!("cannot be kept: {error}")))?;
    }
    Ok(revoked)
}

/// The prefix of the gateway's own paths.
fn prefix(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~');
    if !text.starts_with('/') || text.ends_with('/') || text.contains("//") || !text.bytes().all(plain) {
        return Err(node.error(format!("{text:?} is not a path prefix; write it like /gateway")));
    }
    Ok(text.to_owned())
}
