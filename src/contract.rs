//! What the filters agree on among themselves and with the operator: names that stand in envoy.yaml, in
//! stats and in headers. A name that is not here is nobody's promise.

use crate::label::Label;

/// Filter state that names the exchange to the filters of one request (`wasm.sluice.id` for Envoy).
pub const EXCHANGE_ID: &str = "sluice.id";
/// What the names begin with of filter state that marks a stream as an exchange's.
pub const MARK: &str = "sluice.id.";
/// Filter state that names the cluster to Envoy's route (`wasm.sluice.cluster` in envoy.yaml).
pub const CLUSTER: &str = "sluice.cluster";

/// Filter state with what access logs say of the request, as JSON text (`wasm.sluice.record` in envoy.yaml).
pub const RECORD: &str = "sluice.record";
/// Filter state with the same and more in single fields, for traces (`wasm.sluice.fields` in envoy.yaml).
pub const FIELDS: &str = "sluice.fields";

/// Response header that names the cluster an answer comes from.
pub const CLUSTER_HEADER: &str = "x-sluice-cluster";
/// Response header that names the model that answered, as its target calls it.
pub const MODEL_HEADER: &str = "x-sluice-model";
/// Response header that tells what became of each attempt.
pub const ATTEMPTS_HEADER: &str = "x-sluice-attempts";
/// Response header that names what checks have found in a request that passed all the same.
pub const GUARD_HEADER: &str = "x-sluice-guard";
/// Response header that names what of the request the provider's dialect has no word for.
pub const DROPPED_HEADER: &str = "x-sluice-dropped";
/// Response header of a token count that no model server made: `estimate`.
pub const TOKEN_COUNT_HEADER: &str = "x-sluice-token-count";
/// Response header by which `attempt` tells Envoy's router to retry (`retriable_headers` in envoy.yaml).
pub const RETRY_HEADER: &str = "x-sluice-retry";
/// Request header by which `router` tells Envoy how long one attempt may take, in milliseconds.
pub const PER_TRY_TIMEOUT_HEADER: &str = "x-envoy-upstream-rq-per-try-timeout-ms";

/// The headers a client may present its key in, and an upstream receive its own. None of them passes from
/// one side to the other.
pub const CREDENTIAL_HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Headers that steer the gateway or Envoy; no client may set them. (Envoy itself writes over one of them,
/// `x-envoy-external-address`, before any filter runs, and the route removes it: see envoy.yaml.)
pub fn is_reserved_header(name: &[u8]) -> bool {
    let steers = name.starts_with(b"x-sluice-") || name.starts_with(b"x-envoy-");
    steers && name != b"x-envoy-external-address"
}

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

/// Shared data with the living VMs, and how far they are with counting attempts under way anew.
pub const IN_FLIGHT_ROSTER: &str = "sluice.in_flight";

/// Shared data with the clusters whose servers say that a streamed answer is complete.
pub const STREAM_ENDS: &str = "sluice.ends";

/// Shared data with a part of what upstreams store.
pub fn stored_part(part: u8) -> String {
    format!("sluice.stored.{part}")
}

/// Shared data with the ids that were revoked at run time.
pub const REVOKED_KEYS: &str = "sluice.keys.revoked";
/// Shared data with the virtual keys that were issued here.
pub const ISSUED_KEYS: &str = "sluice.keys.issued";

/// Shared data with a part of the sums of what has been used on a day, by the place that day takes.
pub fn totals(part: u64, place: u32) -> String {
    format!("sluice.totals.{part}.{place}")
}

/// Shared data with what a client key has used of its limits.
pub fn key_limits(id: &str) -> String {
    format!("sluice.limits.key.{id}")
}

/// Shared data with what a model has been used of its limits.
pub fn model_limits(name: &str) -> String {
    format!("sluice.limits.model.{name}")
}

/// Shared data with what has been used of the limits of everything together.
pub const ALL_LIMITS: &str = "sluice.limits.all";

/// The most label sets of one counter before further ones collapse: clients choose model names, and each
/// set of labels is memory in Envoy for good.
pub const MAX_LABEL_SETS: usize = 2000;
/// The most label sets of one key, so that none takes those of others.
pub const MAX_LABEL_SETS_OF_KEY: usize = 400;
/// The most models and clusters that have histograms of their own, where clients choose the names: each is some twenty
/// lines of Prometheus.
pub const MAX_HISTOGRAM_SETS: usize = 300;
/// The label value that stands for all that came after [`MAX_LABEL_SETS`], and for names that no target has answered.
pub const OTHER: &str = "other";
/// The key label of a request that no key was asked of.
pub const ANONYMOUS: &str = "anonymous";
/// The label value of what is not known.
pub const NONE: &str = "none";

/// Names of the counters, as in `/stats/prometheus`; labels ride in the name and are taken out again by
/// `stats_tags` in envoy.yaml.
pub mod stats {
    use super::Label;

    /// Requests by the status the client got.
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

    /// What the tokens cost, in millionths of a dollar.
    pub fn cost(key: &str, model: &str, cluster: &str) -> String {
        format!("llm_cost_microusd_total;key={};model={};cluster={}", Label(key), Label(model), Label(cluster))
    }

    /// What [`tokens`] and [`cost`] are called where an attempt has failed: the gateway has paid, and no client.
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
    /// Histogram: how fast the output was written.
    pub const OUTPUT_SPEED: &str = "llm_output_tokens_per_second";

    /// Where the tokens of a request come from.
    pub fn usage_source(source: &str) -> String {
        format!("llm_usage_source_total;source={source}")
    }

    /// Clusters that are out of the pool: 1 for each.
    pub fn ejected(cluster: &str) -> String {
        format!("llm_ejected;cluster={}", Label(cluster))
    }

    /// How often a cluster has left the pool, by reason.
    pub fn ejections(cluster: &str, reason: &str) -> String {
        format!("llm_ejections_total;cluster={};reason={reason}", Label(cluster))
    }

    /// Models of a cluster that are out of the pool while the cluster is not: how many.
    pub fn ejected_models(cluster: &str) -> String {
        format!("llm_ejected_models;cluster={}", Label(cluster))
    }

    /// How often one of a cluster's models has left the pool, by reason.
    pub fn model_ejections(cluster: &str, reason: &str) -> String {
        format!("llm_model_ejections_total;cluster={};reason={reason}", Label(cluster))
    }

    /// Attempts under way.
    pub fn in_flight(cluster: &str) -> String {
        format!("llm_in_flight;cluster={}", Label(cluster))
    }

    /// The part of them that counts there while they are counted anew, after a worker's filters have ended.
    pub fn recounted(cluster: &str) -> String {
        format!("llm_in_flight_recounted;cluster={}", Label(cluster))
    }

    /// Counts changes of what the workers share (the clusters' health, revoked keys), so that each of them knows when
    /// what it remembers is out of date.
    pub const STATE_CHANGES: &str = "llm_state_changes_total";

    /// What the checks have said, by phase.
    pub fn guard(check: &str, phase: &str, verdict: &str) -> String {
        format!("llm_guard_total;check={};phase={phase};verdict={verdict}", Label(check))
    }

    /// How long a check took, in milliseconds.
    pub fn guard_duration(check: &str) -> String {
        format!("llm_guard_duration_ms;check={}", Label(check))
    }

    /// Callouts of checks under way.
    pub const GUARD_IN_FLIGHT: &str = "llm_guard_in_flight";
    /// See [`recounted`].
    pub const GUARD_RECOUNTED: &str = "llm_guard_in_flight_recounted";

    /// The memory of the fullest worker's VM, and how much of it is in use.
    pub const MEMORY: &str = "llm_memory_bytes";
    /// See [`MEMORY`].
    pub const MEMORY_USED: &str = "llm_memory_used_bytes";

    /// What has gone without memory, by what it was for.
    pub fn memory_refused(reason: &str) -> String {
        format!("llm_memory_refused_total;reason={reason}")
    }

    /// Calls of the service that counts limits for all Envoys, by what became of them.
    pub fn shared_limits(outcome: &str) -> String {
        format!("llm_shared_limits_total;outcome={outcome}")
    }

    /// Answers that ended for a reason nobody knows, and were translated as if they had ended as usual.
    pub fn unknown_finish_reasons(cluster: &str) -> String {
        format!("llm_unknown_finish_reasons_total;cluster={}", Label(cluster))
    }

    /// Attempts by outcome.
    pub fn attempts(cluster: &str, outcome: &str) -> String {
        format!("llm_attempts_total;cluster={};outcome={outcome}", Label(cluster))
    }
}
