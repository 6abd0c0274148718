//! What each field of the short file is for, in one sentence. Editors show it, and `sluice schema --markdown` prints it
//! as the reference in docs/reference.md. Names are `definition.field`; fields of the file itself have no definition.

use serde_json::{json, Value};

/// (field, description). A field that the schema has and this table lacks fails a test.
const DESCRIPTIONS: &[(&str, &str)] = &[
    (
        "answer_headers",
        "when answers carry `x-sluice-cluster`, `x-sluice-model` and `x-sluice-attempts`; default `after_failure`",
    ),
    ("ejection", "when a cluster gets no more requests; an upstream's own `ejection` comes first"),
    ("gateway_prefix", "the prefix of the gateway's own paths"),
    ("guard", "the guard's settings, besides `checks`"),
    ("hold", "how long an answer may be held for a retry"),
    ("hold.max", "headers go to the client after this time, even without content; default: never"),
    ("hold_json", "the largest JSON answer that is held until it is complete; default 4 MiB, 0: none"),
    ("limits", "the limits of all callers together"),
    ("max_request_body", "a larger request is answered 413; default 8 MiB"),
    ("max_upload", "the largest form with a file; a larger one is answered 413; default 25 MiB"),
    ("oidc", "tokens of an identity provider, which Envoy's `jwt_authn` has verified"),
    ("oidc.default_role", "the role of a token that names none: `none` (default) refuses it"),
    ("oidc.failure_metadata", "the name under which `jwt_authn` leaves why it refused a token"),
    ("oidc.id_claim", "the claim with the caller's id; default `sub`"),
    ("oidc.metadata", "the name under which `jwt_authn` leaves a token's claims"),
    ("oidc.models_claim", "the claim with the models that the caller may use; default `models`"),
    ("oidc.roles_claim", "the claim with the caller's roles; default `roles`"),
    ("response_model", "the model's name in answers: as the target wrote it (default), or as the client asked"),
    ("retry", "when and how often a request is tried elsewhere; a model's own `retry` comes first"),
    ("revoked", "ids that are refused, whatever they call with"),
    ("revoked.before", "only keys and tokens that were issued earlier; default: all"),
    ("revoked.id", "the id of a key or a user"),
    ("revoked.until", "only until then"),
    ("roles", "the identity provider's names of the two roles; default `LLM.User` and `LLM.Admin`"),
    ("shared", "a service that counts the limits for several Envoys"),
    ("shared.on_failure", "without an answer: this Envoy's own count (`local`, default), or 503 (`deny`)"),
    ("shared.timeout", "how long a request waits for the service; default 20ms"),
    ("stored_responses", "how long it is remembered which upstream stores a response; default 24h, false: not at all"),
    ("tracing", "spans in OTLP over HTTP; default: none"),
    ("tracing.authorization", "the variable with the value of the `authorization` header"),
    ("usage", "what is written about each request"),
    ("usage.access_log", "one line in JSON for each request; default true"),
    ("usage.tracing", "attributes of spans; default false"),
    ("virtual_keys", "keys that carry their own permissions, signed by the gateway; default: none"),
    ("virtual_keys.max_expires_in", "the longest time that a key may be valid; default 90d"),
    ("virtual_keys.secrets", "the first signs; the second is the previous one, which is still accepted"),
    ("cache_memory", "the memory for all models' caches, in Envoy; default 64 MiB"),
    ("label_limits", "limits of all callers with a label of this value together"),
    ("ledger", "where a fresh Envoy asks what was used, and what was revoked"),
    ("ledger.cluster", "the cluster of `sluice ledger`"),
    ("ledger.start_timeout", "how long the first requests wait for it; default 2s, at most 30s"),
    ("ledger.token", "the variable with the secret that the ledger wants to see; default: none"),
    ("label_limit.label", "the label's name"),
    ("label_limit.value", "the label's value"),
    ("label_limit.limits", "the limits"),
    ("model.cache", "answers from a cache; default: none"),
    ("model.cache.always", "also requests whose temperature is not 0; default false"),
    ("model.cache.max_entry", "a larger answer is not kept; default 64 KiB"),
    ("model.cache.scope", "whether an answer serves its key alone (default), or all keys"),
    ("model.cache.store", "this Envoy's memory (default), or Redis"),
    ("model.cache.store.redis", "a Redis, by its HTTP interface Webdis"),
    ("model.cache.store.redis.cluster", "the cluster of Webdis"),
    ("model.cache.store.redis.timeout", "how long it may take; then the answer counts as missing"),
    ("model.cache.time", "how long an answer is kept; default 10m"),
    ("model.cache.tools", "also requests with tools, or with their results; default false"),
    ("model.cache.wait", "how long equal requests wait for the first; default 30s, false: not at all"),
    ("check.action", "what a finding leads to"),
    ("check.api", "what searches the texts: a service's API, or `patterns`, which needs none"),
    ("check.authority", "the `host` header that the service gets; default: the cluster's name"),
    ("check.credential", "the variable with the service's key"),
    ("check.custom", "patterns of your own; alone they turn the built-in ones off"),
    ("check.custom.name", "the pattern's name, in placeholders, stats and errors"),
    ("check.custom.regex", "the regular expression"),
    ("check.dry_run", "only counts what it would do; default false"),
    ("check.entities", "the kinds to find; default: all"),
    ("check.keys", "the ids of the keys whose requests are checked; default: all"),
    ("check.language", "the language that Presidio is told; default `en`"),
    ("check.model", "the model that the service is asked for"),
    ("check.models", "the models whose requests are checked; default: all"),
    ("check.on_failure", "if the service does not answer: let the text pass, or refuse it"),
    ("check.path", "the service's path, if it is not its API's usual one"),
    ("check.phase", "whether requests are checked, or answers, or both"),
    ("check.roles", "the roles whose texts are checked; default: user and tool, for mask and restore all"),
    ("check.score_threshold", "Presidio's least score; default: the service's"),
    ("check.thresholds", "the least score of a finding, for all categories or by category; default: the service's own"),
    ("check.timeout", "how long the service may take"),
    ("check.unrewritable", "if signed content would have to be rewritten: let it pass, or refuse it"),
    ("credential.header", "the header that carries the key; default: the dialect's usual one"),
    ("ejection.consecutive_failures", "failures in a row that eject a cluster; default 5"),
    ("ejection.failure_percent", "eject also if at least this share fails in `window`; default: no"),
    ("ejection.max_ejected_percent", "the largest share of a model's targets that may be ejected; default 100"),
    ("ejection.max_retry_after", "the longest time for which a `Retry-After` ejects; default 5m"),
    ("ejection.max_time", "the longest ejection; default 5m"),
    ("ejection.min_requests", "the requests in `window` that `failure_percent` needs; default 20"),
    ("ejection.time", "the first ejection's time, which doubles with each further one; default 30s"),
    ("ejection.window", "the time over which failures are counted; default 30s"),
    ("guard.cache", "how long a service's verdict on a text is kept"),
    ("guard.cache.entries", "texts in each worker; default 1000, 0: none"),
    ("guard.cache.time", "default 60s"),
    ("guard.checks", "the checks; in the short file they may also stand in `checks`"),
    ("guard.max_in_flight", "calls to services at a time, in each worker; default 100"),
    ("guard.max_text", "the most text that one check sends for one request or answer; default 256 KiB"),
    ("guard.stream", "how streams are checked"),
    ("guard.stream.characters", "a window ends with the first sentence end after so many; default 200"),
    ("guard.stream.mode", "in windows, each before it passes (default), or once at the end"),
    ("guard.stream.time", "a window ends after this time at the latest; default 500ms"),
    ("key.expires", "the key is refused from then on; default: never"),
    ("key.issued", "when the key was made: see `revoked`"),
    ("key.labels", "names and values by which usage can be grouped, such as {team: a}"),
    ("key.limits", "the limits of this key"),
    ("user.issued", "when the password was set: see `revoked`"),
    ("user.labels", "names and values by which usage can be grouped, such as {team: a}"),
    ("user.limits", "the limits of this user"),
    ("limits.concurrency", "requests in flight at a time"),
    ("limits.cost_per_day", "dollars in the last 24 hours"),
    ("limits.requests_per_day", "requests in the last 24 hours"),
    ("limits.requests_per_month", "requests in this calendar month (UTC)"),
    ("limits.requests_per_minute", "requests in the last 60 seconds, served or failed"),
    ("limits.tokens_per_day", "input and output in the last 24 hours"),
    ("limits.tokens_per_minute", "input and output in the last 60 seconds"),
    ("limits.tokens_per_month", "input and output in this calendar month (UTC)"),
    ("limits.warn_at", "a percentage: from there on a header, the log and a counter warn; default: never"),
    ("model.limits", "the limits of this model, for all callers together"),
    ("model.max_output_tokens", "assumed for requests without a limit of their own; default 4096"),
    ("model.price", "what its tokens cost; default: the price list's"),
    ("model.retry", "in place of the file's `retry`"),
    ("model.strategy", "how a target is picked; default `weighted`"),
    ("model.targets", "the upstreams that serve it"),
    ("path.guard", "a guard cannot read these requests: refuse them (default), or let them pass unchecked"),
    ("retry.budget", "a bound on retries, in each worker; default: none"),
    ("retry.budget.min_per_second", "retries that are always allowed, each second"),
    ("retry.budget.percent", "retries for each 100 requests"),
    ("retry.deadline", "for all attempts together, until the answer begins; default: none"),
    ("retry.max_attempts", "attempts at one model's targets; default: each target once"),
    ("retry.on", "the failures that are tried elsewhere; default: all"),
    ("retry.per_try_timeout", "until a stream's first event, or until a JSON answer is complete; default: the route's"),
    ("retry.per_try_timeout.json", "for answers in one piece"),
    ("retry.per_try_timeout.stream", "for streams"),
    ("service.connect_timeout", "how long a connection may take; default 5s"),
    ("service.url", "the service's address"),
    ("strategy.by", "what keeps a request at its target: the user, the key, or the prompt's beginning"),
    ("strategy.name", "the strategy"),
    ("strategy.prefix_bytes", "how much of the prompt counts; default 512"),
    ("strategy.queue_timeout", "how long a request waits for a free slot; default 30s"),
    ("target.price", "what its tokens cost; default: the model's"),
    ("target.slots", "requests at a time, for `first_available`; default 1"),
    ("target.tier", "for `priority`: the lowest tier that is available serves; default 0"),
    ("target.weight", "its share, beside the other targets' weights; default 1"),
    ("upstream.connect_timeout", "how long a connection may take; default 5s"),
    ("upstream.credential", "the provider's key; default: the provider's usual variable"),
    ("upstream.dialects", "the APIs that the server speaks; default `[openai]`, or the provider's"),
    ("upstream.ejection", "in place of the file's `ejection`"),
    ("upstream.headers", "headers that every request gets"),
    (
        "upstream.include_usage",
        "whether streams are asked for their usage; false for servers that refuse `stream_options`",
    ),
    ("upstream.provider", "a known provider, which fills in address, TLS, dialects and the key's variable"),
    ("upstream.responses_api", "false: a server without `/v1/responses`; those requests become chat completions"),
    ("upstream.translate", "false: it gets only requests of its own dialects"),
    ("upstream.usage", "how tokens are counted if the server does not report them"),
    ("upstream.usage.count", "the server's endpoint that counts tokens"),
    ("upstream.usage.count.path", "such as /tokenize"),
    ("upstream.usage.count.timeout", "how long it may take"),
    ("upstream.usage.format", "where the server's answers have their counts"),
];

/// Adds the descriptions to the fields that have none of their own.
pub(super) fn add(schema: &mut Value) {
    describe(schema, "");
    for (name, definition) in schema.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten() {
        describe(definition, &format!("{name}."));
    }
}

fn describe(object: &mut Value, before: &str) {
    for form in object.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten() {
        describe(form, before);
    }
    for (name, field) in object.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let path = format!("{before}{name}");
        let found = DESCRIPTIONS.iter().find(|(of, _)| *of == path);
        if let (Some((_, description)), Some(field)) = (found, field.as_object_mut()) {
            field.insert("description".to_owned(), json!(description));
        }
        let below = format!("{path}.");
        describe(field, &below);
        for part in ["items", "additionalProperties"] {
            if let Some(part) = field.get_mut(part) {
                describe(part, &below);
            }
        }
    }
}
