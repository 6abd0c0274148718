//! Selects the client headers that go upstream: those that SDKs and tools need, and those in an upstream's
//! `forward_headers`. All others are removed: cookies, addresses, accounts at a provider.

use crate::pattern::matches;
use crate::wire_names::{is_reserved_header, CREDENTIAL_HEADERS};

/// Whether a client's header goes to every upstream. `name` is in lower case.
///
/// Recorded from the SDKs of OpenAI, Anthropic, Google and Ollama, and from Codex and Claude Code. None of them names
/// an account or a person.
///
/// ```
/// use sluice::forwarding::goes_upstream;
///
/// assert!(goes_upstream(b"x-stainless-lang") && goes_upstream(b"anthropic-beta"));
/// assert!(!goes_upstream(b"cookie") && !goes_upstream(b"openai-organization"));
/// ```
pub fn goes_upstream(name: &[u8]) -> bool {
    match name {
        b"user-agent" | b"traceparent" | b"tracestate" | b"baggage" | b"x-request-id" | b"x-client-request-id" => true,
        b"idempotency-key" | b"openai-beta" | b"anthropic-version" | b"anthropic-beta" => true,
        b"x-goog-api-client" | b"x-server-timeout" => true, // Google's SDK
        b"http-referer" | b"x-title" => true,               // OpenRouter: which app it is
        // Codex
        b"originator" | b"version" | b"session_id" | b"session-id" | b"conversation_id" | b"thread-id" => true,
        b"x-openai-subagent" | b"x-openai-memgen-request" | b"x-responsesapi-include-timing-metrics" => true,
        // Claude Code
        b"x-app" | b"x-client-app" | b"anthropic-dangerous-direct-browser-access" => true,
        b"x-anthropic-additional-protection" => true,
        _ => LISTED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)),
    }
}

const LISTED_PREFIXES: [&[u8]; 6] =
    [b"content-", b"accept", b"x-stainless-", b"x-codex-", b"x-claude-code-", b"x-claude-remote-"];

/// Headers in which a client names an account at a provider. If the account does not match the gateway's key, or has
/// used up its limits, the provider refuses the request, and the key is not the cause.
const ACCOUNTS: [&str; 6] = [
    "openai-organization",
    "openai-project",
    "x-goog-user-project",
    "chatgpt-account-id",
    "anthropic-workspace-id",
    "cookie",
];

/// Headers that belong to one connection, or that the gateway or Envoy sets: they cannot be forwarded.
const OWN: [&str; 11] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "forwarded",
    "expect",
];

/// An upstream's `forward_headers`: further client headers that it gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded(Vec<String>);

impl Forwarded {
    /// Names, and prefixes of names that end in `*`.
    ///
    /// # Errors
    /// The first problem, with the index of its name.
    ///
    /// ```
    /// use sluice::forwarding::Forwarded;
    ///
    /// let forwarded = Forwarded::new(["X-Team".into(), "x-trace-*".into()]).unwrap();
    /// assert!(forwarded.has("x-team") && forwarded.has("x-trace-id") && !forwarded.has("x-teams"));
    /// assert!(Forwarded::new(["Authorization".into()]).is_err());
    /// ```
    pub fn new(names: impl IntoIterator<Item = String>) -> Result<Self, (usize, &'static str)> {
        let mut patterns = Vec::new();
        for (index, name) in names.into_iter().enumerate() {
            let name = name.to_ascii_lowercase();
            let stem = name.strip_suffix('*').unwrap_or(&name);
            if stem.is_empty() || !stem.bytes().all(is_name_byte) {
                return Err((index, "is neither a header's name nor a prefix of one with a \"*\""));
            }
            let is_pattern = stem.len() < name.len();
            if CREDENTIAL_HEADERS.contains(&stem) || stem == "proxy-authorization" {
                return Err((
                    index,
                    "carries the client's key, which never goes upstream; the provider's own is `credential`",
                ));
            }
            if !is_pattern && !may_be_forwarded(stem) {
                return Err((index, "belongs to the gateway or to Envoy, and never goes upstream"));
            }
            patterns.push(name);
        }
        Ok(Forwarded(patterns))
    }

    /// Whether a header with this name goes upstream. Patterns do not match cookies: those must be named in full.
    pub fn has(&self, name: &str) -> bool {
        may_be_forwarded(name)
            && self.0.iter().any(|pattern| pattern == name || name != "cookie" && matches(pattern, name))
    }
}

fn may_be_forwarded(name: &str) -> bool {
    !OWN.contains(&name)
        && !CREDENTIAL_HEADERS.contains(&name)
        && !is_envoys_own(name.as_bytes())
        && !is_reserved_header(name.as_bytes())
}

/// Headers that Envoy sets, and those of proxies before it.
fn is_envoys_own(name: &[u8]) -> bool {
    name.starts_with(b"x-forwarded-") || name.starts_with(b"x-envoy-") || name.starts_with(b":")
}

/// The characters of a header's name (RFC 9110, section 5.6.2, without the unusual ones).
pub fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// A request's headers that only go upstream if `forward_headers` names them; each once, with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptBack(Vec<(String, Vec<Vec<u8>>)>);

impl KeptBack {
    /// Notes a header that does not go to every upstream. (Envoy itself sets three of them before any filter runs; the
    /// route removes those: see envoy.yaml.)
    pub fn take_in(&mut self, name: &[u8], value: &[u8]) {
        let envoys = matches!(name, b"x-forwarded-for" | b"x-forwarded-proto" | b"x-envoy-external-address");
        if goes_upstream(name) || envoys || matches!(name, [b':', ..] | b"host") {
            return;
        }
        let name = String::from_utf8_lossy(name);
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value.to_vec()),
            None => self.0.push((name.into_owned(), vec![value.to_vec()])),
        }
    }

    /// The client's wish to go on with WebSocket, which goes to the upstream: its headers are kept back no more.
    /// Whether there is one.
    #[cold]
    pub fn take_upgrade(&mut self) -> bool {
        let is_upgrade = self.0.iter().any(|(name, values)| {
            let is_socket = |value: &Vec<u8>| value.trim_ascii().eq_ignore_ascii_case(b"websocket");
            name == "upgrade" && values.iter().any(is_socket)
        });
        if is_upgrade {
            let steers = |name: &str| matches!(name, "upgrade" | "connection") || name.starts_with("sec-websocket-");
            self.0.retain(|(name, _)| !steers(name));
        }
        is_upgrade
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether the client has sent this header, and it is not forwarded.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// Whether the client has sent this value.
    pub fn has_value(&self, name: &str, value: &[u8]) -> bool {
        let values = self.0.iter().filter(|(known, _)| known == name).flat_map(|(_, values)| values);
        values.into_iter().any(|known| known == value)
    }

    /// The client's values in one line (RFC 9110, section 5.3; cookies: RFC 9113, section 8.2.3).
    pub fn line(&self, name: &str) -> Vec<u8> {
        let separator: &[u8] = if name == "cookie" { b"; " } else { b", " };
        let values = self.0.iter().find(|(known, _)| known == name).map(|(_, values)| values.join(separator));
        values.unwrap_or_default()
    }
}

/// Whether a header names an account, and so that account's limits.
pub fn names_account(name: &str) -> bool {
    ACCOUNTS.contains(&name)
}
