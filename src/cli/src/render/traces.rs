//! The tracer, as in the example with traces.

use super::template::{between, Lost, Template, TRACES};
use crate::short::Tracing;
use crate::yaml::quoted;

/// Adds the tracer; its cluster is added with the others.
pub(super) fn add(template: &mut Template, tracing: &Tracing) -> Result<(), Lost> {
    let mut example = Template::new(TRACES);
    let uri = example.find(0, "http_uri:")?;
    let host = tracing.url.host_header().unwrap_or_else(|| {
        let (host, port) = (&tracing.url.address.host, tracing.url.address.port);
        format!("{host}:{port}")
    });
    let scheme = if tracing.url.tls { "https" } else { "http" };
    let url = format!("{scheme}://{host}{}", tracing.url.path);
    example.change(uri, |line| between(line, "uri: \"", "\"", &url))?;
    example.change(uri, |line| between(line, "cluster: ", ",", &quoted(&tracing.cluster.name)))?;
    let comment = example.comments_before(uri);
    let headers = example.find(uri, "request_headers_to_add:")?;
    let header = headers + 1;
    let end = example.block(headers).end;
    match &tracing.variable {
        Some(variable) => {
            example.change(header, |line| between(line, "%ENVIRONMENT(", ")%", variable))?;
            let comments = example.comments_before(headers);
            example.replace(comments..headers, Vec::new());
        }
        None => {
            let comments = example.comments_before(headers);
            example.replace(comments..end, Vec::new());
        }
    }
    example.replace(comment..uri, Vec::new());

    let tracer = part(&example, "tracing:")?;
    let mut runtime = part(&example, "layered_runtime:")?;

    let static_resources = template.find(0, "static_resources:")?;
    let log = template.comments_before(template.find(static_resources, "access_log:")?);
    template.replace(log..log, tracer);
    runtime.push(String::new());
    template.replace(static_resources..static_resources, runtime);
    Ok(())
}

/// A field of the example with its comment, whose number is removed.
fn part(example: &Template, field: &'static str) -> Result<Vec<String>, Lost> {
    let at = example.find(0, field)?;
    let mut lines = example.lines(example.comments_before(at)..example.block(at).end);
    for line in &mut lines {
        if let Some((indentation, rest)) = line.split_once("# Traces ") {
            *line = format!("{indentation}# {}", rest.split_once(". ").map_or(rest, |(_, text)| text));
        }
    }
    Ok(lines)
}
