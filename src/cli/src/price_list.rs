//! The prices of well-known models: the operator's list, else the shipped one.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::yaml::Tree;

const SHIPPED: &str = include_str!("prices.yaml");

/// Prices by provider and model.
pub(crate) struct List(Tree);

impl List {
    /// # Errors
    /// The operator's list is not YAML.
    pub(crate) fn read() -> Result<List, String> {
        Tree::parse(&text()).map(List).map_err(|error| {
            let (line, problem) = (error.line, error.problem);
            format!("the list of prices, line {line}: {problem}; replace it with `sluice prices update FILE`")
        })
    }

    /// A provider's prices.
    pub(crate) fn of(&self, provider: &str) -> Option<&Tree> {
        self.0.get(provider)
    }
}

/// The list as text.
pub(crate) fn text() -> String {
    path().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_else(|| SHIPPED.to_owned())
}

/// The file of the operator's list.
pub(crate) fn path() -> Option<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")))?;
    Some(config.join("sluice").join("prices.yaml"))
}
