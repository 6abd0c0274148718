//! Envoy's configuration in three files, so that listeners and clusters change while it runs.

use super::template::{Lost, Template};

/// The three files.
pub(crate) struct Split {
    /// The part that only changes with a restart; it names the other two files.
    pub(crate) bootstrap: String,
    pub(crate) clusters: String,
    pub(crate) listeners: String,
}

/// The files' names, in the directory `directory`.
pub(crate) const BOOTSTRAP: &str = "envoy.yaml";
pub(crate) const CLUSTERS: &str = "clusters.yaml";
pub(crate) const LISTENERS: &str = "listeners.yaml";

/// Splits the rendered configuration; Envoy finds the other two files in `directory`.
pub(crate) fn split(rendered: &str, directory: &str) -> Result<Split, Lost> {
    let mut template = Template::new(rendered);
    let statics = template.find(0, "static_resources:")?;
    let listeners = template.find(statics, "listeners:")?;
    let clusters = template.find(listeners, "clusters:")?;
    let files = Split {
        bootstrap: String::new(),
        clusters: resources("envoy.config.cluster.v3.Cluster", &template.lines(template.block(clusters))),
        listeners: resources("envoy.config.listener.v3.Listener", &template.lines(template.block(listeners))),
    };
    let source = |file: &str| {
        // only this setting notices a swap of the whole directory, as with a ConfigMap
        let path = serde_json::Value::from(format!("{directory}/{file}"));
        let watched = serde_json::Value::from(directory);
        format!("{{resource_api_version: V3, path_config_source: {{path: {path}, watched_directory: {{path: {watched}}}}}}}")
    };
    let dynamic = vec![
        "# Envoy reads these two again when a new file is moved there.".to_owned(),
        "node: {id: gateway, cluster: gateway}".to_owned(),
        "dynamic_resources:".to_owned(),
        format!("  cds_config: {}", source(CLUSTERS)),
        format!("  lds_config: {}", source(LISTENERS)),
    ];
    template.replace(statics..template.block(clusters).end, dynamic);
    Ok(Split { bootstrap: template.into_text(), ..files })
}

/// A file of resources: each with its type, indented by two less than before.
fn resources(kind: &str, block: &[String]) -> String {
    let mut text = "resources:\n".to_owned();
    for line in block {
        let line = line.strip_prefix("  ").unwrap_or(line);
        match line.strip_prefix("  - ") {
            Some(rest) => text.push_str(&format!("  - \"@type\": type.googleapis.com/{kind}\n    {rest}\n")),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

/// The resources of the file `old` that the file `new` no longer has. They are added to it while they are in use.
pub(crate) fn missing(old: &str, new: &str) -> String {
    let names = |block: &&str| block.lines().find_map(|line| line.trim().strip_prefix("name: ").map(str::to_owned));
    let blocks = |text: &str| -> Vec<String> {
        let mut blocks: Vec<String> = Vec::new();
        for line in text.lines().skip(1) {
            match (line.starts_with("  - "), blocks.last_mut()) {
                (false, Some(last)) => last.push_str(&format!("{line}\n")),
                _ => blocks.push(format!("{line}\n")),
            }
        }
        blocks
    };
    let kept: Vec<Option<String>> = blocks(new).iter().map(|block| names(&block.as_str())).collect();
    blocks(old).into_iter().filter(|block| !kept.contains(&names(&block.as_str()))).collect()
}
