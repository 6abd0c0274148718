//! The clusters, in the template's form.

use super::template::{between, indentation, Lost, Template};
use crate::short::{Address, Cluster};
use crate::yaml::quoted;

/// The lines of `clusters`: the first one copies the template's first, with its comments; the others copy its second.
pub(super) fn lines<'a>(template: &Template, clusters: impl Iterator<Item = &'a Cluster>) -> Result<Vec<String>, Lost> {
    let at = template.find(template.find(0, "static_resources:")?, "clusters:")?;
    let block = template.lines(template.block(at));
    let mut starts =
        (0..block.len()).filter(|line| block.get(*line).is_some_and(|line| line.trim().starts_with("- name:")));
    let (Some(first), Some(second)) = (starts.next(), starts.next()) else {
        return Err(Lost("two clusters"));
    };
    let third = starts.next().unwrap_or(block.len());
    let (first, second) = (block.get(first..second).unwrap_or_default(), block.get(second..third).unwrap_or_default());
    let mut lines = Vec::new();
    for (index, cluster) in clusters.enumerate() {
        lines.extend(written(if index == 0 { first } else { second }, cluster)?);
    }
    Ok(lines)
}

fn written(like: &[String], cluster: &Cluster) -> Result<Vec<String>, Lost> {
    let name = quoted(&cluster.name);
    let mut lines = Vec::new();
    for line in like {
        let trimmed = line.trim();
        lines.push(match trimmed.split(' ').next().unwrap_or_default() {
            "-" if trimmed.starts_with("- name:") => format!("{:1$}- name: {name}", "", indentation(line)),
            "cluster_name:" => format!("{:1$}cluster_name: {name}", "", indentation(line)),
            "connect_timeout:" => format!("{:1$}connect_timeout: {2}", "", indentation(line), cluster.connect_timeout),
            "-" if trimmed.starts_with("- lb_endpoints:") => {
                addressed(line, &cluster.address).ok_or(Lost("a cluster's address"))?
            }
            _ => line.clone(),
        });
    }
    let by = like.first().map_or(4, |line| indentation(line)) + 2;
    if cluster.http2 {
        lines.extend(
            [
                "typed_extension_protocol_options:",
                "  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:",
                "    \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "    explicit_http_config: {http2_protocol_options: {}} # for gRPC",
            ]
            .map(|line| format!("{:by$}{line}", "")),
        );
    }
    if let Some(trusted_ca) = &cluster.trusted_ca {
        let host = quoted(&cluster.address.host);
        lines.extend(
            [
                "transport_socket:".to_owned(),
                "  name: envoy.transport_sockets.tls".to_owned(),
                "  typed_config:".to_owned(),
                "    \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
                    .to_owned(),
                format!("    sni: {host}"),
                "    common_tls_context:".to_owned(),
                "      validation_context:".to_owned(),
                format!("        trusted_ca: {{filename: {}}}", quoted(trusted_ca)),
                format!("        match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{exact: {host}}}}}]"),
            ]
            .map(|line| format!("{:by$}{line}", "")),
        );
    }
    Ok(lines)
}

/// The line with another socket address.
pub(super) fn addressed(line: &str, address: &Address) -> Option<String> {
    let Address { host, port } = address;
    let host = if host.contains(':') { format!("\"{host}\"") } else { host.clone() };
    let text = format!("{host}, port_value: {port}");
    between(line, "socket_address: {address: ", "}", &text)
}
