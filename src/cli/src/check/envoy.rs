//! An Envoy configuration, by what Sluice needs of it: a bootstrap, or a file of listeners or clusters.

use super::filters::{self, Plugin};
use super::{clusters, manager, meaning, routes, Report};
use crate::yaml::{Data, Tree};

/// What was found in the file.
pub(super) struct Envoy<'a> {
    pub(super) root: &'a Tree,
    pub(super) listeners: Vec<&'a Tree>,
    /// `None` where they are elsewhere, so that nothing can be said of those that are not here.
    pub(super) clusters: Option<Vec<&'a Tree>>,
}

/// One of Envoy's HTTP connection managers, with Sluice in it.
pub(super) struct Manager<'a> {
    pub(super) tree: &'a Tree,
    pub(super) listener: &'a Tree,
    pub(super) plugins: Vec<Plugin<'a>>,
}

/// What Envoy buffers where nothing is said of it, in bytes.
pub(super) const DEFAULT_LIMIT: f64 = 1_048_576.0;

impl Manager<'_> {
    /// How much of a request's body, or of an answer, is kept for the filters, and where that is said.
    pub(super) fn buffer_limit(&self) -> (&Tree, Option<f64>) {
        let hosts = self.tree.at(&["route_config", "virtual_hosts"]).map(Tree::items).unwrap_or_default();
        let limits =
            [("request_body_buffer_limit", hosts.first()), ("per_connection_buffer_limit_bytes", Some(self.listener))];
        let said = limits.into_iter().find_map(|(field, tree)| tree?.get(field));
        (said.unwrap_or(self.listener), said.and_then(number))
    }
}

/// Whether a value is of a type of Envoy's, by the end of the type's name.
pub(super) fn is_type(tree: &Tree, name: &str) -> bool {
    tree.text_of("@type").is_some_and(|text| text.rsplit('.').next() == Some(name))
}

/// What an object is called.
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

    /// Every check of the file.
    pub(super) fn check(&self, report: &mut Report) {
        let managers = self.managers();
        let elsewhere = self.root.at(&["dynamic_resources", "lds_config"]).is_some();
        if managers.is_empty() && !self.listeners.is_empty() && !elsewhere {
            let line = self.listeners.first().map_or(1, |listener| listener.line);
            let problem = "no filter of Sluice's is in it";
            report.error(
                "no_filters",
                line,
                "http_filters",
                problem,
                "put them into http_filters, as envoy.yaml has them",
            );
        }
        let mut plugins: Vec<&Plugin<'_>> = managers.iter().flat_map(|manager| &manager.plugins).collect();
        let of_clusters: Vec<Plugin<'_>> =
            self.clusters.iter().flatten().flat_map(|one| clusters::plugins(one)).collect();
        plugins.extend(&of_clusters);
        filters::check(&plugins, report);
        for manager in &managers {
            let sections = filters::sections(manager, report);
            let upstreams = filters::upstreams(&sections);
            manager::check(manager, report);
            routes::check(self, manager, &upstreams, report);
            clusters::check(self, manager, &sections, &upstreams, report);
            self.address(manager, &sections, report);
        }
        self.admin(report);
    }

    fn managers(&self) -> Vec<Manager<'a>> {
        let mut found = Vec::new();
        for listener in &self.listeners {
            let chains = listener.get("filter_chains").map(Tree::items).unwrap_or_default();
            for chain in chains.iter().chain(listener.get("default_filter_chain")) {
                for filter in chain.get("filters").map(Tree::items).unwrap_or_default() {
                    let Some(tree) = filter.get("typed_config").filter(|tree| is_type(tree, "HttpConnectionManager"))
                    else {
                        continue;
                    };
                    let plugins = manager::plugins(tree);
                    if !plugins.is_empty() {
                        found.push(Manager { tree, listener, plugins });
                    }
                }
            }
        }
        found
    }

    fn address(&self, manager: &Manager<'_>, sections: &filters::Read<'_>, report: &mut Report) {
        let Some(address) = manager.listener.at(&["address", "socket_address"]) else { return };
        if !address.text_of("address").is_some_and(meaning::is_open) {
            return;
        }
        meaning::demo_keys(&sections.values(), &|path| sections.locate(path).0, report);
        let chains = manager.listener.get("filter_chains").map(Tree::items).unwrap_or_default();
        if !chains.iter().any(|chain| chain.get("transport_socket").is_some()) {
            report.warning("plain_listener", address.line, "address", meaning::PLAIN, meaning::PLAIN_FIX);
        }
    }

    fn admin(&self, report: &mut Report) {
        let Some(address) = self.root.at(&["admin", "address", "socket_address"]) else { return };
        if address.text_of("address").is_some_and(meaning::is_open) {
            report.warning("open_admin", address.line, "admin.address", meaning::ADMIN, meaning::ADMIN_FIX);
        }
    }
}

/// A number of bytes or of anything else, however it is written: Envoy takes `{value: 5}` in some places, text in others.
pub(super) fn number(tree: &Tree) -> Option<f64> {
    match &tree.data {
        Data::Map(_) => tree.get("value").and_then(number),
        Data::Text(text) => text.parse().ok(),
        _ => tree.number(),
    }
}

/// Seconds, as Envoy writes times: `0.5s`.
pub(super) fn seconds(tree: &Tree) -> Option<f64> {
    tree.text()?.strip_suffix('s')?.parse().ok()
}
