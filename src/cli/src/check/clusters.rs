//! Checks of clusters: each one must work for the filters.

use super::bootstrap::{is_type, name_of, number, plugin, seconds, Envoy, Manager, Plugin, DEFAULT_LIMIT};
use super::filters::Read;
use super::{manager, meaning, Report};
use crate::yaml::Tree;

/// A cluster's HTTP options.
fn options(cluster: &Tree) -> Option<&Tree> {
    let options = cluster.get("typed_extension_protocol_options")?.entries();
    options.iter().map(|(_, tree)| tree).find(|tree| is_type(tree, "HttpProtocolOptions"))
}

/// Sluice's filters in a cluster's own `http_filters`.
pub(super) fn plugins(cluster: &Tree) -> Vec<Plugin<'_>> {
    let filters = options(cluster).and_then(|tree| tree.get("http_filters")).map(Tree::items).unwrap_or_default();
    filters.iter().filter_map(plugin).collect()
}

pub(super) fn check(
    envoy: &Envoy<'_>,
    manager: &Manager<'_>,
    read: &Read<'_>,
    upstreams: &[(String, usize)],
    report: &mut Report,
) {
    let Some(clusters) = &envoy.clusters else { return };
    let find = |name: &str| clusters.iter().find(|cluster| cluster.text_of("name") == Some(name));
    for (name, line) in upstreams {
        match find(name) {
            Some(cluster) => upstream(cluster, manager, read, report),
            None => {
                let problem = format!("Envoy has no cluster {name:?}, so every request that picks it gets 503");
                report.error(
                    "upstream_without_cluster",
                    *line,
                    &format!("upstreams: {name}"),
                    problem,
                    "add it under `clusters`, or correct the name",
                );
            }
        }
    }
    for (path, name) in meaning::services(&read.values()) {
        let (line, _) = read.locate(&path);
        match find(&name) {
            Some(cluster) => tls(cluster, report),
            None => {
                let problem = format!("Envoy has no cluster {name:?}, so calls to it get no answer");
                report.error(
                    "service_without_cluster",
                    line,
                    &path,
                    problem,
                    "add it under `clusters`, or correct the name",
                );
            }
        }
    }
}

fn upstream(cluster: &Tree, manager: &Manager<'_>, read: &Read<'_>, report: &mut Report) {
    let name = name_of(cluster);
    let path = |field: &str| format!("clusters[{name}].{field}");
    breakers(cluster, report);
    if let Some(options) = options(cluster) {
        if let Some(filters) = options.get("http_filters") {
            manager::attempt(filters.items(), filters.line, &path("http_filters"), report);
        }
        let auto = options.at(&["upstream_http_protocol_options", "auto_sni"]).filter(|flag| flag.is_true());
        if let Some(auto) = auto {
            report.error(
                "auto_sni",
                auto.line,
                &path("auto_sni"),
                "a retry sends the name of the previous server, for which this one has no certificate",
                "remove it, and set `sni` in transport_socket",
            );
        }
        if let Some(time) = options
            .at(&["common_http_protocol_options", "max_stream_duration"])
            .filter(|time| seconds(time).is_some_and(|seconds| seconds > 0.0))
        {
            report.error(
                "cuts_streams",
                time.line,
                &path("max_stream_duration"),
                "ends requests after this time, long streams among them",
                "take it out",
            );
        }
    }
    if let Some(flag) = cluster.at(&["upstream_http_protocol_options", "auto_sni"]).filter(|flag| flag.is_true()) {
        report.error(
            "auto_sni",
            flag.line,
            &path("auto_sni"),
            "a retry sends the name of the previous server, for which this one has no certificate",
            "remove it, and set `sni` in transport_socket",
        );
    }
    tls(cluster, report);
    limit(cluster, manager, read, report);
    no_host(cluster, report);
    if let Some(time) =
        cluster.get("connect_timeout").filter(|time| seconds(time).is_some_and(|seconds| seconds > 15.0))
    {
        report.warning(
            "connect_timeout",
            time.line,
            &path("connect_timeout"),
            "if the server is down, each request waits this long before the next one is tried",
            "connect_timeout: 5s",
        );
    }
}

/// Envoy's defaults are for services with short answers: 1024 requests, and three retries at a time.
fn breakers(cluster: &Tree, report: &mut Report) {
    let path = format!("clusters[{}].circuit_breakers", name_of(cluster));
    let thresholds = cluster.at(&["circuit_breakers", "thresholds"]);
    let first = thresholds
        .map(Tree::items)
        .unwrap_or_default()
        .iter()
        .find(|one| one.text_of("priority").is_none_or(|priority| priority == "DEFAULT"));
    let Some(first) = first else {
        let line = cluster.get("circuit_breakers").map_or(cluster.line, |tree| tree.line);
        report.error(
            "circuit_breakers",
            line,
            &path,
            "with Envoy's defaults (3 retries at a time, 1024 requests), requests fail under load",
            "circuit_breakers: *no_limits, like the other clusters",
        );
        return;
    };
    for (field, least) in [
        ("max_retries", 100.0),
        ("max_requests", 1025.0),
        ("max_pending_requests", 1025.0),
        ("max_connections", 1025.0),
    ] {
        let value = first.get(field);
        if !value.and_then(number).is_some_and(|number| number >= least) {
            let problem = format!("{field} is low, so requests fail under load: Envoy answers 503 without trying");
            report.error(
                "circuit_breakers",
                value.map_or(first.line, |tree| tree.line),
                &format!("{path}.{field}"),
                problem,
                format!("{field}: 100000"),
            );
        }
    }
}

fn tls(cluster: &Tree, report: &mut Report) {
    let name = name_of(cluster);
    let path = |field: &str| format!("clusters[{name}].transport_socket.{field}");
    let Some(context) =
        cluster.at(&["transport_socket", "typed_config"]).filter(|tree| is_type(tree, "UpstreamTlsContext"))
    else {
        let ports = addresses(cluster);
        if let Some((_, line)) = ports.iter().find(|(port, _)| *port == 443.0) {
            report.error(
                "no_tls",
                *line,
                &format!("clusters[{name}]"),
                "port 443 speaks TLS, but the cluster does not, so every request fails",
                "add transport_socket as in examples/providers.yaml",
            );
        }
        return;
    };
    if context.text_of("sni").is_none_or(str::is_empty) {
        report.error(
            "no_sni",
            context.line,
            &path("sni"),
            "providers choose their certificate by this name; without it the connection fails",
            format!("sni: {}", host(cluster)),
        );
    }
    let validation = context
        .at(&["common_tls_context", "validation_context"])
        .or_else(|| context.at(&["common_tls_context", "combined_validation_context", "default_validation_context"]));
    let elsewhere = context.at(&["common_tls_context", "validation_context_sds_secret_config"]).is_some()
        || context.at(&["common_tls_context", "combined_validation_context"]).is_some();
    match validation {
        None if elsewhere => {}
        None => report.error(
            "no_trusted_ca",
            context.line,
            &path("validation_context"),
            "without it Envoy accepts any certificate: an attacker in between gets the key and the prompts",
            "validation_context with trusted_ca and match_typed_subject_alt_names",
        ),
        Some(validation) => {
            if validation.get("trusted_ca").is_none() && validation.get("system_root_certs").is_none() && !elsewhere {
                report.error(
                    "no_trusted_ca",
                    validation.line,
                    &path("trusted_ca"),
                    "without it Envoy accepts any certificate: an attacker in between gets the key and the prompts",
                    "trusted_ca: {filename: /etc/ssl/certs/ca-certificates.crt}",
                );
            }
            if validation.get("match_typed_subject_alt_names").is_none() {
                report.error(
                    "no_san",
                    validation.line,
                    &path("match_typed_subject_alt_names"),
                    "Envoy accepts the certificate of any server, not only this one's",
                    format!(
                        "match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{exact: {}}}}}]",
                        host(cluster)
                    ),
                );
            }
        }
    }
}

/// The name of the cluster's server: that of the TLS settings, else of its first address.
fn host(cluster: &Tree) -> String {
    let (mut sni, mut address) = (None, None);
    cluster.walk(&mut |tree| {
        sni = sni.or(tree.text_of("sni"));
        address = address.or(tree.at(&["socket_address", "address"]).and_then(Tree::text));
    });
    sni.or(address).unwrap_or("the server's name").to_owned()
}

/// A cluster's ports, and their lines.
fn addresses(cluster: &Tree) -> Vec<(f64, usize)> {
    let mut found = Vec::new();
    if let Some(assignment) = cluster.get("load_assignment") {
        assignment.walk(&mut |tree| {
            found.extend(tree.at(&["socket_address", "port_value"]).and_then(|port| Some((number(port)?, port.line))));
        });
    }
    found
}

/// The bytes read ahead must fit into the held ones.
fn limit(cluster: &Tree, manager: &Manager<'_>, read: &Read<'_>, report: &mut Report) {
    let field = "per_connection_buffer_limit_bytes";
    let at_once = cluster.get(field).and_then(number).unwrap_or(DEFAULT_LIMIT);
    let kept = manager.buffer_limit().1.unwrap_or(DEFAULT_LIMIT);
    let holds =
        read.part("router").and_then(|router| router.get("hold_json")).is_none_or(|size| size.number() != Some(0.0));
    if holds && at_once > kept {
        let line = cluster.get(field).map_or(cluster.line, |tree| tree.line);
        let path = format!("clusters[{}].{field}", name_of(cluster));
        report.error(
            "buffer_limit",
            line,
            &path,
            "is more than request_body_buffer_limit; held JSON answers would get 500",
            "set it to at most that: 1048576",
        );
    }
}

/// An unresolved name is only retried if the cluster has a second endpoint, to which no connection succeeds.
fn no_host(cluster: &Tree, report: &mut Report) {
    let endpoints = cluster.at(&["load_assignment", "endpoints"]).map(Tree::items).unwrap_or_default();
    let by_name = cluster.text_of("type").is_some_and(|kind| kind.ends_with("_DNS"));
    if by_name
        && !endpoints
            .iter()
            .any(|endpoint| endpoint.get("priority").and_then(number).is_some_and(|priority| priority > 0.0))
    {
        let line = cluster.get("load_assignment").map_or(cluster.line, |tree| tree.line);
        let path = format!("clusters[{}].load_assignment", name_of(cluster));
        report.warning(
            "no_host",
            line,
            &path,
            "if its name does not resolve, requests fail at once, and no other provider is tried",
            "add {priority: 1, lb_endpoints: [*no_host]}, as in envoy.yaml",
        );
    }
}
