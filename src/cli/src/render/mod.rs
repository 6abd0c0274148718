//! `sluice render`: turns a short file into Envoy's configuration. The shipped envoy.yaml is the template, so the
//! result reads like it. The short file's lines are copied unchanged, with their comments.

mod access_log;
mod blocks;
mod clusters;
mod split;
mod template;
mod traces;

use serde_json::Value;
use sluice::config::{AUTH_FIELDS, ROUTER_FIELDS};

use self::blocks::SourceLines;
use self::clusters::addressed;
pub(crate) use self::split::{
    environment, split, version, with_old_clusters, with_old_routes, Split, BOOTSTRAP, CLUSTERS, FILES, FILTERS,
    LISTENERS, ROUTES,
};
pub(crate) use self::template::Lost;
use self::template::{between, indentation, Template, DEMO};
use crate::short::Short;
use crate::yaml::{quoted, Tree};

/// The names of the template's clusters, which are replaced.
const STANDS_FOR: &str = "mock-a";

/// Renders a short file with the text `text`; `name` is its name in the header comment.
///
/// # Errors
/// This program was built with an unknown template.
pub(crate) fn render(short: &Short, text: &str, name: &str) -> Result<String, Lost> {
    let copied = written(short, &SourceLines::new(text, &short.tree, true), name)?;
    // the copied text means the same, unless it uses YAML that cannot be moved
    match Tree::parse(&copied).is_ok_and(|tree| says_the_same(&tree, short)) {
        true => Ok(copied),
        false => written(short, &SourceLines::new(text, &short.tree, false), name),
    }
}

fn written(short: &Short, source: &SourceLines<'_>, name: &str) -> Result<String, Lost> {
    let mut template = Template::new(DEMO);
    clusters(&mut template, short)?;
    matcher(&mut template, short)?;
    filters(&mut template, short, source)?;
    listener(&mut template, short)?;
    access_log::change(&mut template, short)?;
    if let Some(tracing) = &short.tracing {
        traces::add(&mut template, tracing)?;
    }
    head(&mut template, source, name)?;
    Ok(template.into_text())
}

fn head(template: &mut Template, source: &SourceLines<'_>, name: &str) -> Result<(), Lost> {
    let at = template.find(0, "# `sluice render` made")?;
    template.change(at, |line| between(line, " from ", ". ", name))?;
    let head = source.head();
    let head = if head.is_empty() { vec!["# An LLM gateway: Sluice in Envoy.".to_owned()] } else { head };
    template.replace(0..at, head);
    Ok(())
}

fn listener(template: &mut Template, short: &Short) -> Result<(), Lost> {
    let admin = template.find(template.find(0, "admin:")?, "address:")?;
    template.change(admin, |line| addressed(line, &short.admin))?;
    let listener = template.find(template.find(0, "listeners:")?, "address:")?;
    template.change(listener, |line| addressed(line, &short.listen))?;
    if let Some(origins) = &short.allow_origins {
        let at = template.find(listener, "allow_origin_string_match:")?;
        let by = indentation(template.line(at)) + 2;
        let written = origins.iter().map(|origin| match origin.as_str() {
            "*" => format!("{:by$}- {{safe_regex: {{regex: \".*\"}}}}", ""),
            _ => format!("{:by$}- {{exact: {}}}", "", quoted(origin)),
        });
        template.replace(template.block(at), written.collect());
        if origins.is_empty() {
            template.change(at, |line| Some(format!("{line} []")))?;
        }
        let comment = template.comments_before(template.find(listener, "response_headers_to_remove:")?);
        template.change(comment, |line| between(line, "may call: ", ". ", "`allow_origins` of the short file"))?;
    }
    if let Some(bytes) = short.max_request_body {
        let limit = template.find(listener, "request_body_buffer_limit:")?;
        template.change(limit, |line| line.split_once(": ").map(|(field, _)| format!("{field}: {bytes}")))?;
    }
    if let Some(bytes) = short.max_upload {
        let limit = template.find(template.find(listener, "routes:")?, "request_body_buffer_limit:")?;
        let kept = bytes.saturating_add(BESIDE_UPLOAD);
        template.change(limit, |line| line.split_once(": ").map(|(field, _)| format!("{field}: {kept}")))?;
    }
    Ok(())
}

/// So much more than `max_upload` Envoy keeps, so that the filters answer a larger upload.
const BESIDE_UPLOAD: usize = 1 << 20;

fn filters(template: &mut Template, short: &Short, source: &SourceLines<'_>) -> Result<(), Lost> {
    let vm = template.find(0, "vm_config: &")?;
    let variables: Vec<String> = short.variables().iter().map(|name| quoted(name)).collect();
    let environment = template.find(vm, "environment_variables:")?;
    template.change(environment, |line| between(line, "host_env_keys: [", "]", &variables.join(", ")))?;
    if let Some(wasm) = &short.wasm {
        let code = template.find(vm, "code:")?;
        template.change(code, |line| between(line, "filename: ", "}", &quoted(wasm)))?;
    }
    let auth = template.find(vm, "auth:")?;
    let by = indentation(template.line(auth)) + 2;
    let router = template.block(auth).end;
    let usage = template.find(router, "usage:")?;
    if short.tree.get("usage").is_some() || short.tracing.is_some() {
        let written = source.field("usage", by - 2);
        let default = format!("{:1$}usage: {{access_log: true, tracing: true}}", "", by - 2);
        template.replace(usage..usage + 1, if written.is_empty() { vec![default] } else { written });
    }
    let mut lines = source.fields(&without(ROUTER_FIELDS, &["upstreams", "models"]), by);
    lines.splice(0..0, source.upstreams(&short.upstreams, by));
    lines.extend(source.fields(&["models"], by));
    keep_comments(template, router, lines)?;
    if short.is_guarded() {
        let mut guard = vec![format!("{:1$}# The checks, their services and actions.", "", by - 2)];
        guard.push(format!("{:1$}guard:", "", by - 2));
        guard.extend(source.inner("guard", by));
        guard.extend(source.field("checks", by));
        template.replace(router..router, guard);
        let root = template.find(0, "root_id: auth+router")?;
        template.change(root, |line| Some(line.replace("auth+router", "auth+guard+router")))?;
    }
    keep_comments(template, auth, source.fields(AUTH_FIELDS, by))
}

/// Replaces the block of line `at` with `lines`, but keeps the numbered comment at its start.
fn keep_comments(template: &mut Template, at: usize, lines: Vec<String>) -> Result<(), Lost> {
    let block = template.block(at);
    let own = template.lines(block.clone());
    let is_numbered = |line: &String| line.trim_start().starts_with("# 1.") || line.trim_start().starts_with("# 2.");
    let goes_on = |line: &String| line.trim_start().starts_with("#    ");
    let numbered = own.iter().take(1).filter(|line| is_numbered(line)).count();
    let kept = numbered + own.iter().skip(numbered).take_while(|line| goes_on(line)).count();
    template.replace(block.start + kept..block.end, lines);
    Ok(())
}

fn without<'a>(fields: &[&'a str], others: &[&str]) -> Vec<&'a str> {
    fields.iter().copied().filter(|field| !others.contains(field)).collect()
}

/// One line for each upstream, and one for unknown clusters.
fn matcher(template: &mut Template, short: &Short) -> Result<(), Lost> {
    let matcher = template.find(0, "cluster_matcher:")?;
    let names: Vec<String> = short.upstreams.iter().map(|upstream| quoted(&upstream.cluster.name)).collect();
    let map = template.find(template.find(matcher, "exact_match_map:")?, "map:")?;
    let block = template.block(map);
    let like = template.line(block.start).to_owned();
    template.replace(block, names.iter().map(|name| like.replace(STANDS_FOR, name)).collect());
    let rest = template.find(matcher, "on_no_match:")?;
    let first = names.first().map_or(STANDS_FOR, String::as_str);
    template.change(rest, |line| Some(line.replace(STANDS_FOR, first)))
}

fn clusters(template: &mut Template, short: &Short) -> Result<(), Lost> {
    let lines = clusters::lines(template, short.clusters())?;
    let at = template.find(template.find(0, "static_resources:")?, "clusters:")?;
    let block = template.block(at);
    template.replace(block, lines);
    Ok(())
}

/// Whether the filters' configuration in `tree` equals the short file's.
fn says_the_same(tree: &Tree, short: &Short) -> bool {
    let mut found = None;
    tree.walk(&mut |tree| {
        if let Some(value) = tree.at(&["configuration", "value"]).filter(|value| value.get("router").is_some()) {
            found = Some(value.json());
        }
    });
    let wanted = short.sections().into_iter().map(|(name, value)| (name.to_owned(), value));
    found == Some(Value::Object(wanted.collect()))
}
