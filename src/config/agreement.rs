//! What the settings of one filter say of another's.

use serde_json::Value;

use super::reader::{parse, suggestion, ConfigError, Node};
use crate::pattern::overlap;

/// Compares the settings of filters in one entry, each of which has been read on its own: a check limited to a model
/// that nobody serves, or to a key that nobody has, would check nothing, and nobody would notice.
///
/// # Errors
/// Such a model or key, with the one that was probably meant.
pub fn agree(root: &str, bytes: &[u8]) -> Result<(), ConfigError> {
    let value = parse(root, bytes)?;
    let part = |name| value.get(name).map(|part: &Value| Node::root(name, part));
    let models = part("router").map(|router| models(&router)).transpose()?;
    let keys = part("auth").map(|auth| keys(&auth)).transpose()?.flatten();
    let Some(guard) = part("guard") else {
        return Ok(());
    };
    for check in list(&guard, "checks")? {
        if let Some(models) = &models {
            exist(&check, "models", "model", models)?;
        }
        if let Some(keys) = &keys {
            exist(&check, "keys", "key", keys)?;
        }
    }
    Ok(())
}

/// Whether everything that a field of a check names is known.
fn exist(check: &Node<'_>, field: &str, what: &str, known: &[&str]) -> Result<(), ConfigError> {
    for named in list(check, field)? {
        let name = named.text()?;
        if !known.iter().any(|known| overlap(name, known)) {
            let fix = suggestion(name, known.iter().copied());
            return Err(named.error(format!("no {what} {name:?}, so that nothing would be checked{fix}")));
        }
    }
    Ok(())
}

fn models<'a>(router: &Node<'a>) -> Result<Vec<&'a str>, ConfigError> {
    let mut names = Vec::new();
    for model in list(router, "models")? {
        names.push(model.any_object()?.require("name")?.text()?);
        for alias in list(&model, "aliases")? {
            names.push(alias.text()?);
        }
    }
    Ok(names)
}

/// `None` where callers come with names that are written nowhere here.
fn keys<'a>(auth: &Node<'a>) -> Result<Option<Vec<&'a str>>, ConfigError> {
    let fields = auth.any_object()?;
    if ["virtual_keys", "oidc"].iter().any(|way| fields.get(way).is_some()) {
        return Ok(None);
    }
    let mut names = Vec::new();
    for (callers, name) in [("keys", "id"), ("users", "name")] {
        for caller in list(auth, callers)? {
            names.push(caller.any_object()?.require(name)?.text()?);
        }
    }
    Ok(Some(names))
}

/// The list that is a field of an object; where it is not written, an empty one.
fn list<'a>(object: &Node<'a>, field: &str) -> Result<Vec<Node<'a>>, ConfigError> {
    object.any_object()?.get(field).map_or(Ok(Vec::new()), |node| node.list())
}
