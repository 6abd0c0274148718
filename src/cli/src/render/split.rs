//! Envoy's configuration in files, so that it changes while Envoy runs: the part that only a restart changes, and one file
//! for each of the resources that Envoy reads again: clusters, listeners, routes, and the configuration of the filters.

use sha2::{Digest, Sha256};

use super::template::{between, indentation, Lost, Template};
use crate::short::providers::PROVIDERS;
use crate::yaml::quoted;
use crate::Failure;

/// The files' texts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Split {
    /// Names the directory of the other files; it only changes with a restart.
    pub(crate) bootstrap: String,
    pub(crate) clusters: String,
    pub(crate) listeners: String,
    pub(crate) routes: String,
    pub(crate) filters: String,
}

pub(crate) const BOOTSTRAP: &str = "envoy.yaml";
pub(crate) const CLUSTERS: &str = "clusters.yaml";
pub(crate) const LISTENERS: &str = "listeners.yaml";
pub(crate) const ROUTES: &str = "routes.yaml";
pub(crate) const FILTERS: &str = "filters.yaml";

/// All of them.
pub(crate) const FILES: [&str; 5] = [BOOTSTRAP, CLUSTERS, LISTENERS, ROUTES, FILTERS];

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

impl Split {
    /// The texts of files that were rendered before. They get versions of their own, so that an edited file has another one.
    ///
    /// # Errors
    /// One cannot be read, or is not a file of resources.
    pub(crate) fn read(mut read: impl FnMut(&str) -> Result<String, Failure>) -> Result<Split, Failure> {
        let mut resources = |name: &str| match read(name)?.split_once("resources:\n") {
            Some((_, body)) => Ok(versioned(body)),
            None => Err(Failure::Input(format!("{name} has no `resources`; `sluice render --dir` writes such files"))),
        };
        let (clusters, listeners) = (resources(CLUSTERS)?, resources(LISTENERS)?);
        let (routes, filters) = (resources(ROUTES)?, resources(FILTERS)?);
        Ok(Split { bootstrap: read(BOOTSTRAP)?, clusters, listeners, routes, filters })
    }

    /// One of the files.
    pub(crate) fn file(&self, name: &str) -> &str {
        match name {
            CLUSTERS => &self.clusters,
            LISTENERS => &self.listeners,
            ROUTES => &self.routes,
            FILTERS => &self.filters,
            _ => &self.bootstrap,
        }
    }
}

/// The environment variables that the filters can see: their VM reads the names once, so those of every provider are
/// among them, and an upstream can be added while Envoy runs.
pub(crate) fn environment(own: impl IntoIterator<Item = String>) -> Vec<String> {
    let known = PROVIDERS.iter().map(|provider| provider.variable.to_owned()).filter(|name| !name.is_empty());
    let mut names: Vec<String> = known.chain(["SLUICE_KEY_SECRET".to_owned()]).chain(own).collect();
    names.sort();
    names.dedup();
    names
}

/// Splits the rendered configuration; Envoy finds the other files in `directory`, and sees the variables `environment`.
pub(crate) fn split(rendered: &str, directory: &str, environment: &[String]) -> Result<Split, Lost> {
    let mut template = Template::new(rendered);
    let source = |file: &str| {
        // only this setting notices a swap of the whole directory, as with a ConfigMap
        let path = serde_json::Value::from(format!("{directory}/{file}"));
        let watched = serde_json::Value::from(directory);
        format!("{{resource_api_version: V3, path_config_source: {{path: {path}, watched_directory: {{path: {watched}}}}}}}")
    };
    let variables = template.find(0, "environment_variables:")?;
    let names: Vec<String> = environment.iter().map(|name| quoted(name)).collect();
    template.change(variables, |line| between(line, "host_env_keys: [", "]", &names.join(", ")))?;

    let filter = template.find(0, "- name: sluice")?;
    let entry = template.block(filter);
    one_vm(&mut template, filter)?;
    let filters = template.lines(entry.clone());
    let by = indentation(template.line(filter)) + 2;
    template.replace(
        entry,
        vec![
            format!("{:by$}config_discovery:", ""),
            format!("{:by$}  config_source: {}", "", source(FILTERS)),
            format!("{:by$}  type_urls: [{WASM}]", ""),
        ],
    );
    let route = template.find(0, "route_config:")?;
    let table = template.block(route);
    let routes = template.lines(table.clone());
    let by = indentation(template.line(route));
    template.replace(
        route..table.end,
        vec![
            format!("{:by$}rds:", ""),
            format!("{:by$}  route_config_name: gateway", ""),
            format!("{:by$}  config_source: {}", "", source(ROUTES)),
        ],
    );

    let statics = template.find(0, "static_resources:")?;
    let listeners = template.find(statics, "listeners:")?;
    let clusters = template.find(listeners, "clusters:")?;
    let list = |template: &Template, at: usize| {
        let lines = template.lines(template.block(at));
        lines.iter().map(|line| line.strip_prefix("  ").unwrap_or(line).to_owned()).collect::<Vec<_>>()
    };
    let (listener_lines, cluster_lines) = (list(&template, listeners), list(&template, clusters));
    let dynamic = vec![
        "# Envoy reads these files, and those that they name, again when a new file is moved there.".to_owned(),
        "node: {id: gateway, cluster: gateway}".to_owned(),
        "dynamic_resources:".to_owned(),
        format!("  cds_config: {}", source(CLUSTERS)),
        format!("  lds_config: {}", source(LISTENERS)),
    ];
    template.replace(statics..template.block(clusters).end, dynamic);
    let filters = [vec!["  - name: sluice".to_owned()], moved(&filters, 4)].concat();
    let mut routes = moved(&routes, 4);
    if let Some(first) = routes.first_mut() {
        *first = first.replacen("    ", "  - ", 1);
    }
    Ok(Split {
        bootstrap: template.into_text(),
        clusters: resources("envoy.config.cluster.v3.Cluster", &cluster_lines),
        listeners: resources("envoy.config.listener.v3.Listener", &listener_lines),
        routes: resources("envoy.config.route.v3.RouteConfiguration", &routes),
        filters: resources("envoy.config.core.v3.TypedExtensionConfig", &filters),
    })
}

/// Writes the VM of the filters' entry to that of `attempt` as well, which is in another file.
fn one_vm(template: &mut Template, filter: usize) -> Result<(), Lost> {
    let vm = template.find(filter, "vm_config: &sluice_vm")?;
    let lines = template.lines(template.block(vm));
    let other = template.find(vm, "vm_config: *sluice_vm")?;
    let by = indentation(template.line(other));
    template.change(other, |line| line.strip_suffix(" *sluice_vm").map(str::to_owned))?;
    template.change(vm, |line| line.strip_suffix(" &sluice_vm").map(str::to_owned))?;
    template.replace(other + 1..other + 1, moved(&lines, by + 2));
    Ok(())
}

/// The lines with the first one indented by `by`, and the others as far from it as before.
fn moved(lines: &[String], by: usize) -> Vec<String> {
    let from = lines.first().map_or(0, |line| indentation(line));
    let all = lines.iter().map(|line| match line.trim().is_empty() {
        true => String::new(),
        false => format!("{:1$}{2}", "", (indentation(line) + by).saturating_sub(from), line.trim_start()),
    });
    all.collect()
}

/// A file of resources, each with its type.
fn resources(kind: &str, lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        match line.strip_prefix("  - ") {
            Some(rest) => text.push_str(&format!("  - \"@type\": type.googleapis.com/{kind}\n    {rest}\n")),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    versioned(&text)
}

/// The file with a version made from its text; Envoy shows which one it uses.
fn versioned(text: &str) -> String {
    let version: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("version_info: \"{version}\"\nresources:\n{text}")
}

/// A file's version.
pub(crate) fn version(file: &str) -> &str {
    file.split('"').nth(1).unwrap_or_default()
}

/// A file's resources.
fn body(file: &str) -> &str {
    file.split_once("resources:\n").map_or("", |(_, body)| body)
}

/// The clusters of the file `new`, and those of the file `old` that it no longer has: requests still use them.
pub(crate) fn with_old_clusters(new: &str, old: &str) -> String {
    let name = |block: &str| block.lines().find_map(|line| line.trim().strip_prefix("name: ").map(str::to_owned));
    let blocks = |file: &str| -> Vec<String> {
        let mut blocks: Vec<String> = Vec::new();
        for line in body(file).lines() {
            match (line.starts_with("  - "), blocks.last_mut()) {
                (false, Some(last)) => last.push_str(&format!("{line}\n")),
                _ => blocks.push(format!("{line}\n")),
            }
        }
        blocks
    };
    let kept: Vec<Option<String>> = blocks(new).iter().map(|block| name(block)).collect();
    let old: String = blocks(old).into_iter().filter(|block| !kept.contains(&name(block))).collect();
    versioned(&format!("{}{old}", body(new)))
}

/// The routes of the file `new`, with the matcher lines of the file `old` for clusters that it no longer has.
pub(crate) fn with_old_routes(new: &str, old: &str) -> String {
    let map = |template: &Template| template.find(template.find(0, "exact_match_map:")?, "map:");
    let lines = |template: &Template| map(template).map(|at| template.lines(template.block(at)));
    let key = |line: &str| line.split_once(": {action").map(|(key, _)| key.trim().to_owned());
    let mut template = Template::new(body(new));
    let (Ok(at), Ok(own), Ok(old)) = (map(&template), lines(&template), lines(&Template::new(body(old)))) else {
        return new.to_owned();
    };
    let kept: Vec<Option<String>> = own.iter().map(|line| key(line)).collect();
    let lost = old.into_iter().filter(|line| !kept.contains(&key(line)));
    let end = template.block(at).end;
    template.replace(end..end, lost.collect());
    versioned(&template.into_text())
}
