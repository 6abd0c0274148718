//! `sluice render` as a command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command as Git;

use assert_cmd::Command;

const KEYS: &str =
    "keys: [{id: a, hash: \"sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c\"}]\n";

/// The exit code and the output of a call.
fn render(text: &str) -> (i32, String, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
    let output = command.args(["render", "-"]).write_stdin(text).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn rendered(text: &str) -> String {
    let (code, out, error) = render(text);
    assert_eq!(code, 0, "{error}\n{text}");
    out
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap()
}

/// Skipped if git says that the file has been edited by hand, which is allowed.
#[test]
fn the_demo_is_the_shipped_file() {
    let shipped = std::fs::read_to_string(root().join("envoy/envoy.yaml")).unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
    let output = command.arg("render").arg(root().join("envoy/demo.yaml")).output().unwrap();
    let rendered = String::from_utf8(output.stdout).unwrap();
    if rendered == shipped {
        return;
    }
    let files = ["envoy/envoy.yaml", "envoy/demo.yaml"];
    let git = Git::new("git").current_dir(root()).args(["diff", "--quiet", "HEAD", "--"]).args(files).status();
    if git.map_or(true, |status| !status.success()) {
        println!("skipped: envoy/envoy.yaml has been edited by hand");
        eprintln!("skipped: envoy/envoy.yaml has been edited by hand");
        return;
    }
    let differs = rendered.lines().zip(shipped.lines()).position(|(one, other)| one != other);
    panic!(
        "envoy.yaml is not what demo.yaml makes, from line {:?} on; run: sluice render envoy/demo.yaml",
        differs.map(|at| at + 1)
    );
}

/// All settings that a provider's name implies.
#[test]
fn providers() {
    const CASES: [(&str, &str, &str); 20] = [
        ("openai", "{cluster: x, host: api.openai.com, credential: {env: OPENAI_API_KEY}}", "api.openai.com"),
        (
            "azure, resource: res",
            "{cluster: x, host: res.openai.azure.com, base_path: /openai/v1, credential: {env: AZURE_OPENAI_API_KEY, header: api-key}}",
            "res.openai.azure.com",
        ),
        (
            "anthropic",
            "{cluster: x, dialects: [anthropic], host: api.anthropic.com, credential: {env: ANTHROPIC_API_KEY}, headers: {anthropic-version: \"2023-06-01\"}}",
            "api.anthropic.com",
        ),
        (
            "gemini",
            "{cluster: x, dialects: [gemini], host: generativelanguage.googleapis.com, credential: {env: GEMINI_API_KEY}}",
            "generativelanguage.googleapis.com",
        ),
        (
            "bedrock, region: us-east-1",
            "{cluster: x, host: bedrock-runtime.us-east-1.amazonaws.com, base_path: /openai/v1, credential: {env: AWS_BEARER_TOKEN_BEDROCK}}",
            "bedrock-runtime.us-east-1.amazonaws.com",
        ),
        (
            "vertex, region: us-central1, project: p-1",
            "{cluster: x, host: us-central1-aiplatform.googleapis.com, base_path: /v1/projects/p-1/locations/us-central1/endpoints/openapi, credential: {env: VERTEX_ACCESS_TOKEN}}",
            "us-central1-aiplatform.googleapis.com",
        ),
        (
            "vertex, region: global, project: p-1",
            "{cluster: x, host: aiplatform.googleapis.com, base_path: /v1/projects/p-1/locations/global/endpoints/openapi, credential: {env: VERTEX_ACCESS_TOKEN}}",
            "aiplatform.googleapis.com",
        ),
        ("mistral", "{cluster: x, host: api.mistral.ai, credential: {env: MISTRAL_API_KEY}, include_usage: false}", "api.mistral.ai"),
        ("groq", "{cluster: x, host: api.groq.com, base_path: /openai/v1, credential: {env: GROQ_API_KEY}}", "api.groq.com"),
        ("deepseek", "{cluster: x, host: api.deepseek.com, credential: {env: DEEPSEEK_API_KEY}}", "api.deepseek.com"),
        ("openrouter", "{cluster: x, host: openrouter.ai, base_path: /api/v1, credential: {env: OPENROUTER_API_KEY}}", "openrouter.ai"),
        ("together", "{cluster: x, host: api.together.xyz, credential: {env: TOGETHER_API_KEY}}", "api.together.xyz"),
        (
            "fireworks",
            "{cluster: x, host: api.fireworks.ai, base_path: /inference/v1, credential: {env: FIREWORKS_API_KEY}}",
            "api.fireworks.ai",
        ),
        ("xai", "{cluster: x, host: api.x.ai, credential: {env: XAI_API_KEY}}", "api.x.ai"),
        (
            "cohere",
            "{cluster: x, host: api.cohere.ai, base_path: /compatibility/v1, credential: {env: COHERE_API_KEY}}",
            "api.cohere.ai",
        ),
        ("ollama", "{cluster: x, dialects: [openai, ollama]}", "127.0.0.1, port_value: 11434"),
        ("vllm", "{cluster: x}", "127.0.0.1, port_value: 8000"),
        ("llamacpp", "{cluster: x}", "127.0.0.1, port_value: 8080"),
        ("lmstudio", "{cluster: x}", "127.0.0.1, port_value: 1234"),
        ("sglang", "{cluster: x}", "127.0.0.1, port_value: 30000"),
    ];
    for (provider, router, address) in CASES {
        let out = rendered(&format!(
            "{KEYS}upstreams: {{x: {{provider: {provider}}}}}\nmodels: [{{name: m, targets: [x]}}]\n"
        ));
        assert!(out.contains(&format!("x: {router}\n")), "{provider}: {out}");
        assert!(out.contains(&format!("address: {address}")), "{provider}: {out}");
        let tls = !address.starts_with("127.");
        assert_eq!(out.contains(&format!("sni: {address}\n")), tls, "{provider}");
        assert_eq!(out.contains(&format!("[{{san_type: DNS, matcher: {{exact: {address}}}}}]")), tls, "{provider}");
        assert_eq!(out.matches("&no_limits").count(), 1);
    }
}

#[test]
fn upstreams_by_url() {
    const CASES: [(&str, &str, &str); 7] = [
        ("url: \"http://127.0.0.1:8000/v1\"", "{cluster: x}", "127.0.0.1, port_value: 8000"),
        ("url: \"http://[::1]:8000\"", "{cluster: x}", "\"::1\", port_value: 8000"),
        ("url: http://models", "{cluster: x, host: models}", "models, port_value: 80"),
        (
            "url: \"http://models:8000/api/\"",
            "{cluster: x, host: \"models:8000\", base_path: /api}",
            "models, port_value: 8000",
        ),
        (
            "url: https://models.example.com",
            "{cluster: x, host: models.example.com}",
            "models.example.com, port_value: 443",
        ),
        (
            "provider: openai, url: https://eu.api.openai.com",
            "{cluster: x, host: eu.api.openai.com, credential: {env: OPENAI_API_KEY}}",
            "eu.api.openai.com, port_value: 443",
        ),
        (
            "provider: groq, url: \"http://127.0.0.1:9101/v1\", credential: {env: OTHER}",
            "{cluster: x, credential: {env: OTHER}}",
            "127.0.0.1, port_value: 9101",
        ),
    ];
    for (upstream, router, address) in CASES {
        let out = rendered(&format!("{KEYS}upstreams: {{x: {{{upstream}}}}}\nmodels: [{{name: m, targets: [x]}}]\n"));
        assert!(out.contains(&format!("x: {router}\n")), "{upstream}: {out}");
        assert!(out.contains(&format!("{{address: {address}}}")), "{upstream}: {out}");
    }
}

#[test]
fn everything_else() {
    let out = rendered(&format!(
        "# Mine.\n\n{KEYS}# before\nlimits: # all\n  tokens_per_minute: 5\nlisten: 0.0.0.0:8080\nadmin: 127.0.0.1:9000\n\
         upstreams:\n  # the first\n  a: {{url: \"https://a.example\", connect_timeout: 1500ms, trusted_ca: /ca.pem}}\n  b:\n    \
         url: http://127.0.0.1:2 # said\n    # within\n    credential: {{env: B_KEY}}\nmodels:\n- name: m\n  targets: [a, b]\n\
         services: {{judge: {{url: \"http://judge:1\"}}}}\nguard: {{max_text: 1MiB}}\nchecks:\n  \
         - {{name: t, api: openai_moderations, cluster: judge, phase: [request], action: block, on_failure: deny, credential: {{env: J_KEY}}}}\n\
         tracing: {{url: \"http://127.0.0.1:6006/v1/traces\", authorization: {{env: T_KEY}}}}\nmax_request_body: 1MiB\n\
         wasm: /opt/sluice.wasm\ntrusted_ca: /all.pem\n"
    ));
    for wanted in [
        "# Mine.\n# `sluice render` made this file from standard input. Edit",
        "address: 127.0.0.1, port_value: 9000}",
        "address: 0.0.0.0, port_value: 8080}",
        "request_body_buffer_limit: 1048576\n",
        "root_id: auth+guard+router+usage\n",
        "host_env_keys: [J_KEY, B_KEY]",
        "filename: /opt/sluice.wasm",
        "                              # before\n                              limits: # all\n                                tokens_per_minute: 5\n",
        "                                # the first\n                                a: {cluster: a, host: a.example}\n",
        "                                # within\n                                b: {cluster: b, credential: {env: B_KEY}}\n",
        "                              models:\n                              - name: m\n                                targets: [a, b]\n",
        "                            guard:\n                              max_text: \"1MiB\"\n                              checks:\n",
        "usage: {access_log: true, tracing: true}",
        "connect_timeout: 1.500s",
        "trusted_ca: {filename: /ca.pem}",
        "    - name: judge\n",
        "    - name: traces\n",
        "http_uri: {uri: \"http://127.0.0.1:6006/v1/traces\", cluster: traces, timeout: 5s}",
        "%ENVIRONMENT(T_KEY)%",
        "layered_runtime:\n",
        "on_no_match: {action: {name: a,",
    ] {
        assert!(out.contains(wanted), "{wanted}\n{out}");
    }
    assert!(!out.contains("cluster: mock-") && !out.contains("Traces 2") && !out.contains("MOCK_"), "{out}");
    assert!(!out.contains("judge: {action"), "no request may be routed to a service");
}

#[test]
fn a_ledger() {
    let file = |services: &str| {
        format!(
            "{KEYS}ledger: {{cluster: ledger, token: {{env: LEDGER_TOKEN}}}}\n{services}upstreams: {{x: {{provider: openai}}}}\n\
             models: [{{name: m, targets: [x]}}]\n"
        )
    };
    let out = rendered(&file("services: {ledger: {url: \"http://ledger:8090\"}}\n"));
    assert!(out.contains("ledger: {cluster: ledger, token: {env: LEDGER_TOKEN}}"), "{out}");
    assert!(out.contains("- name: ledger") && out.contains("address: ledger, port_value: 8090"), "{out}");
    let variables = out.lines().find(|line| line.contains("host_env_keys:")).unwrap();
    assert!(variables.contains("LEDGER_TOKEN"), "{variables}");
    let check = |text: &str| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
        String::from_utf8(command.args(["check", "-"]).write_stdin(text).output().unwrap().stdout).unwrap()
    };
    let missing = check(&file(""));
    assert!(missing.contains("ledger.cluster") && missing.contains("there is no service \"ledger\""), "{missing}");
    let there = check(&file("services: {ledger: {url: \"http://ledger:8090\"}}\n"));
    assert!(!there.contains("nothing uses this service"), "{there}");
}

/// gRPC needs HTTP/2; the ledger alone does not.
#[test]
fn an_access_log_elsewhere() {
    let with = |field: &str| {
        rendered(&format!(
            "{KEYS}{field}services: {{led: {{url: \"http://ledger:8090\"}}}}\nupstreams: {{x: {{provider: openai}}}}\n\
             models: [{{name: m, targets: [x]}}]\n"
        ))
    };
    for (field, http2, file, service) in [
        ("ledger: {cluster: led}\n", false, false, false),
        ("shared: {cluster: led}\n", true, false, false),
        ("access_log: {file: a.log}\n", false, true, false),
        ("access_log: {cluster: led}\n", true, false, true),
        ("access_log: {file: a.log, cluster: led}\n", true, true, true),
    ] {
        let out = with(field);
        assert_eq!(out.contains("http2_protocol_options: {}"), http2, "{out}");
        assert_eq!(out.contains("access_loggers.file.v3.FileAccessLog") && out.contains("path: a.log"), file, "{out}");
        assert_eq!(out.contains("StdoutAccessLog"), !file, "{out}");
        assert_eq!(out.contains("grpc_service: {envoy_grpc: {cluster_name: led}}"), service, "{out}");
    }
}

#[test]
fn web_pages_that_may_call() {
    let with = |origins: &str| {
        let out = rendered(&format!(
            "{KEYS}{origins}upstreams: {{x: {{provider: openai}}}}\nmodels: [{{name: m, targets: [x]}}]\n"
        ));
        let at = out.find("allow_origin_string_match:").unwrap();
        out[at..]
            .lines()
            .take_while(|line| !line.contains("allow_methods"))
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(with("").contains("localhost"));
    let two = "allow_origin_string_match:\n- {exact: \"https://a.example\"}\n- {exact: \"http://b.example:8080\"}";
    assert_eq!(with("allow_origins: [\"https://a.example\", \"http://b.example:8080\"]\n"), two);
    assert_eq!(with("allow_origins: [\"*\"]\n"), "allow_origin_string_match:\n- {safe_regex: {regex: \".*\"}}");
    assert_eq!(with("allow_origins: []\n"), "allow_origin_string_match: []");
    for wrong in ["a.example", "https://", "https://a.example/", "https://*.a.example", "https://a example"] {
        let (code, _, error) = render(&format!("{KEYS}allow_origins: [\"{wrong}\"]\nupstreams: {{}}\nmodels: []\n"));
        assert!(
            code != 0 && error.contains("allow_origins[0]") && error.contains("must be a page's origin"),
            "{error}"
        );
    }
}

/// Text that cannot be moved unchanged is rewritten.
#[test]
fn odd_yaml() {
    for text in [
        "keys: [\n {id: a, hash: &h \"sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c\"}\n]\n",
        "{keys: [{id: a, hash: \"sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c\"}], \
         upstreams: {x: {provider: vllm}}, models: [{name: m, targets: [x]}]}",
        "upstreams: {x: {provider: vllm, headers: &h {a: b}}, y: {provider: tgi, headers: *h}}\n",
    ] {
        let more = ["keys", "upstreams", "models"].map(|field| match (text.contains(field), field) {
            (true, _) => "",
            (false, "keys") => KEYS,
            (false, "upstreams") => "upstreams: {x: {provider: vllm}}\n",
            (false, _) => "models: [{name: m, targets: [x]}]\n",
        });
        let out = rendered(&format!("{text}{}", more.concat()));
        assert!(out.contains("sha256:2eef5086"), "{out}");
        assert!(out.contains("name: m"), "{out}");
    }
}

#[test]
fn mistakes() {
    const CASES: [(&str, &str); 18] = [
        (
            "upstreams: {x: {provider: opnai}}",
            "-:1: upstreams.x.provider: \"opnai\" is none of its values; did you mean \"openai\"?",
        ),
        ("\nupstreams:\n  x: {}", "-:3: upstreams.x: needs `provider`"),
        (
            "upstreams: {x: {provider: azure}}",
            "-:1: upstreams.x: azure needs `resource`: the name of the Azure OpenAI resource",
        ),
        ("upstreams: {x: {provider: bedrock, region: a/b}}", "upstreams.x.region: must be letters"),
        ("upstreams: {x: {url: 127.0.0.1}}", "upstreams.x.url: \"127.0.0.1\" is not a URL"),
        ("upstreams: {x: {url: \"http://a\", trusted_ca: b}}", "upstreams.x.trusted_ca: is for servers with TLS"),
        ("upstreams: {x: {provider: vllm, cluster: y}}", "upstreams.x.cluster: no such field"),
        ("upstream: {}", "-:1: upstream: no such field; did you mean \"upstreams\"?"),
        ("upstreams: []", "upstreams: must be an object"),
        ("listen: 10000", "listen: must be a string"),
        ("listen: here", "listen: \"here\" is not an address"),
        ("services: {s: {url: \"http://a/b\"}}", "services.s.url: must have no path"),
        (
            "services: {s: {url: \"http://a\"}}\nupstreams: {s: {provider: vllm}}",
            "-:1: services.s: is the name of an upstream",
        ),
        ("checks: []\nguard: {checks: []}", "checks: is also in `guard`"),
        ("access_log: {files: a}", "access_log.files: no such field; did you mean \"file\"?"),
        ("access_log: {cluster: 1}", "access_log.cluster: must be a string"),
        ("a: [", "-:2: not YAML"),
        ("a: 1\na: 2", "-:2: not YAML"),
    ];
    for (text, wanted) in CASES {
        let (code, out, error) = render(text);
        let wanted = wanted.replacen("-:", "standard input:", 1);
        assert_eq!((code, out.as_str()), (1, ""), "{text}");
        assert!(error.contains(&wanted), "{text}\n{error}");
    }
}
