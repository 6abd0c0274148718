mod limits;

use std::time::Duration;

use sluice::config::{router, ConfigError};
use sluice::endpoint::Dialect;
use sluice::health::Policy;
use sluice::outcome::Outcome;
use sluice::routing::{AffinityBy, AnswerHeaders, Budget, ResponseModel, Table};
use sluice::usage::{Counter, Format, Metering, COUNT_TIMEOUT};

use super::{protobuf_struct, refusal};

const SECRET: &str = "sk-do-not-print";

fn environment(name: &str) -> Option<String> {
    match name {
        "OPENAI_API_KEY" => Some(SECRET.to_owned()),
        "BROKEN" => Some(format!("{SECRET}\n")),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// Reads it as JSON, and as Envoy's Struct: both must give the same result.
fn read(text: &str) -> Result<Table, ConfigError> {
    let table = router(text.as_bytes(), &environment);
    if let Ok(value) = serde_json::from_str(text) {
        let from_struct = router(&protobuf_struct(&value), &environment);
        let told = |table: &Result<Table, ConfigError>| match table {
            Ok(table) => format!("{:?} {:?}", table.upstreams(), table.models()),
            Err(error) => error.to_string(),
        };
        assert_eq!(told(&from_struct), told(&table), "as a Struct: {text}");
    }
    table
}

const GOOD: &str = r#"{
    "upstreams": {
        "openai": {
            "host": "api.openai.com",
            "credential": {"env": "OPENAI_API_KEY"},
            "headers": {"OpenAI-Organization": "org"}
        },
        "azure": {
            "cluster": "azure_east",
            "base_path": "/openai/deployments/{model}/",
            "query": "api-version=2024-10-21",
            "credential": {"env": "OPENAI_API_KEY", "header": "api-key"},
            "include_usage": false,
            "usage": {"format": "openai", "count": {"path": "/tokenize", "timeout": "500ms"}},
            "ejection": {"time": "1m"}
        },
        "local": {"dialects": ["ollama", "openai"], "usage": {"count": {"path": "/extras/tokenize/count"}}}
    },
    "models": [
        {
            "name": "gpt-4o",
            "aliases": ["default", "gpt-4o-*"],
            "strategy": {"name": "affinity", "by": "key"},
            "retry": {"per_try_timeout": "20s", "on": [429, "5xx", 409.0], "budget": {"percent": 20}},
            "fallbacks": ["*"],
            "context_length_fallback": "*",
            "targets": [{"upstream": "openai", "weight": 3.0}, {"upstream": "azure", "model": "east", "weight": 1}]
        },
        {"name": "*", "strategy": "first_available", "targets": [{"upstream": "local", "slots": 2}]}
    ],
    "retry": {"max_attempts": 2, "per_try_timeout": {"stream": "5s"}, "deadline": "1m"},
    "ejection": {"consecutive_failures": 1, "time": "10m", "max_ejected_percent": 50},
    "hold_json": 0, "max_upload": "30MiB",
    "answer_headers": "never",
    "hold": {"max": "15s"},
    "response_model": "requested",
    "stored_responses": "2h"
}"#;

#[test]
fn good() {
    let table = read(GOOD).unwrap();
    let [azure, local, openai] = table.upstreams() else { panic!("{:?}", table.upstreams()) };
    assert_eq!([&azure.cluster, &local.cluster, &openai.cluster], ["azure_east", "local", "openai"]);
    assert_eq!(azure.base_path.as_deref(), Some("/openai/deployments/{model}"), "without the last slash");
    assert_eq!(azure.query.as_deref(), Some("api-version=2024-10-21"));
    assert_eq!((azure.include_usage, openai.include_usage), (false, true));
    let counter = |path: &str, timeout| Some(Counter { path: path.to_owned(), timeout });
    let count = counter("/tokenize", Duration::from_millis(500));
    assert_eq!(azure.usage, Metering { format: Format::OpenAi, count });
    assert_eq!(openai.usage, Metering::default());
    assert_eq!(local.usage, Metering { format: Format::Auto, count: counter("/extras/tokenize/count", COUNT_TIMEOUT) });
    assert_eq!(azure.credential(Dialect::OpenAi), Some(("api-key", SECRET)));
    assert_eq!(openai.credential(Dialect::OpenAi), Some(("authorization", format!("Bearer {SECRET}").as_str())));
    assert_eq!(openai.headers, [("openai-organization".to_owned(), "org".to_owned())]);
    assert_eq!(openai.dialects, [Dialect::OpenAi], "by default");
    assert_eq!(local.dialects, [Dialect::Ollama, Dialect::OpenAi]);
    assert!(local.credential(Dialect::Ollama).is_none());
    let [model, rest] = table.models() else { panic!("{:?}", table.models()) };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!((model.retry.stream_timeout, model.retry.json_timeout), (seconds(20), seconds(20)));
    assert_eq!((rest.retry.stream_timeout, rest.retry.json_timeout), (seconds(5), None), "of all models");
    assert_eq!((model.retry.max_attempts, model.retry.deadline), (2, seconds(60)), "of all models");
    assert_eq!(model.retry.budget, Some(Budget { percent: 20, min_per_second: 1 }));
    let allowed = [(Outcome::TryAgain, 409), (Outcome::RateLimited, 429), (Outcome::ServerError, 502)];
    let refused = [(Outcome::TryAgain, 408), (Outcome::ConnectFailure, 0), (Outcome::ClientError, 400)];
    assert!(allowed.iter().all(|(outcome, status)| model.retry.on.allows(*outcome, *status)));
    assert!(!refused.iter().any(|(outcome, status)| model.retry.on.allows(*outcome, *status)));
    assert_eq!((model.fallbacks.as_slice(), model.context_length_fallback), (&[1][..], Some(1)));
    assert_eq!(model.targets[1].model.as_deref(), Some("east"));
    assert_eq!(model.strategy.affinity(), Some(AffinityBy::Key));
    assert!(rest.strategy.queue_timeout().is_some() && local.counts_in_flight && !openai.counts_in_flight);
    assert_eq!(table.paths().max_upload, 30 << 20);
    assert_eq!((table.hold_json, table.answer_headers, table.max_ejected_percent), (0, AnswerHeaders::Never, 50));
    assert_eq!((table.hold, table.response_model), (Some(Duration::from_secs(15)), ResponseModel::Requested));
    assert_eq!(table.stored_responses, Some(Duration::from_secs(7200)));
    assert_eq!(openai.ejection.consecutive_failures, 1);
    assert_eq!(openai.ejection.max_time, Duration::from_secs(600), "grows with the time");
    assert_eq!(azure.ejection, Policy { time: Duration::from_secs(60), ..openai.ejection }, "its own over that");
}

#[test]
fn a_target_may_be_a_name_alone() {
    let models = |targets: &str| {
        format!(r#"{{"upstreams": {{"a": {{}}, "b": {{}}}}, "models": [{{"name": "m", "targets": {targets}}}]}}"#)
    };
    let table = read(&models(r#"["b", {"upstream": "a", "model": "x"}]"#)).unwrap();
    let targets: Vec<_> = table.models()[0].targets.iter().map(|target| (target.upstream, &target.model)).collect();
    assert_eq!(targets, [(1, &None), (0, &Some("x".to_owned()))]);
    assert_eq!(
        refusal("a target", read(&models(r#"["c"]"#))),
        "router.models[0].targets[0]: no upstream \"c\"; did you mean \"a\"?"
    );
}

#[test]
fn mistakes_in_upstreams() {
    let unset = |name| {
        format!(
            "the environment variable {name} is not set, or the wasm cannot see it; export it before Envoy starts \
             and list it in vm_config.environment_variables.host_env_keys"
        )
    };
    let (missing, empty) = (unset("MISSING"), unset("EMPTY"));
    let no_path = "must be a path from the server's root, such as \"/tokenize\"";
    let no_duration = "must be a duration such as 500ms, 30s or 2m, but is a number";
    let no_name = "is not the name of an environment variable; put the key itself into the variable";
    let cases = [
        (r#""hots":"x""#, ".hots", "no such field; did you mean \"host\"?"),
        (r#""url":"x""#, ".url", "no such field; there is cluster, dialects, host, base_path, query, credential, headers, forward_headers, include_usage, translate, responses_api, strict_end, prices, usage, ejection"),
        (r#""cluster":"""#, ".cluster", "must not be empty"),
        (r#""cluster":"out|443||x""#, "", "the server would be asked by its cluster's name, \"out|443||x\"; name a `host`"),
        (r#""cluster":7"#, ".cluster", "must be a string, but is a number"),
        (r#""host":"a\r\nb""#, ".host", "contains characters that cannot stand in a header"),
        (
            r#""host":"https://api.openai.com/v1""#,
            ".host",
            "must be a host name such as api.openai.com; a path before /chat/completions is `base_path`",
        ),
        (r#""host":"modèle""#, ".host", "contains characters that cannot stand in a header"),
        (r#""dialects":"openai""#, ".dialects", "must be a list, but is a string"),
        (r#""dialects":[]"#, ".dialects", "names no dialect; leave it out for openai alone"),
        (r#""dialects":["openia"]"#, ".dialects[0]", "\"openia\" is none of its values; did you mean \"openai\"?"),
        (r#""dialects":["grpc"]"#, ".dialects[0]", "\"grpc\" is none of its values; there is openai, anthropic, ollama, gemini, converse"),
        (r#""base_path":"v1""#, ".base_path", "must start with \"/\" and have no query (there is `query` for that)"),
        (r#""base_path":"/v1?a=b""#, ".base_path", "must start with \"/\" and have no query (there is `query` for that)"),
        (
            r#""base_path":"/v2","dialects":["openai","ollama"]"#,
            ".base_path",
            "stands in place of one dialect's base path, but the upstream also speaks \"ollama\"; make two upstreams of it",
        ),
        (r#""query":"?a=b""#, ".query", "write it without the leading \"?\""),
        (r#""include_usage":"no""#, ".include_usage", "must be true or false, but is a string"),
        (r#""strict_end":"always""#, ".strict_end", "must be true or false, but is a string"),
        (r#""usage":"openai""#, ".usage", "must be an object, but is a string"),
        (r#""usage":{"fromat":"auto"}"#, ".usage.fromat", "no such field; did you mean \"format\"?"),
        (r#""usage":{"format":"openia"}"#, ".usage.format", "\"openia\" is none of its values; did you mean \"openai\"?"),
        (r#""usage":{"count":{}}"#, ".usage.count.path", "missing"),
        (r#""usage":{"count":{"path":"tokenize"}}"#, ".usage.count.path", no_path),
        (r#""usage":{"count":{"path":"/to kenize"}}"#, ".usage.count.path", no_path),
        (r#""usage":{"count":{"path":"/tokenize","timeout":1}}"#, ".usage.count.timeout", no_duration),
        (r#""credential":"sk-do-not-print""#, ".credential", "must be an object, but is a string"),
        (r#""credential":{}"#, ".credential.env", "missing"),
        (r#""credential":{"env":"sk-do-not-print"}"#, ".credential.env", no_name),
        (r#""credential":{"env":"MISSING"}"#, ".credential.env", &missing),
        (r#""credential":{"env":"EMPTY"}"#, ".credential.env", &empty),
        (r#""credential":{"env":"BROKEN"}"#, ".credential.env", "the value of BROKEN cannot stand in a header (a line break in it?)"),
        (
            r#""credential":{"env":"OPENAI_API_KEY","header":"x-apikey"}"#,
            ".credential.header",
            "\"x-apikey\" is none of its values; did you mean \"x-api-key\"?",
        ),
        (r#""headers":{"a b":"x"}"#, ".headers[\"a b\"]", "is not a header's name"),
        (r#""headers":{"":"x"}"#, ".headers[\"\"]", "is not a header's name"),
        (r#""headers":{"X-Api-Key":"x"}"#, ".headers.X-Api-Key", "is set by the gateway itself; put a key into `credential`"),
        (r#""headers":{"x-envoy-x":"x"}"#, ".headers.x-envoy-x", "is set by the gateway itself; put a key into `credential`"),
        (r#""headers":{"x-a":"\u0000"}"#, ".headers.x-a", "contains characters that cannot stand in a header"),
        (r#""forward_headers":"cookie""#, ".forward_headers", "must be a list, but is a string"),
        (
            r#""forward_headers":["x-a","x b"]"#,
            ".forward_headers[1]",
            "is neither a header's name nor a prefix of one with a \"*\"",
        ),
        (r#""forward_headers":["*"]"#, ".forward_headers[0]", "is neither a header's name nor a prefix of one with a \"*\""),
        (
            r#""forward_headers":["cookie","Authorization"]"#,
            ".forward_headers[1]",
            "carries the client's key, which never goes upstream; the provider's own is `credential`",
        ),
        (
            r#""forward_headers":["x-forwarded-for"]"#,
            ".forward_headers[0]",
            "belongs to the gateway or to Envoy, and never goes upstream",
        ),
        (r#""headers":{"x-a":1}"#, ".headers.x-a", "must be a string, but is a number"),
    ];
    for (fields, path, want) in cases {
        let text = format!(r#"{{"upstreams":{{"up":{{{fields}}}}},"models":[]}}"#);
        let message = refusal(fields, read(&text));
        assert_eq!(message, format!("router.upstreams.up{path}: {want}"), "{fields}");
        assert!(!message.contains(SECRET), "{fields}: prints a secret");
    }
}

#[test]
fn mistakes_in_models() {
    let cases = [
        (r#"{"nmae":"m"}"#, ".nmae", "no such field; did you mean \"name\"?"),
        (r#"{"targets":[]}"#, ".name", "missing"),
        (r#"{"name":"a*b"}"#, ".name", "a \"*\" can only stand at the end"),
        (r#"{"name":"**"}"#, ".name", "a \"*\" can only stand at the end"),
        (r#"{"name":"a\nb"}"#, ".name", "is too long for a model's name, or has control characters"),
        (r#"{"name":"a/../*"}"#, ".name", "must not have \"..\" in it: it may stand in a path"),
        (r#"{"name":"m","aliases":["*x"]}"#, ".aliases[0]", "a \"*\" can only stand at the end"),
        (r#"{"name":"m"}"#, ".targets", "missing"),
        (r#"{"name":"m","targets":[]}"#, ".targets", "a model has 1 to 64 targets, this one 0"),
        (r#"{"name":"m","targets":[MANY]}"#, ".targets", "a model has 1 to 64 targets, this one 65"),
        (r#"{"name":"m","targets":[{}]}"#, ".targets[0].upstream", "missing"),
        (
            r#"{"name":"m","targets":[{"upstream":"opnai"}]}"#,
            ".targets[0].upstream",
            "no upstream \"opnai\"; did you mean \"openai\"?",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"x-ai"}]}"#,
            ".targets[0].upstream",
            "no upstream \"x-ai\"; there is azure, openai",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai","model":"m-*"}]}"#,
            ".targets[0].model",
            "must be one model's name; leave it out to pass on the one the client named",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai","weight":0}]}"#,
            ".targets[0].weight",
            "0 is not a whole number from 1 to 1000000",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai","weight":1.5}]}"#,
            ".targets[0].weight",
            "1.5 is not a whole number from 1 to 1000000",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai","weight":"1.5"}]}"#, // as Envoy passes it on
            ".targets[0].weight",
            "1.5 is not a whole number from 1 to 1000000",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai"}],"retry":{"per_try_timeout":20}}"#,
            ".retry.per_try_timeout",
            "must be a duration such as 30s, or {stream: 30s, json: 5m}",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai"}],"retry":{"budget":{"percent":1001}}}"#,
            ".retry.budget.percent",
            "1001 is not a whole number from 0 to 1000",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai"}],"retry":{"per_try_timeout":"20"}}"#,
            ".retry.per_try_timeout",
            "\"20\" is not a duration from 1ms to 365d; write it like 500ms, 30s, 2m, 12h or 90d",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai"}],"retry":{"on":[404]}}"#,
            ".retry.on[0]",
            "\"404\" is none of its values; did you mean \"408\"?",
        ),
        (
            r#"{"name":"m","strategy":"wieghted","targets":[]}"#,
            ".strategy",
            "\"wieghted\" is none of its values; did you mean \"weighted\"?",
        ),
        (
            r#"{"name":"m","strategy":{"name":"random","by":"key"},"targets":[{"upstream":"openai"}]}"#,
            ".strategy.by",
            "no such field; there is name",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai","tier":1}]}"#,
            ".targets[0].tier",
            "no such field; there is upstream, model, price, weight",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai"}],"fallbacks":["on"]}"#,
            ".fallbacks[0]",
            "no model \"on\"; did you mean \"one\"?",
        ),
        (
            r#"{"name":"m","targets":[{"upstream":"openai"}],"context_length_fallback":"m"}"#,
            ".context_length_fallback",
            "is the model itself; name another one",
        ),
        (
            r#"{"name":"one","targets":[{"upstream":"openai"}]}"#,
            "",
            "\"one\" is already the name or an alias of an earlier model; names must differ",
        ),
        (
            r#"{"name":"m","aliases":["m"],"targets":[{"upstream":"openai"}]}"#,
            "",
            "\"m\" is already the name or an alias of an earlier model; names must differ",
        ),
        (
            r#"{"name":"all-*","targets":[{"upstream":"openai"}]}"#,
            "",
            "\"all-*\" is already the name or an alias of an earlier model; names must differ",
        ),
    ];
    let many = [r#"{"upstream":"openai"}"#; 65].join(",");
    for (model, path, want) in cases {
        let good =
            r#"{"name":"one","targets":[{"upstream":"openai"}]},{"name":"all-*","targets":[{"upstream":"azure"}]}"#;
        let model = model.replace("MANY", &many);
        let text = format!(r#"{{"upstreams":{{"openai":{{}},"azure":{{}}}},"models":[{good},{model}]}}"#);
        assert_eq!(refusal(&model, read(&text)), format!("router.models[2]{path}: {want}"), "{model}");
    }
}

#[test]
fn mistakes_across_sections() {
    let cases = [
        ("", "router.upstreams: missing"),
        (r#"{"upstreams":{}}"#, "router.models: missing"),
        (r#"{"upstreams":[],"models":[]}"#, "router.upstreams: must be an object, but is a list"),
        (r#"{"upstreams":{"a":null},"models":[]}"#, "router.upstreams.a: must be an object, but is nothing"),
        (r#"{"upstreams":{"a":{}},"models":{}}"#, "router.models: must be a list, but is an object"),
        (r#"{"upstreams":{"a":{}},"models":[]}"#, "router.models: no model at all; add one"),
        (
            r#"{"upstreams":{"a":{}},"models":[{"name":"m","targets":[{"upstream":"a"}]}],"max_upload":"1GB"}"#,
            "router.max_upload: must be a size from 1KiB to 1GiB, such as 25MiB",
        ),
        (
            r#"{"upstreams":{"a":{}},"models":[{"name":"m","targets":[{"upstream":"a"}]}],"hold_json":"65MiB"}"#,
            "router.hold_json: must be a size from 0 to 64MiB, such as 4MiB",
        ),
        (
            r#"{"upstreams":{"a":{}},"models":[{"name":"m","targets":["a"]}],"hold":{"max":"soon"}}"#,
            "router.hold.max: \"soon\" is not a duration from 1ms to 365d; write it like 500ms, 30s, 2m, 12h or 90d",
        ),
        (
            r#"{"upstreams":{"a":{}},"models":[{"name":"m","targets":["a"]}],"response_model":"request"}"#,
            "router.response_model: \"request\" is none of its values; did you mean \"requested\"?",
        ),
        (r#"{"upstream":{}}"#, "router.upstream: no such field; did you mean \"upstreams\"?"),
        (
            r#"{"upstreams":{},"models":[{"name":"m","targets":[{"upstream":"a"}]}]}"#,
            "router.models[0].targets[0].upstream: no upstream \"a\"; there is none",
        ),
        (
            r#"{"upstreams":{"a":{},"b":{"cluster":"a"}},"models":[]}"#,
            "router.upstreams.b: its cluster \"a\" also belongs to upstream \"a\"; one cluster has one credential, so use one \
             upstream",
        ),
        (
            r#"{"upstreams":{"a.b":{"x":1}},"models":[]}"#,
            "router.upstreams[\"a.b\"].x: no such field; there is cluster, dialects, host, base_path, query, \
             credential, headers, forward_headers, include_usage, translate, responses_api, strict_end, prices, usage, ejection",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(refusal(text, read(text)), want, "{text}");
    }
}

#[test]
fn nothing_prints_a_secret() {
    let printed = format!("{:?}", read(GOOD).unwrap());
    assert!(printed.contains("***") && !printed.contains(SECRET), "{printed}");
}
