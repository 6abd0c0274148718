use std::rc::Rc;

use sluice::config::router;
use sluice::endpoint::{classify, Dialect, Endpoint, Further, RequestTarget};
use sluice::exchange::{Exchange, Original, Prepared, Routed};
use sluice::outcome::Outcome;
use sluice::parsed_request::ParsedRequest;
use sluice::routing::{is_unambiguous, Ending, PathRule, Paths, Table};
use sluice::usage::{TokenUsage, UsageSource};

use crate::clusters::TestClusters;
use crate::exchange::NoHeaders;

fn rule(pattern: &str) -> PathRule {
    PathRule { pattern: pattern.to_owned(), dialects: vec![Dialect::OpenAi], skips_guard: false }
}

#[test]
fn longest_match() {
    let patterns = ["/v1/files*", "/v1/files/a", "/v1/files/a*", "/*", "/v1/batches"];
    let mut paths = Paths::default();
    patterns.iter().for_each(|pattern| assert!(paths.add(rule(pattern)).is_ok()));
    assert_eq!(paths.add(rule("/*")), Err(rule("/*")));
    let cases = [
        ("/v1/files", "/v1/files*"),
        ("/v1/files?a=/v1/files/a", "/v1/files*"),
        ("/v1/files/a", "/v1/files/a"),
        ("/v1/files/a?b", "/v1/files/a"),
        ("/v1/files/ab", "/v1/files/a*"),
        ("/v1/files/b", "/v1/files*"),
        ("/v1/batches", "/v1/batches"),
        ("/v1/batches/1", "/*"),
        ("/", "/*"),
    ];
    for (path, want) in cases {
        let found = paths.find(path).map(|(index, rule)| (rule.pattern.as_str(), patterns[index]));
        assert_eq!(found, Some((want, want)), "{path}");
    }
}

#[test]
fn ambiguous_paths() {
    for path in ["/", "/v1/files", "/v1/files/", "/v1/files/a%20b", "/v1/a..b", "/v1/...", "/v1/f:x", "/v1/%C3%A4;a=1"]
    {
        assert!(is_unambiguous(path), "{path}");
    }
    let others = [
        "",
        "v1",
        "//",
        "/v1//files",
        "/v1/./files",
        "/v1/..",
        "/../v1",
        "/v1/..;a/x",
        "/v1/;/x",
        "/v1/a%2fb",
        "/v1/a%2Fb",
        "/v1/%2e%2e",
        "/v1/%2E",
        "/v1/a%5cb",
        r"/v1/a\b",
        "/v1/%252e",
        "/v1/%",
        "/v1/%4",
        "/v1/%zz",
        "/v1/%00",
        "/v1/%0a",
        "/v1/%7f",
        "/v1/a b",
        "/v1/a\u{7}",
        "/v1/%3bx",
        "/v1/a#b",
    ];
    for path in others {
        assert!(!is_unambiguous(path), "{path}");
    }
}

#[test]
fn dialects() {
    use Dialect::{Anthropic, Gemini, Ollama, OpenAi};
    let cases: [(&[Dialect], &str, Dialect); 6] = [
        (&[OpenAi, Anthropic], "/v1/files", OpenAi),
        (&[OpenAi, Anthropic], "/v1/messages/batches", Anthropic),
        (&[OpenAi], "/v1/messages/batches", OpenAi),
        (&[Anthropic], "/v1/files", Anthropic),
        (&[Gemini], "/v1beta/files", Gemini),
        (&[Ollama, OpenAi], "/api/pull", Ollama),
    ];
    for (dialects, path, want) in cases {
        assert_eq!(PathRule { dialects: dialects.to_vec(), ..rule("/*") }.dialect(path), want, "{path}");
    }
}

fn table(paths: &str) -> Result<Rc<Table>, String> {
    let text = format!(
        r#"{{"upstreams": {{"a": {{}}, "b": {{"base_path": "/x/v1"}}}}, "models": [{{"name": "*", "targets": ["a"]}}], "paths": {paths}}}"#
    );
    router(text.as_bytes(), &|_| None).map(Rc::new).map_err(|error| error.to_string())
}

#[test]
fn mistakes() {
    let cases = [
        (r#"[{"path": "v1", "upstream": "a"}]"#, "router.paths[0].path", "must start with \"/\""),
        (r#"[{"path": "/v1/a", "upstream": "c"}]"#, "router.paths[0].upstream", "no upstream \"c\""),
        (r#"[{"path": "/v1/a"}]"#, "router.paths[0]", "upstream"),
        (r#"[{"path": "/v1/*/a", "upstream": "a"}]"#, "router.paths[0].path", "at the end"),
        (r#"[{"path": "/v1/a?b", "upstream": "a"}]"#, "router.paths[0].path", "without a query"),
        (r#"[{"path": "/v1/../a", "upstream": "a"}]"#, "router.paths[0].path", "another path"),
        (r#"[{"path": "/v1/%2e/a*", "upstream": "a"}]"#, "router.paths[0].path", "another path"),
        (r#"[{"path": "/v1/a", "upstream": "a", "guard": "no"}]"#, "router.paths[0].guard", "skip"),
        (r#"[{"path": "/v1/a", "upstream": "a"}, {"path": "/v1/a", "upstream": "b"}]"#, "router.paths[1]", "earlier"),
        (
            r#"[{"path": "/v1/chat/completions", "upstream": "a"}]"#,
            "router.paths[0].path",
            "served by the gateway itself",
        ),
        (
            r#"[{"path": "/v1/chat/completions*", "upstream": "a"}]"#,
            "router.paths[0].path",
            "\"/v1/chat/completions/*\"",
        ),
        (r#"[{"path": "/v1/responses/r1", "upstream": "a"}]"#, "router.paths[0].path", "served by the gateway itself"),
        (r#"[{"path": "/gateway/keys", "upstream": "a"}]"#, "router.paths[0].path", "served by the gateway itself"),
        (r#"[{"path": "/healthz", "upstream": "a"}]"#, "router.paths[0].path", "served by the gateway itself"),
    ];
    for (paths, at, problem) in cases {
        let told = table(paths).expect_err(paths);
        assert!(told.starts_with(at) && told.contains(problem), "{paths}: {told}");
    }
    for good in [
        "null",
        "[]",
        r#"[{"path": "/v1/chat/completions/*", "upstream": "a", "guard": "refuse"}, {"path": "/*", "upstream": "b"}]"#,
    ] {
        assert!(table(good).is_ok(), "{good}");
    }
}

fn exchange(path: &str, generates: bool) -> Exchange {
    assert_eq!(classify("POST", path, "/gateway"), RequestTarget::Unknown);
    let mut exchange = Exchange::new(None, Original { path: path.to_owned(), ..Original::default() });
    exchange.read(ParsedRequest::of_path(path, Dialect::OpenAi, generates), Vec::new());
    exchange
}

#[test]
fn a_path_goes_to_its_upstream_once() {
    let table = table(r#"[{"path": "/v1/files*", "upstream": "b"}]"#).unwrap();
    assert_eq!(table.models().len(), 1, "paths are not among the models");
    let (mut exchange, clusters) = (exchange("/v1/files/f1", true), TestClusters::default());
    assert_eq!(exchange.route(&table, &clusters), Ok(Routed::Ready));
    let Ok(Prepared::Rewrite(body)) = exchange.prepare(b"b", &mut NoHeaders) else { panic!("not translated") };
    assert!(body.is_identity());
    assert_eq!(exchange.labels(), ("anonymous", "/v1/files", "b"));
    assert!(exchange.splice(false).is_none() && !exchange.writes_model());
    let failed = Ending::answered(Outcome::ServerError, 503);
    exchange.end_attempt(failed, &clusters);
    assert_eq!(exchange.advance(failed, &clusters), None);
}

#[test]
fn unknown_to_this_router() {
    let error =
        exchange("/v1/batches", true).route(&table("[]").unwrap(), &TestClusters::default()).expect_err("unknown");
    assert_eq!((error.status, error.code), (404, "unknown_url"));
}

#[test]
fn the_path_of_the_upstream() {
    let table = table(r#"[{"path": "/v1/files*", "upstream": "b"}]"#).unwrap();
    let upstream = &table.upstreams()[1];
    let endpoint = Endpoint::Further(Further::Passed(Dialect::OpenAi));
    assert_eq!(upstream.path(endpoint, "/v1/files/f?a=1", "/v1/files"), "/x/v1/files/f?a=1");
}

#[test]
fn usage() {
    let known = TokenUsage { input: 3, output: 4, ..TokenUsage::default() };
    let nothing = TokenUsage::default();
    let cases = [
        ("reported", (known, UsageSource::Reported), Some((known, UsageSource::Reported))),
        ("cut", (known, UsageSource::Partial), Some((known, UsageSource::Partial))),
        ("none", (nothing, UsageSource::Missing), None),
        ("nothing", (nothing, UsageSource::Reported), None),
    ];
    for (name, metered, want) in cases {
        let exchange = exchange("/v1/threads/runs", true);
        assert_eq!(exchange.completed(metered, Some(9)), want, "{name}");
        assert!(exchange.parsed().is_some_and(|parsed| !parsed.uses_tokens()));
    }
}
