//! The configuration of several filters in one entry.

use serde_json::Value;

use super::reader::{parse, ConfigError, Node};
use super::suggestion::suggestion;
use crate::pattern::{overlap, Patterns};

/// The filters that can share an entry, and their order.
const FILTERS: [&str; 4] = ["auth", "guard", "router", "usage"];
const CHAIN: &str = "auth+guard+router+usage";

/// The settings of the filters in one entry: an object with a field for each.
pub struct Joined {
    root: String,
    value: Value,
}

impl Joined {
    /// Reads them; `root` is their name in messages.
    ///
    /// # Errors
    /// No configuration.
    pub fn parse(root: &str, bytes: &[u8]) -> Result<Self, ConfigError> {
        Ok(Joined { root: root.to_owned(), value: parse(root, bytes)? })
    }

    /// The settings of each of the filters `names`.
    ///
    /// # Errors
    /// An unknown field.
    pub fn split(&self, names: &[&str]) -> Result<Vec<Vec<u8>>, ConfigError> {
        let root = Node::root(&self.root, &self.value);
        for (name, node) in root.entries()? {
            if FILTERS.contains(&name) && !names.contains(&name) {
                return Err(node.error(format!("there is no such filter here; add it to root_id, as in {CHAIN}")));
            }
        }
        let fields = root.object(names)?;
        Ok(names.iter().map(|name| fields.get(name).map(|node| node.to_json()).unwrap_or_default()).collect())
    }

    /// Compares the filters' settings with each other, after each has been read. A check limited to an unknown model or
    /// key would check nothing, and nobody would notice.
    ///
    /// # Errors
    /// The unknown model or key, with a suggestion.
    pub fn agree(&self) -> Result<(), ConfigError> {
        let Some(guard) = self.part("guard") else {
            return Ok(());
        };
        let models = self.part("router").map(|router| models(&router)).transpose()?;
        let keys = self.part("auth").map(|auth| keys(&auth)).transpose()?.flatten();
        for check in list(&guard, "checks")? {
            if let Some(models) = &models {
                exist(&check, "models", "model", models)?;
            }
            if let Some(router) = self.part("router") {
                covers_choices(&check, &router)?;
            }
            if let Some(keys) = &keys {
                exist(&check, "keys", "key", keys)?;
            }
        }
        Ok(())
    }

    /// A filter's settings.
    fn part(&self, name: &str) -> Option<Node<'_>> {
        self.value.get(name).filter(|part| !part.is_null()).map(|part| Node::root(name, part))
    }
}

/// Whether all names in a field of a check are known.
fn exist(check: &Node<'_>, field: &str, what: &str, known: &[&str]) -> Result<(), ConfigError> {
    for named in list(check, field)? {
        let name = named.text()?;
        if !known.iter().any(|known| overlap(name, known)) {
            let fix = suggestion(name, known.iter().copied());
            return Err(named.error(format!("no {what} {name:?}, so that nothing is checked by it{fix}")));
        }
    }
    Ok(())
}

/// Whether a check for some models covers virtual ones as well: a request is checked under the virtual model's name, its
/// answer under the name of the model that was chosen.
fn covers_choices(check: &Node<'_>, router: &Node<'_>) -> Result<(), ConfigError> {
    let Some(node) = check.any_object()?.get("models") else {
        return Ok(());
    };
    let patterns = Patterns::new(node.texts()?);
    for model in list(router, "models")? {
        let fields = model.any_object()?;
        let Some(choose) = fields.get("choose") else {
            continue;
        };
        let name = fields.require("name")?.text()?;
        let choose = choose.any_object()?;
        let mut chosen = vec![choose.require("otherwise")?.text()?];
        for kind in choose.require("kinds")?.list()? {
            chosen.push(kind.any_object()?.require("model")?.text()?);
        }
        if let (false, Some(model)) = (patterns.matches(name), chosen.iter().find(|model| patterns.matches(model))) {
            let message = "which this check would not see in a request; add";
            return Err(node.error(format!("{name:?} may choose {model:?}, {message} {name:?}")));
        }
        if let (true, Some(model)) = (patterns.matches(name), chosen.iter().find(|model| !patterns.matches(model))) {
            let message = "under whose name its answers are checked; add";
            return Err(node.error(format!("{name:?} may choose {model:?}, {message} {model:?}")));
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

/// `None` if callers can have names that are not in the configuration.
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

/// The list in a field of an object; empty if it is missing.
fn list<'a>(object: &Node<'a>, field: &str) -> Result<Vec<Node<'a>>, ConfigError> {
    object.any_object()?.get(field).map_or(Ok(Vec::new()), |node| node.list())
}
