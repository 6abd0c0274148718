//! `sluice schema`: it allows exactly what the configuration's reader accepts. And `sluice init`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{json, Value};

fn sluice(arguments: &[&str], input: &str) -> (i32, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
    let output = command.args(arguments).write_stdin(input).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn schema() -> Value {
    serde_json::from_str(&sluice(&["schema"], "").1).unwrap()
}

/// Whether `schema` allows `value`; supports the part of JSON Schema that is used.
fn allows(root: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        return allows(root, root.pointer(&reference[1..]).unwrap(), value);
    }
    let of_type = match schema["type"].as_str() {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some(other) => panic!("{other}"),
    };
    let any = schema["anyOf"].as_array().is_none_or(|any| any.iter().any(|one| allows(root, one, value)));
    let chosen = schema["enum"].as_array().is_none_or(|all| all.contains(value));
    let constant = schema.get("const").is_none_or(|constant| constant == value);
    let required =
        schema["required"].as_array().into_iter().flatten().all(|name| value.get(name.as_str().unwrap()).is_some());
    let fields = value.as_object().into_iter().flatten().all(|(name, value)| match schema["properties"].get(name) {
        Some(field) => allows(root, field, value),
        None if schema["additionalProperties"].is_object() => allows(root, &schema["additionalProperties"], value),
        None => schema["additionalProperties"] != false,
    });
    let items = value
        .as_array()
        .into_iter()
        .flatten()
        .all(|item| schema.get("items").is_none_or(|items| allows(root, items, item)));
    of_type && any && chosen && constant && required && fields && items
}

fn parsed(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap().join("envoy").join(file);
    // the core reads JSON, and `sluice render` prints what it has read
    let text = std::fs::read_to_string(path).unwrap();
    let node = <saphyr::Yaml as saphyr::LoadableYamlNode>::load_from_str(&text).unwrap().remove(0);
    value(&node)
}

fn value(node: &saphyr::Yaml) -> Value {
    if let Some(items) = node.as_sequence() {
        return items.iter().map(value).collect();
    }
    if let Some(fields) = node.as_mapping() {
        return Value::Object(
            fields.iter().map(|(name, node)| (name.as_str().unwrap().to_owned(), value(node))).collect(),
        );
    }
    let number = node.as_integer().map(Value::from).or(node.as_floating_point().map(Value::from));
    node.as_bool().map(Value::from).or(number).or(node.as_str().map(Value::from)).unwrap_or_default()
}

#[test]
fn shipped_files_are_allowed() {
    let schema = schema();
    for file in [
        "demo.yaml",
        "examples/fleet.yaml",
        "examples/kinds.yaml",
        "examples/texts.yaml",
        "examples/three-providers.yaml",
    ] {
        assert!(allows(&schema, &schema, &parsed(file)), "{file}");
    }
}

/// One of everything that has fields.
fn everything() -> Value {
    json!({
        "keys": [{"id": "a", "hash": format!("sha256:{}", "0".repeat(64)), "limits": {"concurrency": 1}, "tools": {"deny": ["x"]}}],
        "users": [{"name": "b", "hash": format!("pbkdf2-sha256$600000$AAAAAAAAAAAAAAAAAAAAAA==${}=", "A".repeat(43))}],
        "roles": {"user": ["U"]},
        "virtual_keys": {"secrets": [{"env": "S"}]},
        "revoked": [{"id": "c"}],
        "oidc": {"metadata": "jwt"},
        "shared": {"cluster": "s"},
        "ledger": {"cluster": "s", "start_timeout": "1s", "token": {"env": "L"}},
        "upstreams": {"x": {"provider": "vllm", "credential": {"env": "K"}, "usage": {"count": {"path": "/tokenize"}}, "ejection": {"time": "30s"}}},
        "models": [{
            "name": "m", "targets": [{"upstream": "x"}], "strategy": {"name": "weighted"}, "price": {"input": 1, "output": 1},
            "retry": {"budget": {"percent": 1}, "per_try_timeout": {"stream": "1s"}},
            "defaults": {"temperature": 1, "stream": true}, "overrides": {"system": "s"},
        }, {
            "name": "v",
            "choose": {"by": "rules", "cache": {"entries": 1}, "otherwise": "m", "kinds": [{"name": "k", "model": "m", "match": {"tools": true}}]},
        }],
        "ejection": {"time": "30s"},
        "guard": {"stream": {"mode": "window"}, "cache": {"time": "1s"}},
        "checks": [{"name": "p", "api": "patterns", "phase": ["request"], "action": "mask", "custom": [{"name": "E", "regex": "e"}]},
            {"name": "t", "api": "text_classification", "server": "tei", "cluster": "s", "thresholds": {"M": 0.5}, "pieces": {"overlap": 9}, "phase": ["request"], "action": "block", "on_failure": "deny"}],
        "services": {"s": {"url": "http://s"}},
        "usage": {"access_log": true},
        "access_log": {"file": "f", "cluster": "s"},
        "tracing": {"url": "http://t", "authorization": {"env": "T"}},
    })
}

/// The reader's field names, from its error for an unknown name.
fn known(document: &Value, at: &str) -> BTreeSet<String> {
    let mut document = document.clone();
    document.pointer_mut(at).unwrap().as_object_mut().unwrap().insert("qqqqqqqq".into(), json!(1));
    let found: Value = serde_json::from_str(&sluice(&["check", "--json", "-"], &document.to_string()).1).unwrap();
    let problem = |one: &Value| {
        let said = one["problem"].as_str().unwrap().strip_prefix("no such ")?;
        said.split_once("; there is ").map(|(_, names)| names.to_owned())
    };
    let names = found.as_array().unwrap().iter().find_map(problem).unwrap_or_else(|| panic!("{at}: {found}"));
    let names = names.split(" and ").next().unwrap();
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn it_has_the_fields_of_the_reader() {
    const PLACES: [(&str, &str); 37] = [
        ("/keys/0", "/$defs/key"),
        ("/keys/0/tools", "/$defs/tools"),
        ("/checks/1/pieces", "/$defs/check/properties/pieces"),
        ("/keys/0/limits", "/$defs/limits"),
        ("/users/0", "/$defs/user"),
        ("/roles", "/properties/roles"),
        ("/virtual_keys", "/properties/virtual_keys"),
        ("/virtual_keys/secrets/0", "/$defs/env"),
        ("/revoked/0", "/properties/revoked/items/anyOf/1"),
        ("/oidc", "/properties/oidc"),
        ("/shared", "/properties/shared"),
        ("/ledger", "/properties/ledger"),
        ("/ledger/token", "/$defs/env"),
        ("/upstreams/x", "/$defs/upstream"),
        ("/upstreams/x/credential", "/$defs/credential"),
        ("/upstreams/x/usage", "/$defs/upstream/properties/usage"),
        ("/upstreams/x/usage/count", "/$defs/upstream/properties/usage/properties/count"),
        ("/upstreams/x/ejection", "/$defs/ejection"),
        ("/models/0", "/$defs/model"),
        ("/models/0/price", "/$defs/model/properties/price"),
        ("/models/0/retry", "/$defs/retry"),
        ("/models/0/retry/budget", "/$defs/retry/properties/budget"),
        ("/models/0/retry/per_try_timeout", "/$defs/retry/properties/per_try_timeout/anyOf/1"),
        ("/models/0/defaults", "/$defs/model/properties/defaults"),
        ("/models/1/choose", "/$defs/model/properties/choose"),
        ("/models/1/choose/cache", "/$defs/model/properties/choose/properties/cache"),
        ("/models/1/choose/kinds/0", "/$defs/model/properties/choose/properties/kinds/items"),
        (
            "/models/1/choose/kinds/0/match",
            "/$defs/model/properties/choose/properties/kinds/items/properties/match/anyOf/0",
        ),
        ("/ejection", "/properties/ejection"),
        ("/guard", "/properties/guard"),
        ("/guard/stream", "/properties/guard/properties/stream"),
        ("/guard/cache", "/properties/guard/properties/cache"),
        ("/checks/0/custom/0", "/$defs/check/properties/custom/items"),
        ("/services/s", "/$defs/service"),
        ("/usage", "/properties/usage"),
        ("/tracing", "/properties/tracing"),
        ("/tracing/authorization", "/$defs/env"),
    ];
    let (schema, everything) = (schema(), everything());
    assert!(allows(&schema, &schema, &everything));
    let own = |at: &str| {
        let fields = schema.pointer(at).unwrap()["properties"].as_object().unwrap();
        fields.keys().cloned().collect::<BTreeSet<_>>()
    };
    for (place, at) in PLACES {
        let known = known(&everything, place);
        // the reader only lists the first names of a long list
        let own = own(at);
        assert!(if known.len() < 20 { known == own } else { known.is_subset(&own) }, "{place}: {known:?}, not {own:?}");
        let mut odd = everything.clone();
        odd.pointer_mut(place).unwrap()["qqqqqqqq"] = json!(1);
        assert!(!allows(&schema, &schema, &odd), "{place}");
    }
    let mut of_checks = BTreeSet::new();
    let apis = ["openai_moderations", "presidio", "chat_classifier", "text_classification", "generic_guardrail_api"];
    for api in apis.into_iter().chain(["patterns"]) {
        let mut document = everything.clone();
        document["checks"][0] = json!({"name": "p", "api": api});
        of_checks.extend(known(&document, "/checks/0"));
    }
    assert_eq!(of_checks, own("/$defs/check"));
    for strategy in ["weighted", "priority", "first_available"] {
        let mut document = everything.clone();
        document["models"][0]["strategy"] = json!(strategy);
        assert!(known(&document, "/models/0/targets/0").is_subset(&own("/$defs/target/anyOf/1")));
    }
}

/// Every field says what it is for, and the manual's reference is what the command prints.
#[test]
fn reference() {
    let (code, page) = sluice(&["schema", "--markdown"], "");
    assert_eq!(code, 0);
    let silent: Vec<&str> =
        page.lines().filter(|row| row.starts_with("| `") && (row.ends_with("|  |") || row.ends_with(": |"))).collect();
    assert!(silent.is_empty(), "src/cli/src/schema/descriptions.rs lacks: {silent:#?}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
    let shown = std::fs::read_to_string(file).unwrap();
    assert!(shown == page, "write it anew: target/debug/sluice schema --markdown > docs/reference.md");
}

#[test]
fn init() {
    let directory = std::env::temp_dir().join(format!("sluice-init-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("sluice.yaml");
    let run = |keys: &[&str]| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
        command.arg("init").arg(&file).env_clear().envs(keys.iter().map(|key| (*key, "secret")));
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, _, error) = run(&[]);
    assert!(code == 2 && error.contains("export one of OPENAI_API_KEY, ANTHROPIC_API_KEY"), "{error}");
    let (code, keys, _) = run(&["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "TOGETHER_API_KEY"]);
    let keys: Vec<&str> = keys.lines().collect();
    assert!(code == 0 && keys.len() == 2 && keys[0] != keys[1] && keys.iter().all(|key| key.starts_with("sk-")));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("secret") && !keys.iter().any(|key| text.contains(key)), "{text}");
    let (code, found) = sluice(&["check", "--json", file.to_str().unwrap()], "");
    assert_eq!(code, 0, "{found}");
    for wanted in [
        "{id: admin, role: admin, hash: \"sha256:",
        "groq: {provider: groq}",
        "{name: gpt-4o, targets: [openai]}",
        "{name: claude-*, targets: [anthropic]}",
        "{name: \"*\", targets: [groq]}",
        "{name: meta-llama/Llama-3.3-70B-Instruct-Turbo, targets: [together]}",
    ] {
        assert!(text.contains(wanted), "{text}");
    }
    let (code, _, error) = run(&["OPENAI_API_KEY"]);
    assert!(
        code == 2 && error.contains("exists, and is not changed; start it: sluice run "),
        "what is there stays: {error}"
    );
    std::fs::remove_dir_all(&directory).unwrap();
}
