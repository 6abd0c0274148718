//! The access log: to standard output as in the template, or to a file, and to a service as well.

use super::template::{between, indentation, Lost, Template};
use crate::short::Short;
use crate::yaml::quoted;

/// Writes where the access log goes.
pub(super) fn change(template: &mut Template, short: &Short) -> Result<(), Lost> {
    let log = template.find(0, "access_log:")?;
    if let Some(cluster) = short.log_cluster() {
        let (by, end) = (indentation(template.line(log)) + 2, template.block(log).end);
        let cluster = quoted(cluster);
        let lines = [
            "- name: service".to_owned(),
            "  typed_config:".to_owned(),
            "    \"@type\": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig"
                .to_owned(),
            "    common_config:".to_owned(),
            "      log_name: sluice".to_owned(),
            "      transport_api_version: V3".to_owned(),
            format!("      grpc_service: {{envoy_grpc: {{cluster_name: {cluster}}}}}"),
            "      filter_state_objects_to_log: [wasm.sluice.record]".to_owned(),
        ];
        template.replace(end..end, lines.map(|line| format!("{:by$}{line}", "")).into());
    }
    if let Some(file) = short.log_file() {
        let name = template.find(log, "- name: stdout")?;
        template.change(name, |line| Some(line.replace("stdout", "file")))?;
        let kind = template.find(name, "\"@type\":")?;
        let path = format!("{:1$}path: {2}", "", indentation(template.line(kind)), quoted(file));
        template.change(kind, |line| between(line, "access_loggers.", "AccessLog", "file.v3.File"))?;
        template.replace(kind + 1..kind + 1, vec![path]);
        let comment = template.comments_before(log);
        template.change(comment, |line| Some(line.replace("on standard output", "in a file")))?;
    }
    Ok(())
}
