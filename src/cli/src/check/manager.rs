//! Checks of the HTTP connection manager: filters, timeouts, log and errors.

use super::bootstrap::{is_type, name_of, plugin, seconds, Manager, Plugin, DEFAULT_LIMIT};
use super::Report;
use crate::yaml::Tree;

/// The Sluice filters of a connection manager, including those in its router.
pub(super) fn plugins(manager: &Tree) -> Vec<Plugin<'_>> {
    let own = filters(manager).iter().filter_map(plugin);
    let router = router(manager).map(upstream_filters).unwrap_or_default();
    own.chain(router.iter().filter_map(plugin)).collect()
}

fn filters(manager: &Tree) -> &[Tree] {
    manager.get("http_filters").map(Tree::items).unwrap_or_default()
}

fn router(manager: &Tree) -> Option<&Tree> {
    filters(manager).iter().filter_map(|filter| filter.get("typed_config")).find(|tree| is_type(tree, "Router"))
}

fn upstream_filters(router: &Tree) -> &[Tree] {
    router.get("upstream_http_filters").map(Tree::items).unwrap_or_default()
}

pub(super) fn check(manager: &Manager<'_>, report: &mut Report) {
    let tree = manager.tree;
    order(manager, report);
    match router(tree) {
        None => {
            let line = tree.get("http_filters").map_or(tree.line, |tree| tree.line);
            report.error(
                "no_router",
                line,
                "http_filters",
                "Envoy's router is missing, so nothing is sent",
                "end http_filters with envoy.filters.http.router",
            );
        }
        Some(router) => {
            let line = router.get("upstream_http_filters").map_or(router.line, |tree| tree.line);
            attempt(upstream_filters(router), line, "upstream_http_filters", report);
            if !router.get("suppress_envoy_headers").is_some_and(Tree::is_true) {
                let line = router.get("suppress_envoy_headers").map_or(router.line, |tree| tree.line);
                report.warning(
                    "envoy_headers",
                    line,
                    "suppress_envoy_headers",
                    "providers and clients see Envoy's internals in x-envoy-* headers",
                    "suppress_envoy_headers: true",
                );
            }
        }
    }
    if !tree.get("use_remote_address").is_some_and(Tree::is_true) || tree.get("internal_address_config").is_none() {
        let at = tree.get("use_remote_address").filter(|flag| !flag.is_true());
        report.warning(
            "steering_headers",
            at.map_or(tree.line, |tree| tree.line),
            "use_remote_address",
            "clients on internal addresses can control Envoy's retries and timeouts through x-envoy-* headers",
            "use_remote_address: true, and internal_address_config as in envoy.yaml",
        );
    }
    times(tree, report);
    limit(manager, report);
    log(manager, report);
    if tree.get("local_reply_config").is_none() {
        report.warning(
            "error_shapes",
            tree.line,
            "local_reply_config",
            "Envoy's own errors (413, 503, 504) reach SDKs as plain text, which they do not understand",
            "copy local_reply_config from envoy.yaml",
        );
    }
}

/// Filters that only work in one order, joined or not.
fn order(manager: &Manager<'_>, report: &mut Report) {
    let names: Vec<(&str, usize)> = manager
        .plugins
        .iter()
        .filter(|plugin| plugin.root_id != "attempt")
        .flat_map(|plugin| {
            let line = plugin.config.get("root_id").map_or(plugin.config.line, |tree| tree.line);
            plugin.root_id.split('+').map(move |name| (name, line))
        })
        .collect();
    let place = |name: &str| ["auth", "guard", "router", "usage"].iter().position(|known| *known == name);
    for pair in names.windows(2) {
        if let [(one, _), (next, line)] = pair {
            if place(one) > place(next) && manager.plugins.len() > 2 {
                let problem = format!("{next} must come before {one}: the caller must be known before the target");
                report.error(
                    "filter_order",
                    *line,
                    "http_filters",
                    problem,
                    "put them in this order: auth, guard, router, usage",
                );
            }
        }
    }
    let in_another_file = filters(manager.tree).iter().any(|filter| filter.get("config_discovery").is_some());
    if !in_another_file && !names.iter().any(|(name, _)| *name == "router") {
        let line = names.first().map_or(manager.tree.line, |(_, line)| *line);
        report.error(
            "no_filters",
            line,
            "http_filters",
            "the filter `router` is missing, so no model is served",
            "root_id: auth+router+usage",
        );
    }
    if !in_another_file && !names.iter().any(|(name, _)| *name == "auth") {
        let line = names.first().map_or(manager.tree.line, |(_, line)| *line);
        report.warning(
            "no_auth",
            line,
            "http_filters",
            "the filter `auth` is missing, so everyone who reaches the listener may call",
            "root_id: auth+router+usage, with auth's keys",
        );
    }
    let filters = filters(manager.tree);
    let router =
        filters.iter().position(|filter| filter.get("typed_config").is_some_and(|tree| is_type(tree, "Router")));
    let last = filters.iter().rposition(|filter| plugin(filter).is_some());
    if let (Some(router), Some(last)) = (router, last) {
        if router < last {
            let line = filters.get(router).map_or(manager.tree.line, |tree| tree.line);
            report.error(
                "filter_order",
                line,
                "http_filters",
                "Envoy's router must be the last filter",
                "move it to the end of http_filters",
            );
        }
    }
}

/// The upstream filters: `attempt` first, Envoy's codec last.
pub(super) fn attempt(filters: &[Tree], line: usize, path: &str, report: &mut Report) {
    let first = filters.first();
    let at = filters.iter().position(|filter| plugin(filter).is_some_and(|plugin| plugin.root_id == "attempt"));
    match at {
        None => report.error(
            "no_attempt",
            line,
            path,
            "the filter `attempt` is missing: credential, path and model are not set, and answers are not judged",
            "add sluice.attempt, as in envoy.yaml",
        ),
        Some(0) => {}
        Some(_) => report.error(
            "attempt_order",
            first.map_or(line, |tree| tree.line),
            path,
            "`attempt` must be first: filters before it see the client's request, not the one that is sent",
            "move sluice.attempt to the beginning",
        ),
    }
    let is_codec = |filter: &Tree| {
        name_of(filter).ends_with("upstream_codec")
            || filter.get("typed_config").is_some_and(|tree| is_type(tree, "UpstreamCodec"))
    };
    if !filters.last().is_some_and(is_codec) {
        let line = filters.last().map_or(line, |tree| tree.line);
        report.error(
            "no_codec",
            line,
            path,
            "must end with Envoy's upstream_codec; without it Envoy does not start",
            "add envoy.filters.http.upstream_codec at the end",
        );
    }
}

fn times(tree: &Tree, report: &mut Report) {
    match tree.get("stream_idle_timeout") {
        None => report.warning(
            "stream_idle_timeout",
            tree.line,
            "stream_idle_timeout",
            "Envoy's default is five minutes of silence; a reasoning model may need longer",
            "stream_idle_timeout: 600s",
        ),
        Some(time) if seconds(time).is_some_and(|seconds| seconds > 0.0 && seconds < 120.0) => {
            report.error(
                "stream_idle_timeout",
                time.line,
                "stream_idle_timeout",
                "cuts streams in which a model is silent for longer",
                "stream_idle_timeout: 600s",
            );
        }
        Some(_) => {}
    }
    for path in [&["request_timeout"][..], &["common_http_protocol_options", "max_stream_duration"]] {
        if let Some(time) = tree.at(path).filter(|time| seconds(time).is_some_and(|seconds| seconds > 0.0)) {
            report.error(
                "cuts_streams",
                time.line,
                &path.join("."),
                "ends requests after this time, long streams among them",
                "remove it; a model's `retry` has `per_try_timeout` and `deadline`",
            );
        }
    }
}

/// The largest request or held answer: the kept bytes, if the route sets them, and the bytes read ahead.
fn limit(manager: &Manager<'_>, report: &mut Report) {
    if manager.tree.get("rds").is_some() {
        return; // it is in another file
    }
    let (place, limit) = manager.buffer_limit();
    let fix = "request_body_buffer_limit: 8388608, in the virtual host";
    match limit {
        None => report.warning(
            "buffer_limit",
            place.line,
            "request_body_buffer_limit",
            "at Envoy's default of 1 MiB, larger requests (images, long chats) get 413",
            fix,
        ),
        Some(bytes) if bytes < DEFAULT_LIMIT => report.warning(
            "buffer_limit",
            place.line,
            "request_body_buffer_limit",
            "larger requests (images, long chats) get 413",
            fix,
        ),
        Some(_) => {}
    }
}

/// What the access log should contain, and what it must not.
fn log(manager: &Manager<'_>, report: &mut Report) {
    let logs = manager.tree.get("access_log");
    let mut texts: Vec<(&str, usize)> = Vec::new();
    if let Some(logs) = logs {
        logs.walk(&mut |tree| texts.extend(tree.text().map(|text| (text, tree.line))));
    }
    for (text, line) in &texts {
        let upper = text.to_ascii_uppercase();
        let secret = ["AUTHORIZATION", "X-API-KEY", "API-KEY", "X-GOOG-API-KEY", "COOKIE"]
            .iter()
            .find(|name| upper.contains(&format!("REQ({name}")));
        if let Some(name) = secret {
            let problem = format!(
                "the log has the header {}, which is the provider's key once the request is sent",
                name.to_ascii_lowercase()
            );
            report.error(
                "secret_in_log",
                *line,
                "access_log",
                problem,
                "remove it; the record of `usage` has the caller's id",
            );
        }
    }
    let usage = manager.plugins.iter().find_map(|plugin| {
        let value = plugin.config.at(&["configuration", "value"])?;
        if plugin.root_id == "usage" {
            Some(value)
        } else {
            value.get("usage")
        }
    });
    let Some(usage) = usage else { return };
    let prints = texts.iter().any(|(text, _)| text.contains("wasm.sluice."));
    match usage.get("access_log").is_some_and(Tree::is_true) {
        true if !prints => report.warning(
            "access_log",
            usage.line,
            "usage.access_log",
            "each request gets a record, but no access log prints it",
            "put %FILTER_STATE(wasm.sluice.record:PLAIN)% into the log's format, as in envoy.yaml",
        ),
        false if prints => report.warning(
            "access_log",
            usage.line,
            "usage.access_log",
            "the access log prints the record, but `usage` writes none",
            "usage: {access_log: true}",
        ),
        _ => {}
    }
    let traces = usage.get("tracing").is_some_and(Tree::is_true);
    if traces && manager.tree.get("tracing").is_none() {
        report.warning(
            "tracing",
            usage.line,
            "usage.tracing",
            "each request gets a record for spans, but there is no tracer",
            "add `tracing` to the connection manager, as in examples/tracing.yaml",
        );
    }
}
