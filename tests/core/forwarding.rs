//! Recorded headers of real clients, and those of them that go upstream.

use sluice::forwarding::{goes_upstream, Forwarded, KeptBack};

/// OpenAI's, Anthropic's, Google's and Ollama's SDKs for Python, Codex and Claude Code.
const WANTED: &[&str] = &[
    "accept accept-encoding accept-language content-type content-length content-encoding user-agent",
    "x-stainless-lang x-stainless-package-version x-stainless-os x-stainless-arch x-stainless-runtime",
    "x-stainless-runtime-version x-stainless-async x-stainless-retry-count x-stainless-read-timeout",
    "x-stainless-timeout x-stainless-raw-response x-stainless-helper-method idempotency-key openai-beta",
    "anthropic-version anthropic-beta x-goog-api-client x-server-timeout http-referer x-title",
    "traceparent tracestate baggage x-request-id x-client-request-id",
    "originator version session_id session-id conversation_id thread-id x-codex-turn-state x-codex-turn-metadata",
    "x-codex-beta-features x-codex-window-id x-codex-parent-thread-id x-openai-subagent x-openai-memgen-request",
    "x-responsesapi-include-timing-metrics",
    "x-app x-client-app anthropic-dangerous-direct-browser-access x-claude-code-session-id x-claude-code-agent-id",
    "x-claude-remote-session-id x-claude-remote-container-id x-anthropic-additional-protection",
];
const KEPT: &[&str] = &[
    "cookie proxy-authorization forwarded x-forwarded-host x-forwarded-port x-real-ip true-client-ip cf-connecting-ip",
    "via origin referer from te x-envoy-original-path openai-organization openai-project x-goog-user-project",
    "chatgpt-account-id x-team x-amz-security-token x-auth-token x-goog-iap-jwt-assertion sec-fetch-mode dnt",
    "x-http-method-override x-original-url x-rewrite-url anthropic-workspace-id x-user-email x-oai-attestation",
    "ocp-apim-subscription-key x-ms-client-principal private-token",
];

fn names(lists: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    lists.iter().flat_map(|list| list.split(' '))
}

#[test]
fn headers_of_clients() {
    let mut kept = KeptBack::default();
    for name in names(WANTED).chain(names(KEPT)).chain([":path", ":authority", ":scheme", "host"]) {
        kept.take_in(name.as_bytes(), b"1");
    }
    assert!(names(WANTED).all(|name| goes_upstream(name.as_bytes())));
    assert_eq!(kept.names().collect::<Vec<_>>(), names(KEPT).collect::<Vec<_>>());
}

#[test]
fn extra_headers_of_an_upstream() {
    let forwarded =
        Forwarded::new(["X-Team".into(), "x-*".into(), "c*".into(), "p*".into(), "a*".into(), "forw*".into()]).unwrap();
    for name in ["x-team", "x-amz-security-token", "cf-connecting-ip"] {
        assert!(forwarded.has(name), "{name}");
    }
    for name in [
        "cookie",
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "proxy-authorization",
        "x-forwarded-for",
        "x-envoy-original-path",
        "x-sluice-retry",
        "forwarded",
        "connection",
        "openai-organization",
    ] {
        assert!(!forwarded.has(name), "{name}");
    }
    assert!(Forwarded::new(["Cookie".into()]).unwrap().has("cookie"), "if it is named");
}
