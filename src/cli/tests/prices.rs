//! `sluice prices`, and the prices that a short file gets from the list.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

const KEYS: &str =
    "keys: [{id: a, hash: \"sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c\"}]\n";

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prices").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the command with its own list in `home`; returns its exit code, its output and its errors.
fn sluice(home: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
    let output = command.env("XDG_CONFIG_HOME", home).args(arguments).write_stdin(input).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The line of each upstream in Envoy's configuration.
fn upstreams(home: &Path, text: &str) -> Vec<String> {
    let (code, out, error) = sluice(home, &["render", "-"], &format!("{KEYS}{text}"));
    assert_eq!(code, 0, "{error}");
    let lines = out.lines().map(str::trim).skip_while(|line| *line != "upstreams:").skip(1);
    let mut found: Vec<String> = Vec::new();
    for line in lines.take_while(|line| !line.starts_with("models:")) {
        assert!(line.len() < 200, "one price to a line: {line}");
        match (line.contains("{cluster: "), found.last_mut()) {
            (false, Some(last)) => last.push_str(line),
            _ => found.push(line.to_owned()),
        }
    }
    found
}

#[test]
fn upstreams_get_the_prices_of_what_they_serve() {
    let home = folder("served");
    let found = upstreams(
        &home,
        "upstreams: {o: {provider: openai}, a: {provider: anthropic}, v: {url: \"http://127.0.0.1:8000\"}}\n\
         models:\n\
         - {name: gpt-4o, targets: [o, v]}\n\
         - {name: o3, price: {input: 1, output: 1}, targets: [o]}\n\
         - {name: renamed, targets: [{upstream: o, model: gpt-4.1}, {upstream: o, model: o1, price: {input: 1, output: 1}}]}\n\
         - {name: \"claude-opus-*\", targets: [a]}\n",
    );
    let [openai, anthropic, own] = found.as_slice() else { panic!("{found:?}") };
    assert!(openai.contains("prices: {gpt-4.1: {"), "{openai}");
    assert!(openai.contains("gpt-4o: {input: 2.5, cached_input: 1.25, output: 10}"), "{openai}");
    assert!(!openai.contains("o3: ") && !openai.contains("o1: ") && !openai.contains("gpt-4o-mini"), "{openai}");
    assert!(anthropic.contains("claude-opus-4-6: {") && !anthropic.contains("claude-sonnet"), "{anthropic}");
    assert!(!own.contains("prices"), "{own}");
}

#[test]
fn own_prices_replace_the_list() {
    let home = folder("own");
    for (prices, want) in
        [("{}", "prices: {}"), ("{gpt-4o: {input: 9, output: 9}}", "prices: {gpt-4o: {input: 9, output: 9}}")]
    {
        let file = format!(
            "upstreams: {{o: {{provider: openai, prices: {prices}}}}}\nmodels: [{{name: gpt-4o, targets: [o]}}]\n"
        );
        let found = upstreams(&home, &file);
        assert!(found[0].contains(want) && found[0].matches("gpt-4o").count() <= 1, "{found:?}");
    }
}

/// In the form that `show` prints, and in LiteLLM's.
#[test]
fn another_list() {
    let home = folder("another");
    let file = home.join("list");
    let update = || sluice(&home, &["prices", "update", file.to_str().unwrap()], "");
    let short = "upstreams: {o: {provider: openai}}\nmodels: [{name: \"*\", targets: [o]}]\n";
    fs::write(&file, "openai:\n  mine: {input: 1.5, output: 2}\n").unwrap();
    let (code, out, error) = update();
    assert!(code == 0 && out.starts_with("1 prices are in "), "{out}{error}");
    assert!(upstreams(&home, short)[0].contains("prices: {mine: {input: 1.5, output: 2}}"));
    let litellm = r#"{"sample_spec": {"litellm_provider": "one of them", "input_cost_per_token": 0},
        "gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "cache_read_input_token_cost": 1.25e-06,
                  "output_cost_per_token": 1e-05},
        "gemini/embed": {"litellm_provider": "gemini", "input_cost_per_token": 1.5e-07},
        "image": {"litellm_provider": "openai", "input_cost_per_image": 0.04}}"#;
    fs::write(&file, litellm).unwrap();
    assert_eq!(update().0, 0);
    let list = sluice(&home, &["prices", "show"], "").1;
    assert!(list.contains("\nopenai:\n  gpt-x: {input: 2.5, cached_input: 1.25, output: 10.0}\n"), "{list}");
    assert!(list.contains("\ngemini:\n  embed: {input: 0.15, output: 0}\n"), "{list}");
}

#[test]
fn mistakes_in_a_list() {
    let home = folder("mistakes");
    let file = home.join("list");
    for (text, want) in [
        ("", "no prices at all"),
        ("openia: {m: {input: 1, output: 1}}", "openia: no such provider"),
        ("openai: {m: {input: 1}}", "openai.m.output: "),
        ("openai: {m: {input: -1, output: 1}}", "openai.m.input: "),
        ("openai: [", "line 2: not YAML"),
    ] {
        fs::write(&file, text).unwrap();
        let (code, _, error) = sluice(&home, &["prices", "update", file.to_str().unwrap()], "");
        assert!(code == 1 && error.contains(want), "{text}: {error}");
        assert!(!home.join("sluice/prices.yaml").exists());
    }
}

/// The shipped list has no mistakes.
#[test]
fn the_shipped_list() {
    let home = folder("shipped");
    let file = home.join("list");
    fs::write(&file, sluice(&home, &["prices", "show"], "").1).unwrap();
    let (code, out, error) = sluice(&home, &["prices", "update", file.to_str().unwrap()], "");
    assert!(code == 0 && out.starts_with("298 prices"), "{out}{error}");
}
