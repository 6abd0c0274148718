//! Checks of the route: Envoy's retries, and the cluster of each request.

use super::bootstrap::{number, seconds, Envoy, Manager};
use super::Report;
use crate::yaml::Tree;

/// The key that the matcher reads.
const CLUSTER_KEY: &str = "wasm.sluice.cluster";
/// The cases that Envoy must retry by itself; the filters decide about the others.
const RETRY_ON: &str = "retry_on: reset,connect-failure,refused-stream,retriable-headers";

pub(super) fn check(envoy: &Envoy<'_>, manager: &Manager<'_>, upstreams: &[(String, usize)], report: &mut Report) {
    let served = manager.tree.get("route_config").is_some_and(|routes| table(envoy, routes, upstreams, report));
    if !served && manager.tree.get("rds").is_none() {
        report.error(
            "no_route",
            manager.tree.line,
            "route_config",
            "no route leads to a cluster",
            "copy route_config from envoy.yaml",
        );
    }
}

/// Checks a table of routes, also one in its own file; whether one leads to a cluster.
pub(super) fn table(envoy: &Envoy<'_>, routes: &Tree, upstreams: &[(String, usize)], report: &mut Report) -> bool {
    let hosts = routes.get("virtual_hosts").map(Tree::items).unwrap_or_default();
    let (mut served, mut seen) = (false, Vec::new());
    for host in hosts {
        for route in host.get("routes").map(Tree::items).unwrap_or_default() {
            if let Some(action) = route.get("route") {
                if action.get("inline_cluster_specifier_plugin").is_some() || hosts.len() == 1 {
                    served = true;
                    if seen.contains(&action.line) {
                        continue; // the same by an alias
                    }
                    seen.push(action.line);
                    action_of(action, report);
                    specifier(envoy, action, upstreams, report);
                }
            }
        }
        let removed = ["request_headers_to_remove"].iter().filter_map(|name| host.get(name)).flat_map(Tree::items);
        let names: Vec<&str> = removed.filter_map(Tree::text).collect();
        for name in ["x-forwarded-for", "x-envoy-external-address"] {
            if !names.contains(&name) {
                let line = host.get("request_headers_to_remove").map_or(host.line, |tree| tree.line);
                let problem = format!("providers see the clients' addresses in {name}");
                report.warning(
                    "client_addresses",
                    line,
                    "request_headers_to_remove",
                    problem,
                    "request_headers_to_remove: [x-envoy-external-address, x-forwarded-for]",
                );
            }
        }
    }
    served
}

fn action_of(action: &Tree, report: &mut Report) {
    match action.get("timeout") {
        None => report.error(
            "route_timeout",
            action.line,
            "route.timeout",
            "Envoy's default cuts every answer after 15 seconds, including streams",
            "timeout: 0s",
        ),
        Some(time) if seconds(time) != Some(0.0) => {
            report.error(
                "route_timeout",
                time.line,
                "route.timeout",
                "a route's timeout covers the whole answer, so it cuts streams in the middle",
                "timeout: 0s; a model's `retry` has `per_try_timeout` and `deadline`",
            );
        }
        Some(_) => {}
    }
    for path in [&["max_stream_duration", "max_stream_duration"][..], &["max_grpc_timeout"]] {
        if let Some(time) = action.at(path).filter(|time| seconds(time).is_some_and(|seconds| seconds > 0.0)) {
            report.error(
                "cuts_streams",
                time.line,
                "route.max_stream_duration",
                "ends requests after this time, long streams among them",
                "take it out",
            );
        }
    }
    if let Some(time) =
        action.get("idle_timeout").filter(|time| seconds(time).is_some_and(|seconds| seconds > 0.0 && seconds < 120.0))
    {
        report.error(
            "stream_idle_timeout",
            time.line,
            "route.idle_timeout",
            "cuts streams in which a model is silent for longer",
            "idle_timeout: 600s",
        );
    }
    if let Some(policy) = action.get("hedge_policy") {
        report.error(
            "hedge_policy",
            policy.line,
            "route.hedge_policy",
            "sends a request to several providers at once, and each bills it",
            "remove it; attempts must come one at a time",
        );
    }
    if let Some(mirror) = action.get("request_mirror_policies") {
        report.warning(
            "mirror",
            mirror.line,
            "route.request_mirror_policies",
            "the copy contains the client's prompt, and bypasses `attempt`",
            "remove it, unless it is intended",
        );
    }
    retries(action, report);
}

fn retries(action: &Tree, report: &mut Report) {
    let Some(policy) = action.get("retry_policy") else {
        report.error(
            "retry_policy",
            action.line,
            "route.retry_policy",
            "without it nothing is retried, whatever the filters decide",
            "copy retry_policy from envoy.yaml",
        );
        return;
    };
    let line = |field: &str| policy.get(field).map_or(policy.line, |tree| tree.line);
    if !policy.get("refresh_cluster_on_retry").is_some_and(Tree::is_true) {
        report.error(
            "refresh_cluster_on_retry",
            line("refresh_cluster_on_retry"),
            "retry_policy.refresh_cluster_on_retry",
            "a retry goes to the same provider again, which refuses the next one's credential",
            "refresh_cluster_on_retry: true (Envoy 1.39 or later)",
        );
    }
    let on: Vec<&str> = policy.text_of("retry_on").unwrap_or_default().split(',').map(str::trim).collect();
    let missing: Vec<&str> = ["reset", "connect-failure", "refused-stream", "retriable-headers"]
        .into_iter()
        .filter(|each| !on.contains(each))
        .collect();
    if !missing.is_empty() {
        let problem = format!("lacks {}, so such failures reach the client", missing.join(", "));
        report.error("retry_on", line("retry_on"), "retry_policy.retry_on", problem, RETRY_ON);
    }
    if let Some(each) =
        on.iter().find(|each| ["5xx", "gateway-error", "retriable-4xx", "retriable-status-codes"].contains(each))
    {
        let problem = format!("{each} makes Envoy retry requests that the filters have decided not to retry");
        report.error("retry_on", line("retry_on"), "retry_policy.retry_on", problem, RETRY_ON);
    }
    let headers = policy.get("retriable_headers").map(Tree::items).unwrap_or_default();
    if !headers.iter().any(|header| header.text_of("name") == Some("x-sluice-retry")) {
        report.error("retriable_headers", line("retriable_headers"), "retry_policy.retriable_headers", "the filters request a retry with the header x-sluice-retry; without this, no provider's answer is ever retried", "retriable_headers: [{name: x-sluice-retry, present_match: true}]");
    }
    if !policy.get("num_retries").and_then(number).is_some_and(|number| number >= 10.0) {
        report.error(
            "num_retries",
            line("num_retries"),
            "retry_policy.num_retries",
            "Envoy gives up before the filters have tried every target",
            "num_retries: 100; the filters decide when to stop",
        );
    }
    match policy.get("per_try_timeout") {
        None => report.warning(
            "per_try_timeout",
            policy.line,
            "retry_policy.per_try_timeout",
            "an attempt at a silent provider never ends, unless the model's `retry` has a timeout",
            "per_try_timeout: 300s",
        ),
        Some(time) if seconds(time).is_some_and(|seconds| seconds > 0.0 && seconds < 10.0) => {
            report.warning(
                "per_try_timeout",
                time.line,
                "retry_policy.per_try_timeout",
                "a long JSON answer needs more time than this until it is complete",
                "per_try_timeout: 300s",
            );
        }
        Some(_) => {}
    }
    if policy.get("retry_back_off").is_none() {
        report.warning(
            "retry_back_off",
            policy.line,
            "retry_policy.retry_back_off",
            "Envoy waits 25 ms or more before it tries another provider",
            "retry_back_off: {base_interval: 0.001s, max_interval: 0.005s}",
        );
    }
}

/// The matcher that selects the cluster chosen by `router` or `attempt`.
fn specifier(envoy: &Envoy<'_>, action: &Tree, upstreams: &[(String, usize)], report: &mut Report) {
    let Some(matcher) = action.at(&["inline_cluster_specifier_plugin", "extension", "typed_config", "cluster_matcher"])
    else {
        let by = ["cluster", "weighted_clusters", "cluster_header", "cluster_specifier_plugin"]
            .iter()
            .find_map(|name| action.get(name));
        report.error(
            "no_matcher",
            by.map_or(action.line, |tree| tree.line),
            "route",
            "ignores the filters' choice of the cluster, so every attempt goes to the same one",
            "use inline_cluster_specifier_plugin with a line for each cluster, as in envoy.yaml",
        );
        return;
    };
    let tree = matcher.get("matcher_tree");
    let key = tree.and_then(|tree| tree.at(&["input", "typed_config", "key"]));
    if key.and_then(Tree::text) != Some(CLUSTER_KEY) {
        report.error(
            "matcher_input",
            key.map_or(matcher.line, |key| key.line),
            "matcher_tree.input",
            "does not read the value in which the filters name the cluster",
            format!("key: {CLUSTER_KEY}"),
        );
    }
    let map = tree.and_then(|tree| tree.at(&["exact_match_map", "map"]));
    let lines = map.map(Tree::entries).unwrap_or_default();
    for (name, at) in upstreams {
        if !lines.iter().any(|(other, _)| other == name) {
            let problem =
                format!("the cluster {name:?} has no line in cluster_matcher, so every attempt at it gets 500");
            report.error(
                "cluster_without_matcher",
                *at,
                &format!("upstreams: {name}"),
                problem,
                format!("add a line for {name} to exact_match_map.map, like the others"),
            );
        }
    }
    let exists =
        |name: &str| envoy.clusters.as_ref().is_none_or(|all| all.iter().any(|one| one.text_of("name") == Some(name)));
    for (name, line) in lines {
        let to = line.at(&["action", "typed_config", "cluster"]).and_then(Tree::text).unwrap_or_default();
        if to != name {
            let problem =
                format!("the line for {name:?} leads to {to:?}, so a credential would go to the wrong provider");
            report.error(
                "matcher_line",
                line.line,
                &format!("exact_match_map.map.{name}"),
                problem,
                format!("cluster: {name}"),
            );
        } else if !exists(to) {
            let problem = format!("leads to {to:?}, which is not a cluster");
            report.error(
                "matcher_line",
                line.line,
                &format!("exact_match_map.map.{name}"),
                problem,
                "remove the line, or add the cluster",
            );
        }
    }
    match matcher.get("on_no_match") {
        None => report.warning(
            "on_no_match",
            matcher.line,
            "cluster_matcher.on_no_match",
            "a cluster without a line gets 503, without a log line",
            "on_no_match as in envoy.yaml",
        ),
        Some(rest) => {
            let to = rest.at(&["action", "typed_config", "cluster"]).and_then(Tree::text).unwrap_or_default();
            if !exists(to) {
                let problem = format!("leads to {to:?}, which is not a cluster");
                report.error(
                    "on_no_match",
                    rest.line,
                    "cluster_matcher.on_no_match",
                    problem,
                    "name one of the clusters",
                );
            }
        }
    }
}
