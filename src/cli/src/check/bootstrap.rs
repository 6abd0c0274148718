//! The parts of an Envoy configuration that Sluice needs: of a bootstrap, or of a file of listeners or clusters.

use crate::yaml::{Data, Tree};

/// Joined by `+` in this order, or `attempt` alone.
pub(super) const CHAIN: [&str; 4] = ["auth", "guard", "router", "usage"];

/// The parts found in the file.
pub(super) struct Envoy<'a> {
    pub(super) root: &'a Tree,
    pub(super) listeners: Vec<&'a Tree>,
    /// `None` if they are in another file, so that nothing can be checked.
    pub(super) clusters: Option<Vec<&'a Tree>>,
}

/// One of Envoy's HTTP connection managers with Sluice in it.
pub(super) struct Manager<'a> {
    pub(super) tree: &'a Tree,
    pub(super) listener: &'a Tree,
    pub(super) plugins: Vec<Plugin<'a>>,
}

/// Envoy's default for buffers, in bytes.
pub(super) const DEFAULT_LIMIT: f64 = 1_048_576.0;

impl Manager<'_> {
    /// How much of a request body or an answer is kept for the filters, and the line that says so.
    pub(super) fn buffer_limit(&self) -> (&Tree, Option<f64>) {
        let hosts = self.tree.at(&["route_config", "virtual_hosts"]).map(Tree::items).unwrap_or_default();
        let limits =
            [("request_body_buffer_limit", hosts.first()), ("per_connection_buffer_limit_bytes", Some(self.listener))];
        let said = limits.into_iter().find_map(|(field, tree)| tree?.get(field));
        (said.unwrap_or(self.listener), said.and_then(number))
    }
}

/// Whether a value has this Envoy type, by the end of the type's name.
pub(super) fn is_type(tree: &Tree, name: &str) -> bool {
    tree.text_of("@type").is_some_and(|text| text.rsplit('.').next() == Some(name))
}

/// An object's name.
pub(super) fn name_of(tree: &Tree) -> &str {
    tree.text_of("name").unwrap_or("?")
}

impl<'a> Envoy<'a> {
    pub(super) fn new(root: &'a Tree) -> Self {
        let resources = || root.get("resources").map(Tree::items).unwrap_or_default();
        let of_type = |name: &'static str| resources().iter().filter(move |one| is_type(one, name));
        let statics = |name: &str| root.at(&["static_resources", name]).map(Tree::items).unwrap_or_default();
        let listeners = statics("listeners").iter().chain(of_type("Listener")).collect();
        let elsewhere = root.at(&["dynamic_resources", "cds_config"]).is_some()
            || root.at(&["dynamic_resources", "ads_config"]).is_some();
        let own: Vec<&Tree> = statics("clusters").iter().chain(of_type("Cluster")).collect();
        let known = !elsewhere && (root.get("static_resources").is_some() || !own.is_empty());
        Envoy { root, listeners, clusters: known.then_some(own) }
    }
}

/// An entry of one of Sluice's filters.
pub(super) struct Plugin<'a> {
    /// The entry's `config`.
    pub(super) config: &'a Tree,
    pub(super) root_id: &'a str,
}

/// The entry in a filter's `typed_config`, if it is one of Sluice's.
pub(super) fn plugin(filter: &Tree) -> Option<Plugin<'_>> {
    let config = filter.get("typed_config").filter(|tree| is_type(tree, "Wasm"))?.get("config")?;
    let root_id = config.text_of("root_id").unwrap_or_default();
    let file = config.at(&["vm_config", "code", "local", "filename"]).and_then(Tree::text).unwrap_or_default();
    let known = root_id == "attempt" || root_id.split('+').any(|name| CHAIN.contains(&name));
    (known || file.ends_with("sluice.wasm")).then_some(Plugin { config, root_id })
}

impl Plugin<'_> {
    pub(super) fn names(&self) -> Vec<&str> {
        self.root_id.split('+').collect()
    }

    pub(super) fn line_of(&self, field: &str) -> usize {
        self.config.get(field).map_or(self.config.line, |tree| tree.line)
    }
}

/// A number in any form: Envoy accepts `{value: 5}` in some places, text in others.
pub(super) fn number(tree: &Tree) -> Option<f64> {
    match &tree.data {
        Data::Map(_) => tree.get("value").and_then(number),
        Data::Text(text) => text.parse().ok(),
        _ => tree.number(),
    }
}

/// Seconds in Envoy's format: `0.5s`.
pub(super) fn seconds(tree: &Tree) -> Option<f64> {
    tree.text()?.strip_suffix('s')?.parse().ok()
}
