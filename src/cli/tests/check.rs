//! `sluice check` as a command: it finds mistakes, each with its line, and the shipped files have none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

const ENVOY: &str = "envoy.yaml";
const DEMO: &str = "demo.yaml";
const PROVIDERS: &str = "examples/providers.yaml";
const BEDROCK: &str = "examples/bedrock.yaml";
const GUARD: &str = "examples/guard.yaml";
const TRACING: &str = "examples/tracing.yaml";
const KINDS: &str = "examples/kinds.yaml";
const THREE: &str = "examples/three-providers.yaml";

/// A mistake in a shipped file.
struct Mistake {
    file: &'static str,
    /// The original text, and its replacement.
    old: &'static str,
    new: &'static str,
    rule: &'static str,
    level: &'static str,
    /// A part of the line that the finding names.
    line: &'static str,
}

const fn error(
    file: &'static str,
    old: &'static str,
    new: &'static str,
    rule: &'static str,
    line: &'static str,
) -> Mistake {
    Mistake { file, old, new, rule, level: "error", line }
}

const fn warning(
    file: &'static str,
    old: &'static str,
    new: &'static str,
    rule: &'static str,
    line: &'static str,
) -> Mistake {
    Mistake { file, old, new, rule, level: "warning", line }
}

const MISTAKES: &[Mistake] = &[
    // the filters' own configuration, by the core
    error(ENVOY, "strategy: weighted", "strategy: weihgted", "configuration", "strategy: weihgted"),
    error(ENVOY, "alias", "allias", "configuration", "allias"),
    error(ENVOY, "hash: \"sha256:2eef", "hash: \"sha256:zzef", "configuration", "sha256:zzef"),
    error(ENVOY, "{upstream: mock-b, model: gpt-4o-mock-b", "{upstream: mock-d, model: gpt-4o-mock-b", "configuration", "mock-d"),
    error(ENVOY, "usage: {access_log: true}", "usage: {acces_log: true}", "configuration", "acces_log"),
    error(ENVOY, "cluster: mock-b, dialects", "cluster: mock-a, dialects", "configuration", "mock-b: {cluster"),
    error(DEMO, "strategy: weighted", "strategy: weihgted", "configuration", "strategy: weihgted"),
    error(DEMO, "ejection: {", "ejections: {", "short_file", "ejections"),
    error(DEMO, "json: 300s", "json: 300", "configuration", "json: 300}"),
    error(DEMO, "\nmodels:\n", "\npaths: [{path: /v1/chat/completions, upstream: mock-a}]\nmodels:\n", "configuration", "paths: [{path"),
    error(DEMO, "\nmodels:\n", "\npaths: [{path: /v1/files*, upstream: mock-d}]\nmodels:\n", "configuration", "paths: [{path"),
    error(THREE, "provider: azure, resource: my-resource", "provider: azure", "short_file", "provider: azure"),
    error(THREE, "action: restore", "action: hide", "configuration", "action: hide"),
    error(GUARD, "cluster: toxicity\n", "cluster: toxic\n", "service_without_cluster", "cluster: toxic\n"),
    error(ENVOY, "aliases: [gpt-4o-latest]", "cache: {store: {redis: {cluster: webdis}}}", "service_without_cluster", "cluster: webdis"),
    error(DEMO, "aliases: [gpt-4o-latest]", "cache: {store: {redis: {cluster: webdis}}}", "service_without_cluster", "cluster: webdis"),
    // the VM and its environment
    error(ENVOY, "root_id: auth+router+usage", "root_id: router+auth+usage", "root_id", "root_id: router+auth"),
    error(ENVOY, "allow_on_headers_stop_iteration: true # without it, requests hang", "fail_open: false", "allow_on_headers_stop_iteration", "config:\n                        name: sluice"),
    error(ENVOY, "failure_policy: FAIL_RELOAD #", "failure_policy: FAIL_CLOSED #", "failure_policy", "FAIL_CLOSED"),
    error(ENVOY, "vm_config: *sluice_vm", "vm_config: {vm_id: other, runtime: envoy.wasm.runtime.v8, code: {local: {filename: sluice.wasm}}}", "vm_id", "vm_id: other"),
    error(ENVOY, "vm_config: *sluice_vm", "vm_config: {vm_id: sluice, runtime: envoy.wasm.runtime.v8, code: {local: {filename: sluice.wasm}}}", "vm_config", "vm_config: {vm_id"),
    error(ENVOY, "MOCK_A_KEY, MOCK_B_KEY, MOCK_C_KEY", "MOCK_A_KEY, MOCK_C_KEY", "host_env_keys", "mock-b: {cluster"),
    warning(ENVOY, "env: MOCK_C_KEY", "env: PATH_THAT_IS_NOT_SET", "unset_variable", "PATH_THAT_IS_NOT_SET"),
    warning(DEMO, "env: MOCK_C_KEY", "env: PATH_THAT_IS_NOT_SET", "unset_variable", "PATH_THAT_IS_NOT_SET"),
    // clusters
    error(ENVOY, "- name: mock-c\n      type", "- name: mock-d\n      type", "upstream_without_cluster", "mock-c: {cluster"),
    error(ENVOY, "                                          mock-b: {action", "                                          mock-x: {action", "cluster_without_matcher", "mock-b: {cluster"),
    error(ENVOY, "mock-b, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction, cluster: mock-b}", "mock-b, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction, cluster: mock-c}", "matcher_line", "mock-b: {action"),
    error(ENVOY, "on_no_match: {action: {name: mock-a, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction, cluster: mock-a}}}", "on_no_match: {action: {name: mock-a, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction, cluster: other}}}", "on_no_match", "on_no_match:"),
    error(ENVOY, "key: wasm.sluice.cluster", "key: wasm.cluster", "matcher_input", "key: wasm.cluster"),
    error(ENVOY, "      circuit_breakers: *no_limits\n", "", "circuit_breakers", "- name: mock-b\n"),
    error(ENVOY, "max_retries: 100000", "max_retries: 3", "circuit_breakers", "max_retries: 3"),
    error(ENVOY, "      per_connection_buffer_limit_bytes: 1048576\n", "      per_connection_buffer_limit_bytes: 16777216\n", "buffer_limit", "16777216"),
    warning(ENVOY, "request_body_buffer_limit: 8388608\n", "\n", "buffer_limit", "per_connection_buffer_limit_bytes: 262144"),
    warning(ENVOY, "request_body_buffer_limit: 8388608\n", "request_body_buffer_limit: 8388\n", "buffer_limit", "request_body_buffer_limit: 8388"),
    warning(ENVOY, "          - {priority: 1, lb_endpoints: [*no_host]}\n", "", "no_host", "load_assignment:\n        cluster_name: mock-b"),
    error(PROVIDERS, "          sni: api.anthropic.com\n", "", "no_sni", "typed_config:\n          \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n          common"),
    error(PROVIDERS, "              match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: api.anthropic.com}}]\n", "", "no_san", "validation_context:\n              trusted_ca: {filename: /etc/ssl/certs/ca-certificates.crt}\n    - name: gemini"),
    error(PROVIDERS, "              trusted_ca: {filename: /etc/ssl/certs/ca-certificates.crt}\n              match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: api.openai.com}}]\n", "              match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: api.openai.com}}]\n", "no_trusted_ca", "validation_context:\n              match"),
    error(PROVIDERS, "address: 127.0.0.1, port_value: 11434", "address: 127.0.0.1, port_value: 443", "no_tls", "127.0.0.1, port_value: 443"),
    error(BEDROCK, "            - name: sluice.attempt\n              typed_config:\n                \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n                config: {name: attempt, root_id: attempt, failure_policy: FAIL_RELOAD, allow_on_headers_stop_iteration: true, vm_config: *sluice_vm}\n", "", "no_attempt", "http_filters:\n            - name: envoy.filters.http.aws_request_signing"),
    error(BEDROCK, "          explicit_http_config: {http_protocol_options: {}}\n", "          explicit_http_config: {http_protocol_options: {}}\n          upstream_http_protocol_options: {auto_sni: true}\n", "auto_sni", "auto_sni: true"),
    error(BEDROCK, "            - name: envoy.filters.http.upstream_codec\n              typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}\n", "", "no_codec", "- name: envoy.filters.http.aws_request_signing"),
    // the route
    error(ENVOY, "refresh_cluster_on_retry: true", "host_selection_retry_max_attempts: 1", "refresh_cluster_on_retry", "retry_policy:"),
    error(ENVOY, "refresh_cluster_on_retry: true", "refresh_cluster_on_retry: false", "refresh_cluster_on_retry", "refresh_cluster_on_retry: false"),
    error(ENVOY, "timeout: 0s # a route", "timeout: 30s # a route", "route_timeout", "timeout: 30s"),
    error(ENVOY, "timeout: 0s # a route", "priority: DEFAULT # a route", "route_timeout", "route: &to_models\n                            priority"),
    error(ENVOY, "retry_on: reset,connect-failure,refused-stream,retriable-headers", "retry_on: reset,connect-failure", "retry_on", "retry_on: reset"),
    error(ENVOY, "retry_on: reset,connect-failure", "retry_on: 5xx,reset,connect-failure", "retry_on", "retry_on: 5xx"),
    error(ENVOY, "retriable_headers: [{name: x-sluice-retry", "retriable_headers: [{name: x-retry", "retriable_headers", "name: x-retry"),
    error(ENVOY, "num_retries: 100", "num_retries: 1", "num_retries", "num_retries: 1 "),
    error(ENVOY, "                            retry_policy:\n", "                            hedge_policy: {hedge_on_per_try_timeout: true}\n                            retry_policy:\n", "hedge_policy", "hedge_policy"),
    warning(ENVOY, "per_try_timeout: 300s\n", "per_try_timeout: 2s\n", "per_try_timeout", "per_try_timeout: 2s"),
    warning(ENVOY, "x-envoy-external-address, x-forwarded-for,", "x-envoy-external-address,", "client_addresses", "request_headers_to_remove"),
    // the connection manager
    error(ENVOY, "stream_idle_timeout: 600s", "stream_idle_timeout: 30s", "stream_idle_timeout", "stream_idle_timeout: 30s"),
    warning(PROVIDERS, "                upgrade_configs: [{upgrade_type: websocket}]\n", "", "no_websocket", "{path: /v1/responses"),
    warning(PROVIDERS, "upgrade_type: websocket}]", "upgrade_type: websocket, enabled: false}]", "no_websocket", "{path: /v1/responses"),
    error(ENVOY, "request_headers_timeout: 10s", "request_timeout: 60s", "cuts_streams", "request_timeout: 60s"),
    error(ENVOY, "request_headers_timeout: 10s", "common_http_protocol_options: {max_stream_duration: 60s}", "cuts_streams", "max_stream_duration"),
    warning(ENVOY, "use_remote_address: true", "use_remote_address: false", "steering_headers", "use_remote_address: false"),
    warning(ENVOY, "suppress_envoy_headers: true", "suppress_envoy_headers: false", "envoy_headers", "suppress_envoy_headers: false"),
    error(ENVOY, "                        - name: envoy.filters.http.upstream_codec\n                          typed_config:\n                            \"@type\": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec\n", "", "no_codec", "- name: sluice.attempt"),
    error(ENVOY, "\"request_id\":\"%REQ(X-REQUEST-ID)%\"", "\"key\":\"%REQ(AUTHORIZATION)%\"", "secret_in_log", "inline_string"),
    warning(ENVOY, "%FILTER_STATE(wasm.sluice.record:PLAIN)%", "", "access_log", "usage: {access_log: true}"),
    warning(TRACING, "                tracing:\n", "                generate_request_id: true\n                untraced:\n", "tracing", "usage: {access_log: true, tracing"),
    // secrets and callers
    error(ENVOY, "key_values: {SLUICE_MEMORY: 256MiB", "key_values: {OPENAI_API_KEY: not-to-be-here, SLUICE_MEMORY: 256MiB", "plain_secret", "host_env_keys: ["),
    error(DEMO, "credential: {env: MOCK_A_KEY}", "headers: {x-token: sk-proj-0123456789abcdefghijkl}", "plain_secret", "sk-proj"),
    error(ENVOY, "address: {socket_address: {address: 127.0.0.1, port_value: 10000}}", "address: {socket_address: {address: 0.0.0.0, port_value: 10000}}", "demo_key", "- {id: demo-user"),
    warning(ENVOY, "address: {socket_address: {address: 127.0.0.1, port_value: 10000}}", "address: {socket_address: {address: 0.0.0.0, port_value: 10000}}", "plain_listener", "0.0.0.0"),
    warning(ENVOY, "address: {socket_address: {address: 127.0.0.1, port_value: 9901}}", "address: {socket_address: {address: 0.0.0.0, port_value: 9901}}", "open_admin", "9901"),
    error(DEMO, "{id: demo-user, role: user,", "{id: demo-user, models: [\"gpt-5*\"],", "key_without_models", "id: demo-user"),
    warning(DEMO, "{id: demo-user, role: user,", "{id: demo-user, models: [gpt-4o, \"gpt-5*\"],", "unknown_model", "id: demo-user"),
    warning(DEMO, "{id: demo-user, role: user,", "{id: demo-user, expires: \"2020-01-01\",", "expired_key", "id: demo-user"),
    error(THREE, "anthropic: {provider: anthropic}\n\nmodels:\n  - name: gpt-4o\n    price: {input: 2.5, output: 10} # dollars per million tokens\n", "anthropic: {provider: anthropic, prices: {}}\n\nmodels:\n  - name: unlisted\n", "no_price", "cost_per_day"),
    error(KINDS, "- id: alice\n", "- id: alice\n    models: [auto]\n", "unusable_kinds", "models: [auto]"),
    warning(KINDS, "- id: alice\n", "- id: alice\n    models: [auto, judged, small, coder]\n", "unusable_kind", "models: [auto, judged, small, coder]"),
    warning(KINDS, "name: chat, model: small, match: {max_length: 300, tools: false}", "name: chat, model: small, match: {images: true}", "unreachable_kind", "name: chat, model: small, match"),
    error(KINDS, "name: code, model: coder,", "name: code, model: codex,", "configuration", "name: code, model: codex,"),
    error(KINDS, "default_model: auto", "default_model: autos", "configuration", "default_model: autos"),
    warning(THREE, "tier: 1, model: my-gpt-4o}, {upstream: anthropic, tier: 2, ", "model: my-gpt-4o}, {upstream: anthropic, ", "no_tiers", "strategy: priority"),
    warning(THREE, "  anthropic: {provider: anthropic}\n", "  anthropic: {provider: anthropic}\n  groq: {provider: groq}\n", "unused", "groq"),
    warning(THREE, "openai: {provider: openai}", "openai: {provider: openai, url: http://api.openai.com}", "plain_http", "http://"),
    error(THREE, "\nupstreams:", "\nlisten: 0.0.0.0:80\nupstreams:", "demo_key", "- id: alice"),
    error(DEMO, "models:\n", "models: [\n", "yaml", "- name: gpt-4o\n"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap().join("envoy")
}

fn text(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).unwrap()
}

/// The findings in a text, with every variable set that the shipped files name; and the exit code.
fn check(text: &str) -> (i32, Vec<Value>) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
    for name in [
        "MOCK_A_KEY",
        "MOCK_B_KEY",
        "MOCK_C_KEY",
        "SLUICE_KEY_SECRET",
        "SLUICE_LEDGER_TOKEN",
        "OPENAI_API_KEY",
        "AZURE_OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "GROQ_API_KEY",
        "AWS_BEARER_TOKEN_BEDROCK",
    ] {
        command.env(name, "a-secret-with-more-than-32-characters");
    }
    let output = command.args(["check", "--json", "-"]).write_stdin(text).output().unwrap();
    let found = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), found)
}

#[test]
fn every_mistake_is_found_on_its_line() {
    let mut missed = Vec::new();
    for Mistake { file, old, new, rule, level, line } in MISTAKES {
        let good = text(file);
        assert!(good.contains(old), "{file} has no {old:?}");
        let bad = good.replacen(old, new, 1);
        let at = bad.find(line).unwrap_or_else(|| panic!("{file} has no {line:?}"));
        let number = bad[..at].matches('\n').count() + 1;
        let (code, found) = check(&bad);
        let is_it = |one: &&Value| one["rule"] == *rule && one["line"] == number;
        match found.iter().find(is_it) {
            Some(one) if one["level"] == *level && !one["problem"].as_str().unwrap().is_empty() => {}
            _ => missed.push(format!("{file}: {new:?}: no {level} {rule} at {number} in {found:?}")),
        }
        let errors = found.iter().any(|one| one["level"] == "error");
        assert_eq!(code, i32::from(errors), "{new:?}: {found:?}");
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// A fix as a reader applies it, word by word; `None` if it is advice, such as to add a cluster.
fn applied(bad: &str, finding: &Value) -> Option<String> {
    let said = |field: &str| finding[field].as_str().unwrap();
    let (problem, fix) = (said("problem"), said("fix"));
    let mut lines: Vec<String> = bad.lines().map(str::to_owned).collect();
    let at = usize::try_from(finding["line"].as_u64()?).ok()? - 1;
    let line = lines[at].clone();
    let indentation = |line: &str| " ".repeat(line.len() - line.trim_start().len());
    if let Some((problem, rest)) = problem.split_once("did you mean \"") {
        let right = rest.split('"').next()?;
        let wrong = match problem.starts_with("no such field") {
            true => said("path").rsplit('.').next()?,
            false => problem.split('"').nth(1)?,
        };
        lines[at] = line.replacen(wrong, right, 1);
    } else if let Some(name) = fix.strip_prefix("add ").and_then(|rest| rest.split_once(" to host_env_keys")) {
        let list = lines.iter_mut().find(|line| line.contains("host_env_keys: ["))?;
        *list = list.replacen("host_env_keys: [", &format!("host_env_keys: [{}, ", name.0), 1);
    } else if let Some(most) = fix.strip_prefix("set it to at most that: ") {
        lines[at] = format!("{}: {most}", line.split(": ").next()?);
    } else if fix.starts_with("remove it") && finding["rule"] != "secret_in_log" {
        lines.remove(at);
    } else {
        let (field, rest) = fix.split_once(": ")?;
        let end = ["; ", " (", ", like ", ", and ", ", or "].iter().filter_map(|mark| rest.find(mark)).min();
        let value = &rest[..end.unwrap_or(rest.len())];
        let is_field = field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !is_field || [", in the virtual host", "..."].iter().any(|prose| rest.contains(prose)) {
            return None;
        }
        let written = format!("{field}: {value}");
        lines[at] = match line.rfind(&format!("{field}: ")) {
            None => format!("{line}\n{}{written}", indentation(lines.get(at + 1)?)),
            Some(start) if line[..start].trim_matches([' ', '-']).is_empty() => format!("{}{written}", &line[..start]),
            Some(start) => {
                let last = if value.starts_with('[') { "]" } else { "" };
                let from = start + line[start..].find(last)?;
                let old = from + line[from + last.len()..].find([',', '}'])? + last.len();
                format!("{}{written}{}", &line[..start], &line[old..])
            }
        };
    }
    Some(lines.join("\n") + "\n")
}

/// The printed fix, applied, passes. For advice, the original text is what it says; see the next test.
#[test]
fn every_fix_that_can_be_copied_passes() {
    let mut passed = 0;
    let mut failed = Vec::new();
    for Mistake { file, old, new, rule, line, .. } in MISTAKES {
        let bad = text(file).replacen(old, new, 1);
        let number = bad[..bad.find(line).unwrap()].matches('\n').count() + 1;
        let (_, found) = check(&bad);
        let finding = found.iter().find(|one| one["rule"] == *rule && one["line"] == number).unwrap();
        let Some(good) = applied(&bad, finding) else { continue };
        match check(&good) {
            (0, left) if !left.iter().any(|one| one["rule"] == *rule) => passed += 1,
            (_, left) => failed.push(format!("{file}: {new:?}: {finding}\nleaves {left:?}")),
        }
    }
    assert!(failed.is_empty() && passed >= 40, "{passed} pass\n{}", failed.join("\n"));
}

/// Whether putting the original text back is the fix.
#[test]
fn what_is_shipped_passes() {
    let examples = std::fs::read_dir(folder().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let own = [ENVOY, DEMO].map(|file| folder().join(file));
    let mut files = 0;
    for path in examples.chain(own) {
        let (code, found) = check(&std::fs::read_to_string(&path).unwrap());
        assert_eq!((code, found.as_slice()), (0, &[][..]), "{}", path.display());
        files += 1;
    }
    assert!(files >= 10);
}

/// Every finding has a fix, or a problem that implies it.
#[test]
fn for_people() {
    let bad = text(ENVOY).replace("refresh_cluster_on_retry: true", "refresh_cluster_on_retry: false");
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
    let output = command.args(["check", "-"]).write_stdin(bad).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("standard input:")
            && said.contains(": error: retry_policy.refresh_cluster_on_retry: a retry goes"),
        "{said}"
    );
    assert!(said.contains("    fix: refresh_cluster_on_retry: true"), "{said}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("standard input has an error"));
}

/// A key that may use a model, but not what serves when that one fails.
#[test]
fn a_fallback_that_a_key_may_not_use() {
    let key = "role: user, hash: \"sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c\"";
    let demo = text(DEMO).replace("aliases: [gpt-4o-latest]", "fallbacks: [text-embedding-3-small]");
    for (models, wanted) in [
        ("[gpt-4o]", Some("[gpt-4o, text-embedding-3-small]")),
        ("[\"gpt-*\"]", Some("[gpt-*, text-embedding-3-small]")),
        ("[\"*\"]", None),
        ("[gpt-4o, \"text-*\"]", None),
        ("[text-embedding-3-small]", None),
    ] {
        let (code, found) = check(&demo.replace(key, &format!("{key}, models: {models}")));
        let Some(fix) = wanted else {
            assert_eq!((code, found.as_slice()), (0, &[][..]), "{models}");
            continue;
        };
        let [one] = found.as_slice() else { panic!("{models}: {found:?}") };
        assert_eq!((&one["rule"], &one["path"]), (&"unusable_fallback".into(), &"keys[0].models".into()));
        let problem = one["problem"].as_str().unwrap();
        assert!(problem.contains("\"gpt-4o\" falls back to \"text-embedding-3-small\", which this key may not use"));
        assert!(one["fix"].as_str().unwrap().starts_with(&format!("models: {fix}, or ")), "{one}");
        assert!(applied(&demo.replace(key, &format!("{key}, models: {models}")), one)
            .is_some_and(|good| check(&good).1.is_empty()));
    }
}

/// The file is named as it was given, so that an editor finds it.
#[test]
fn the_file_with_its_folder() {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
    let root = folder().join("..");
    let output = command.current_dir(root).args(["check", "envoy/examples/three-providers.yaml"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("envoy/examples/three-providers.yaml:"), "{said}");
}

/// Envoy's listeners in a separate file: clusters elsewhere are not checked.
#[test]
fn a_file_of_listeners() {
    let whole = text(ENVOY);
    let from = whole.find("    - name: gateway\n").unwrap();
    let to = whole.find("\n  # 3. The model servers").unwrap();
    let typed = "  - \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener\n    name";
    let listener = whole[from..to].replace("\n  ", "\n").replacen("    - name", typed, 1);
    let (code, found) = check(&format!("resources:\n{listener}\n"));
    assert_eq!((code, found.as_slice()), (0, &[][..]));
}
