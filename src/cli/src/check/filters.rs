//! Checks of the filters' entries: their names, their VM, and their configuration.

use serde_json::Value;

use super::bootstrap::{Manager, Plugin, CHAIN};
use super::sections;
use super::{meaning, Report};
use crate::yaml::Tree;

/// Checks that apply to every entry.
pub(super) fn check(plugins: &[&Plugin<'_>], report: &mut Report) {
    let first = plugins.first().and_then(|plugin| plugin.config.get("vm_config"));
    for plugin in plugins {
        let names = plugin.names();
        let places: Option<Vec<usize>> =
            names.iter().map(|name| CHAIN.iter().position(|known| known == name)).collect();
        let in_order = places.is_some_and(|places| places.is_sorted_by(|one, next| one < next));
        if plugin.root_id != "attempt" && !in_order {
            let problem =
                format!("{:?} is not the name of a filter, so Envoy refuses the configuration", plugin.root_id);
            let known: Vec<&str> = CHAIN.iter().copied().filter(|known| names.contains(known)).collect();
            let fix = match known.len() == names.len() {
                true => format!("root_id: {}", known.join("+")),
                false => "auth, guard, router and usage, joined by + in this order; or attempt alone".to_owned(),
            };
            report.error("root_id", plugin.line_of("root_id"), "config.root_id", problem, fix);
        }
        if !plugin
            .config
            .get("allow_on_headers_stop_iteration")
            .is_some_and(|flag| flag.is_true() || flag.get("value").is_some_and(Tree::is_true))
        {
            report.error(
                "allow_on_headers_stop_iteration",
                plugin.line_of("allow_on_headers_stop_iteration"),
                "config.allow_on_headers_stop_iteration",
                "the filter needs the body before the headers go on; without this setting Envoy never sends it, and requests hang",
                "allow_on_headers_stop_iteration: true",
            );
        }
        if plugin.config.text_of("failure_policy") != Some("FAIL_RELOAD") {
            let problem = "after a crash of the filters this worker answers 503 until Envoy restarts";
            report.error(
                "failure_policy",
                plugin.line_of("failure_policy"),
                "config.failure_policy",
                problem,
                "failure_policy: FAIL_RELOAD",
            );
        }
        let Some(vm) = plugin.config.get("vm_config") else {
            report.error(
                "vm_config",
                plugin.config.line,
                "config.vm_config",
                "is missing",
                "vm_config: *sluice_vm, like the other filters",
            );
            continue;
        };
        if let Some(first) = first {
            same_vm(first, vm, report);
        }
    }
}

/// A request's filters share its record in the memory of one VM.
fn same_vm(first: &Tree, vm: &Tree, report: &mut Report) {
    let id = |vm: &Tree| vm.text_of("vm_id").unwrap_or_default().to_owned();
    let line = |field: &str| vm.get(field).map_or(vm.line, |tree| tree.line);
    if id(first) != id(vm) {
        let problem = format!(
            "differs from the first filter's {:?}; filters in different VMs share no data, so requests fail",
            id(first)
        );
        report.error(
            "vm_id",
            line("vm_id"),
            "vm_config.vm_id",
            problem,
            "vm_config: *sluice_vm, and once for all filters: vm_config: &sluice_vm",
        );
        return;
    }
    for field in ["code", "environment_variables", "configuration", "runtime"] {
        let json = |vm: &Tree| vm.get(field).map(Tree::json);
        if json(first) != json(vm) {
            let problem = format!("`{field}` differs from the first filter's; it is undefined which one applies");
            report.error(
                "vm_config",
                line(field),
                &format!("vm_config.{field}"),
                problem,
                "vm_config: *sluice_vm, and once for all filters: vm_config: &sluice_vm",
            );
        }
    }
}

/// Checks the configuration of one connection manager's filters.
pub(super) struct Read<'a> {
    parts: Vec<(&'static str, &'a Tree, Value)>,
}

impl<'a> Read<'a> {
    pub(super) fn values(&self) -> Vec<(&'static str, Value)> {
        self.parts.iter().map(|(name, _, value)| (*name, value.clone())).collect()
    }

    /// The line for a path of the core.
    pub(super) fn locate(&self, path: &str) -> (usize, String) {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (name, rest) = path.split_at(end);
        let part = self.parts.iter().find(|(other, _, _)| *other == name);
        (part.map_or(1, |(_, tree, _)| tree.line_of(rest)), path.to_owned())
    }

    pub(super) fn part(&self, name: &str) -> Option<&'a Tree> {
        self.parts.iter().find(|(other, _, _)| *other == name).map(|(_, tree, _)| *tree)
    }
}

/// Reads the configuration of all filters, and checks it.
pub(super) fn sections<'a>(manager: &Manager<'a>, report: &mut Report) -> Read<'a> {
    let mut read = Read { parts: Vec::new() };
    for plugin in &manager.plugins {
        let Some(value) = plugin.config.get("configuration").map(|tree| tree.get("value").unwrap_or(tree)) else {
            continue;
        };
        let names = plugin.names();
        let known: Vec<&'static str> = CHAIN.iter().copied().filter(|name| names.contains(name)).collect();
        variables(plugin, value, report);
        match known.as_slice() {
            [name] if names.len() == 1 => read.parts.push((*name, value, value.json())),
            _ => {
                for (field, part) in value.entries() {
                    match known.iter().find(|name| *name == field) {
                        Some(name) => read.parts.push((*name, part, part.json())),
                        None if plugin.root_id == "attempt" => {}
                        None => {
                            let problem = "root_id has no filter with this name, so Envoy refuses the configuration";
                            report.error(
                                "configuration",
                                part.line,
                                field,
                                problem,
                                "add it to root_id, as in auth+guard+router+usage, or remove it",
                            );
                        }
                    }
                }
                for name in known.iter().filter(|name| **name == "auth" || **name == "router") {
                    if value.get(name).is_none() {
                        report.error(
                            "configuration",
                            value.line,
                            name,
                            "is missing",
                            "add its configuration, as in envoy.yaml",
                        );
                    }
                }
            }
        }
    }
    let values: Vec<(&'static str, Value)> = read.values();
    for error in sections::read(values.as_slice()) {
        let (line, path) = read.locate(error.path());
        report.error("configuration", line, &path, error.problem(), "");
    }
    meaning::check(values.as_slice(), &|path| read.locate(path), report);
    read
}

/// Every named variable must be visible to the VM.
fn variables(plugin: &Plugin<'_>, value: &Tree, report: &mut Report) {
    let environment = plugin.config.at(&["vm_config", "environment_variables"]);
    let keys = environment.and_then(|tree| tree.get("host_env_keys")).map(Tree::items).unwrap_or_default();
    let values = environment.and_then(|tree| tree.get("key_values")).map(Tree::entries).unwrap_or_default();
    for (name, line) in sections::variables(value) {
        let seen = keys.iter().any(|key| key.text() == Some(&name)) || values.iter().any(|(key, _)| *key == name);
        if !seen {
            let problem = format!("the filters cannot see the environment variable {name}, so Envoy does not start");
            report.error(
                "host_env_keys",
                line,
                &name,
                problem,
                format!("add {name} to host_env_keys under vm_config.environment_variables"),
            );
        }
        sections::unset(&name, line, report);
    }
}

/// The upstreams' clusters, and the lines that name them.
pub(super) fn upstreams(read: &Read<'_>) -> Vec<(String, usize)> {
    let upstreams =
        read.part("router").and_then(|router| router.get("upstreams")).map(Tree::entries).unwrap_or_default();
    let named = upstreams.iter().map(|(name, tree)| match tree.get("cluster") {
        Some(cluster) => (cluster.text().unwrap_or(name).to_owned(), cluster.line),
        None => (name.clone(), tree.line),
    });
    named.collect()
}
