//! The names that the filters and the operator agree on: in envoy.yaml, in stats and in headers. A name that is not
//! here is not guaranteed.

use crate::label::Label;

/// Filter state with the exchange's id, for the filters of one request (`wasm.sluice.id` for Envoy).
pub const EXCHANGE_ID: &str = "sluice.id";
/// The prefix of filter state names that mark a stream as belonging to an exchange.
pub const MARK: &str = "sluice.id.";
/// Filter state with the cluster, for Envoy's route (`wasm.sluice.cluster` in envoy.yaml).
pub const CLUSTER: &str = "sluice.cluster";

/// Filter state with the request's record for access logs, as JSON text (`wasm.sluice.record` in envoy.yaml).
pub const RECORD: &str = "sluice.record";
/// Filter state with the same and more in separate fields, for traces (`wasm.sluice.fields` in envoy.yaml).
pub const FIELDS: &str = "sluice.fields";

/// Response header with the cluster that answered.
pub const CLUSTER_HEADER: &str = "x-sluice-cluster";
/// Response header with the target's name of the model that answered.
pub const MODEL_HEADER: &str = "x-sluice-model";
/// Response header with the outcome of each attempt.
pub const ATTEMPTS_HEADER: &str = "x-sluice-attempts";
/// Response header with the findings of checks in a request that passed anyway.
pub const GUARD_HEADER: &str = "x-sluice-guard";
/// Response header with the limits that have reached their `warn_at`.
pub const LIMIT_WARNING_HEADER: &str = "x-sluice-limit-warning";
/// Response header with the request's fields that the provider's dialect does not have.
pub const DROPPED_HEADER: &str = "x-sluice-dropped";
/// Response header with what the cache did for the request: `hit`, `miss` or `skip`.
pub const CACHE_HEADER: &str = "x-sluice-cache";

/// Response header of a hit whose answer is that of a similar request: how similar that is, at most 1.
pub const SIMILARITY_HEADER: &str = "x-sluice-similarity";
/// Response header with the kind that a virtual model has found.
pub const KIND_HEADER: &str = "x-sluice-kind";
/// Response header of a token count that is an estimate of the gateway: `estimate`.
pub const TOKEN_COUNT_HEADER: &str = "x-sluice-token-count";
/// Response header with which `attempt` tells Envoy's router to retry (`retriable_headers` in envoy.yaml).
pub const RETRY_HEADER: &str = "x-sluice-retry";
/// Request header with which `router` tells Envoy an attempt's timeout, in milliseconds.
pub const PER_TRY_TIMEOUT_HEADER: &str = "x-envoy-upstream-rq-per-try-timeout-ms";

/// The headers in which clients send their keys, and upstreams receive theirs. None of them passes from one side to the
/// other.
pub const CREDENTIAL_HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Headers that control the gateway or Envoy; clients must not set them. (Envoy itself overwrites one of them,
/// `x-envoy-external-address`, before any filter runs, and the route removes it: see envoy.yaml.)
pub fn is_reserved_header(name: &[u8]) -> bool {
    let steers = name.starts_with(b"x-sluice-") || name.starts_with(b"x-envoy-");
    steers && name != b"x-envoy-external-address"
}

/// The header with the token of a request of the gateway to itself.
pub const TEXT_HEADER: &str = "x-sluice-text";

/// Shared data with the secret that signs such tokens.
pub const TEXT_SECRET: &str = "sluice.texts.secret";

/// Shared data with the health of a cluster.
pub fn health_key(cluster: &str) -> String {
    format!("sluice.health.{cluster}")
}

/// Shared data with the last failure to connect to a cluster.
pub fn connect_failure_key(cluster: &str) -> String {
    format!("sluice.connect.{cluster}")
}

/// Shared data with the memory of the fullest VM.
pub const MEMORY_PEAK: &str = "sluice.memory";

/// Shared data with the living VMs, and their progress in recounting running attempts.
pub const IN_FLIGHT_ROSTER: &str = "sluice.in_flight";

/// Shared data with the clusters whose servers mark the end of a stream.
pub const STREAM_ENDS: &str = "sluice.ends";

/// Shared data with a part of the responses that upstreams store.
pub fn stored_part(part: u8) -> String {
    format!("sluice.stored.{part}")
}

/// Shared data with the ids that were revoked at run time.
pub const REVOKED_KEYS: &str = "sluice.keys.revoked";
/// Shared data with the virtual keys issued by this Envoy.
pub const ISSUED_KEYS: &str = "sluice.keys.issued";

/// Shared data with the time since which this Envoy counts usage.
pub const COUNTED_SINCE: &str = "sluice.since";
/// Shared data with the progress of the questions to the ledger.
pub const LEDGER_PROGRESS: &str = "sluice.ledger";
/// Shared data with the revoked and restored keys that the ledger does not know yet.
pub const UNSENT_REVOCATIONS: &str = "sluice.keys.unsent";
/// Shared data with the requests that ended last.
pub const RECENT_REQUESTS: &str = "sluice.recent";
/// Shared data with the time until which an administrator looks at them.
pub const RECENT_REQUESTS_WATCHED: &str = "sluice.recent.watched";

/// Shared data with a part of a day's usage totals, by the day's slot.
pub fn totals(part: u64, place: u32) -> String {
    format!("sluice.totals.{part}.{place}")
}

/// Shared data with a bucket of the cache's index.
pub fn cache_bucket(number: u64) -> String {
    format!("sluice.cache.index.{number}")
}

/// Shared data with a part of the conversations with virtual models.
pub fn conversations(part: u64) -> String {
    format!("sluice.kinds.{part}")
}

/// Shared data with a client key's usage of its limits.
pub fn key_limits(id: &str) -> String {
    format!("sluice.limits.key.{id}")
}

/// Shared data with the usage of the limits of a label's value. (A label's name has no colon.)
pub fn label_limits(name: &str, value: &str) -> String {
    format!("sluice.limits.label.{name}:{value}")
}

/// Shared data with a model's usage of its limits.
pub fn model_limits(name: &str) -> String {
    format!("sluice.limits.model.{name}")
}

/// Shared data with the usage of the limits of all callers together.
pub const ALL_LIMITS: &str = "sluice.limits.all";

/// The maximum number of label sets of one counter; further ones are merged. Clients choose model names, and Envoy
/// never frees the memory of a label set.
pub const MAX_LABEL_SETS: usize = 2000;
/// The maximum number of label sets of one key, so that no key uses up those of others.
pub const MAX_LABEL_SETS_OF_KEY: usize = 400;
/// The maximum number of models and clusters with their own histograms, if clients choose the names: each adds some
/// twenty lines for Prometheus.
pub const MAX_HISTOGRAM_SETS: usize = 300;
/// The label value for everything after [`MAX_LABEL_SETS`], and for names that no target has answered.
pub const OTHER: &str = "other";
/// The key label of a request that needs no key.
pub const ANONYMOUS: &str = "anonymous";
/// The label value of unknown values.
pub const NONE: &str = "none";

/// Names of the counters, as in `/stats/prometheus`. Labels are part of the name; `stats_tags` in envoy.yaml extracts
/// them.
pub mod stats {
    use super::Label;

    /// Requests by the status that the client got.
    pub fn requests(key: &str, model: &str, cluster: &str, status: u16) -> String {
        format!(
            "llm_requests_total;key={};model={};cluster={};status={status}",
            Label(key),
            Label(model),
            Label(cluster)
        )
    }

    /// Tokens, by `type`: `input`, `output`, and the details that are subsets of them.
    pub fn tokens(key: &str, model: &str, cluster: &str, kind: &str) -> String {
        format!("llm_tokens_total;key={};model={};cluster={};type={kind}", Label(key), Label(model), Label(cluster))
    }

    /// The cost of the tokens, in millionths of a dollar.
    pub fn cost(key: &str, model: &str, cluster: &str) -> String {
        format!("llm_cost_microusd_total;key={};model={};cluster={}", Label(key), Label(model), Label(cluster))
    }

    /// The variant of [`tokens`] and [`cost`] for failed attempts: the gateway pays for them, but no client does.
    pub fn failed(counter: &str) -> String {
        format!("{counter};outcome=failed")
    }

    /// A histogram, by its name.
    pub fn histogram(name: &str, model: &str, cluster: &str) -> String {
        format!("{name};model={};cluster={}", Label(model), Label(cluster))
    }

    /// Histogram: from a request's arrival to the first bytes of its answer.
    pub const TIME_TO_FIRST_TOKEN: &str = "llm_time_to_first_token_ms";
    /// Histogram: from a request's arrival to its end.
    pub const REQUEST_DURATION: &str = "llm_request_duration_ms";
    /// Histogram: the speed of the output.
    pub const OUTPUT_SPEED: &str = "llm_output_tokens_per_second";

    /// The source of a request's token counts.
    pub fn usage_source(source: &str) -> String {
        format!("llm_usage_source_total;source={source}")
    }

    /// Clusters that are ejected: 1 each.
    pub fn ejected(cluster: &str) -> String {
        format!("llm_ejected;cluster={}", Label(cluster))
    }

    /// How often a cluster has left the pool, by reason.
    pub fn ejections(cluster: &str, reason: &str) -> String {
        format!("llm_ejections_total;cluster={};reason={reason}", Label(cluster))
    }

    /// The number of a cluster's models that are out while the cluster is not.
    pub fn ejected_models(cluster: &str) -> String {
        format!("llm_ejected_models;cluster={}", Label(cluster))
    }

    /// How often one of a cluster's models has left the pool, by reason.
    pub fn model_ejections(cluster: &str, reason: &str) -> String {
        format!("llm_model_ejections_total;cluster={};reason={reason}", Label(cluster))
    }

    /// Running attempts.
    pub fn in_flight(cluster: &str) -> String {
        format!("llm_in_flight;cluster={}", Label(cluster))
    }

    /// The part of them that is counted here during a recount, after a worker's filters have crashed.
    pub fn recounted(cluster: &str) -> String {
        format!("llm_in_flight_recounted;cluster={}", Label(cluster))
    }

    /// Counts changes of the workers' shared state (the clusters' health, revoked keys), so that each worker knows when
    /// its cached copy is out of date.
    pub const STATE_CHANGES: &str = "llm_state_changes_total";

    /// The checks' verdicts, by phase.
    pub fn guard(check: &str, phase: &str, verdict: &str) -> String {
        format!("llm_guard_total;check={};phase={phase};verdict={verdict}", Label(check))
    }

    /// The duration of a check, in milliseconds.
    pub fn guard_duration(check: &str) -> String {
        format!("llm_guard_duration_ms;check={}", Label(check))
    }

    /// Running calls of checks to services.
    pub const GUARD_IN_FLIGHT: &str = "llm_guard_in_flight";
    /// See [`recounted`].
    pub const GUARD_RECOUNTED: &str = "llm_guard_in_flight_recounted";

    /// The memory of the fullest worker's VM, and the part in use.
    pub const MEMORY: &str = "llm_memory_bytes";
    /// See [`MEMORY`].
    pub const MEMORY_USED: &str = "llm_memory_used_bytes";

    /// Requests and answers that a memory budget refused, by purpose.
    pub fn memory_refused(reason: &str) -> String {
        format!("llm_memory_refused_total;reason={reason}")
    }

    /// Calls to the service that counts limits for all Envoys, by result.
    pub fn shared_limits(outcome: &str) -> String {
        format!("llm_shared_limits_total;outcome={outcome}")
    }

    /// How often a limit has reached its `warn_at`, at most once in its window; `of`: the tag of its subject.
    pub fn limit_warnings(of: Option<(&str, &str)>, limit: &str) -> String {
        match of {
            Some((tag, value)) => format!("llm_limit_warnings_total;{tag}={};type={limit}", Label(value)),
            None => format!("llm_limit_warnings_total;type={limit}"),
        }
    }

    /// Translated answers with an unknown finish reason, treated as a normal end.
    pub fn unknown_finish_reasons(cluster: &str) -> String {
        format!("llm_unknown_finish_reasons_total;cluster={}", Label(cluster))
    }

    /// Requests to models with a cache, by what it did for them.
    pub fn cache(model: &str, result: &str) -> String {
        format!("llm_cache_total;model={};result={result}", Label(model))
    }

    /// The tokens of hits, by `type`: `input`, `output`.
    pub fn cache_saved(model: &str, kind: &str) -> String {
        format!("llm_cache_saved_tokens_total;model={};type={kind}", Label(model))
    }

    /// Hits whose answer is that of a similar request.
    pub fn cache_similar(model: &str) -> String {
        format!("llm_cache_similar_total;model={}", Label(model))
    }

    /// Calls of the semantic cache that failed: for vectors, and to their database.
    pub const CACHE_SEMANTIC_FAILURES: &str = "llm_cache_semantic_failures_total";
    /// Requests to virtual models, by kind and by how that was found.
    pub fn kinds(model: &str, kind: &str, found: &str) -> String {
        format!("llm_kinds_total;model={};type={};result={found}", Label(model), Label(kind))
    }

    /// Requests that are not what their API takes, by the field with the first problem.
    pub fn invalid_requests(model: &str, field: &str) -> String {
        format!("llm_invalid_requests_total;model={};type={field}", Label(model))
    }

    /// Calls to the cache's Redis that failed.
    pub const CACHE_STORE_FAILURES: &str = "llm_cache_store_failures_total";

    /// Attempts by outcome.
    pub fn attempts(cluster: &str, outcome: &str) -> String {
        format!("llm_attempts_total;cluster={};outcome={outcome}", Label(cluster))
    }
}
