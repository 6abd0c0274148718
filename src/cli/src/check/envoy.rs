//! Every check of an Envoy configuration.

use super::bootstrap::{is_type, plugin, Envoy, Manager, Plugin};
use super::{clusters, filters, manager, meaning, routes, websocket, Report};
use crate::yaml::Tree;

/// Every check of the file.
pub(super) fn check(envoy: &Envoy<'_>, report: &mut Report) {
    let managers = managers(envoy);
    let elsewhere = envoy.root.at(&["dynamic_resources", "lds_config"]).is_some();
    if managers.is_empty() && !envoy.listeners.is_empty() && !elsewhere {
        let line = envoy.listeners.first().map_or(1, |listener| listener.line);
        let problem = "it has none of Sluice's filters";
        report.error("no_filters", line, "http_filters", problem, "add them to http_filters, as in envoy.yaml");
    }
    let mut plugins: Vec<&Plugin<'_>> = managers.iter().flat_map(|manager| &manager.plugins).collect();
    let of_clusters: Vec<Plugin<'_>> = envoy.clusters.iter().flatten().flat_map(|one| clusters::plugins(one)).collect();
    plugins.extend(&of_clusters);
    filters::check(&plugins, report);
    for manager in &managers {
        let sections = filters::sections(manager, report);
        let upstreams = filters::upstreams(&sections);
        manager::check(manager, report);
        websocket::check(manager, report);
        routes::check(envoy, manager, &upstreams, report);
        clusters::check(envoy, manager, &sections, &upstreams, report);
        address(manager, &sections, report);
    }
    let resources = |kind: &'static str| {
        let all = envoy.root.get("resources").map(Tree::items).unwrap_or_default();
        all.iter().filter(move |tree| is_type(tree, kind))
    };
    for routes in resources("RouteConfiguration") {
        routes::table(envoy, routes, &[], report);
    }
    for tree in resources("TypedExtensionConfig") {
        let filter = Manager { tree, listener: tree, plugins: plugin(tree).into_iter().collect() };
        filters::check(&filter.plugins.iter().collect::<Vec<_>>(), report);
        if !filter.plugins.is_empty() {
            filters::sections(&filter, report);
        }
    }
    admin(envoy, report);
}

fn managers<'a>(envoy: &Envoy<'a>) -> Vec<Manager<'a>> {
    let mut found = Vec::new();
    for listener in &envoy.listeners {
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

fn address(manager: &Manager<'_>, sections: &filters::Read<'_>, report: &mut Report) {
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

fn admin(envoy: &Envoy<'_>, report: &mut Report) {
    let Some(address) = envoy.root.at(&["admin", "address", "socket_address"]) else { return };
    if address.text_of("address").is_some_and(meaning::is_open) {
        report.warning("open_admin", address.line, "admin.address", meaning::ADMIN, meaning::ADMIN_FIX);
    }
}
