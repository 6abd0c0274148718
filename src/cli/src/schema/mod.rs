//! `sluice schema`: the short file as a JSON schema, with which editors complete and check fields. The field names come
//! from the configuration's reader, so that both always agree; the types are here, most descriptions in `descriptions`.

mod beside;
mod cache;
mod descriptions;
mod guard;
mod kinds;
mod parts;
mod presets;
mod prompts;
mod reference;
mod routing;

use serde_json::{json, Value};
use sluice::config::{
    AUTH_FIELDS, GUARD_FIELDS, LABEL_LIMIT_FIELDS, LEDGER_FIELDS, LIMIT_FIELDS, MODEL_FIELDS, PATH_FIELDS,
    PRICE_FIELDS, ROUTER_FIELDS, SHARED_FIELDS,
};
use sluice::endpoint::Dialect;
use sluice::routing::STRATEGIES;
use sluice::usage::Format;
use sluice::wire_names::CREDENTIAL_HEADERS;

use crate::short::{providers::PROVIDERS, upstream_fields, ACCESS_LOG_FIELDS, OWN_FIELDS};
use crate::{file, Failure};

use beside::{access_log, ledger, shared};
use parts::{fields, object, one_of, reference, text, texts, whole};
use routing::EJECTION;

/// The JSON schema draft.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print the reference for people: every field with its type and meaning
    #[arg(long)]
    markdown: bool,
}

/// Prints the schema.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.markdown {
        true => file::print(&reference::markdown(&schema())),
        false => file::print(&format!("{:#}\n", schema())),
    }
}

fn schema() -> Value {
    let mut root = object(&[AUTH_FIELDS, ROUTER_FIELDS, OWN_FIELDS].concat(), top, &["upstreams", "models"]);
    if let Some(root) = root.as_object_mut() {
        root.insert("$schema".to_owned(), json!(DRAFT));
        root.insert("title".to_owned(), json!("Sluice's short file"));
        root.insert("$defs".to_owned(), definitions());
    }
    descriptions::add(&mut root);
    root
}

fn definitions() -> Value {
    let retry = ["on", "max_attempts", "per_try_timeout", "deadline", "budget"];
    let check = [
        "name",
        "api",
        "phase",
        "roles",
        "models",
        "keys",
        "on_failure",
        "action",
        "dry_run",
        "unrewritable",
        "cluster",
        "path",
        "authority",
        "credential",
        "timeout",
        "model",
        "thresholds",
        "language",
        "entities",
        "score_threshold",
        "server",
        "labels",
        "batch_size",
        "pieces",
        "additional_provider_specific_params",
        "custom",
    ];
    json!({
        "duration": {"type": "string", "pattern": "^[0-9.]+(ms|s|m|h|d)$", "description": "such as 500ms, 30s, 2m, 12h or 90d"},
        "size": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$"}], "description": "in bytes, such as 256KiB"},
        "date": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}", "description": "2030-01-01 or 2030-01-01T12:00:00Z"},
        "env": object(&["env"], |_| text("the name of a variable in Envoy's environment"), &["env"]),
        "credential": object(&["env", "header"], credential, &["env"]),
        "limits": fields(&LIMIT_FIELDS, limit),
        "tools": fields(&["allow", "deny"], |name| match name {
            "allow" => texts("the tools that may be offered; default: all"),
            _ => texts("the tools that may not, even if they are in `allow`"),
        }),
        "label_limit": object(LABEL_LIMIT_FIELDS, |name| if name == "limits" { reference(name) } else { text("of the callers") }, LABEL_LIMIT_FIELDS),
        "key": object(&["id", "hash", "role", "models", "tools", "labels", "limits", "issued", "expires"], caller, &["id", "hash"]),
        "user": object(&["name", "hash", "role", "models", "tools", "labels", "limits", "issued"], caller, &["name", "hash"]),
        "upstream": fields(&upstream_fields(), upstream),
        "model": kinds::either(object(MODEL_FIELDS, model, &["name"])),
        "path": object(PATH_FIELDS, path, &["path", "upstream"]),
        "target": {"anyOf": [text("an upstream"), object(&target_fields(), target, &["upstream"])]},
        "strategy": routing::strategy(),
        "retry": fields(&retry, routing::retry),
        "ejection": fields(&EJECTION, routing::ejection),
        "check": object(&check, self::check, &["name", "api", "phase", "action"]),
        "service": object(&["url", "trusted_ca", "connect_timeout"], upstream, &["url"]),
    })
}

fn top(name: &str) -> Value {
    let list =
        |of: &str, description: &str| json!({"type": "array", "items": reference(of), "description": description});
    let named = |of: &str, description: &str| json!({"type": "object", "additionalProperties": reference(of), "description": description});
    match name {
        "keys" => list("key", "the keys that may call: the SHA-256 of each"),
        "users" => list("user", "the users that may call with a password"),
        "roles" => fields(&["user", "admin"], |_| texts("the identity provider's names of the role")),
        "virtual_keys" => object(&["secrets", "max_expires_in"], virtual_keys, &["secrets"]),
        "revoked" => {
            json!({"type": "array", "items": {"anyOf": [text("an id"), object(&["id", "before", "until"], |name| match name {
            "before" | "until" => reference("date"),
            _ => text("an id"),
        }, &["id"])]}})
        }
        "tools" => reference("tools"),
        "limits" => reference("limits"),
        "label_limits" => list("label_limit", "limits of all callers with a label of this value together"),
        "shared" => object(SHARED_FIELDS, shared, &["cluster"]),
        "ledger" => object(LEDGER_FIELDS, ledger, &["cluster"]),
        "gateway_prefix" => json!({"type": "string", "pattern": "^/", "default": "/gateway"}),
        "oidc" => object(
            &["metadata", "failure_metadata", "id_claim", "roles_claim", "models_claim", "default_role"],
            |name| match name {
                "default_role" => one_of(["none", "user"]),
                _ => text("of the token"),
            },
            &["metadata"],
        ),
        "upstreams" => named("upstream", "the model servers, by names that you choose"),
        "models" => list("model", "the models that clients may use, and their targets"),
        "paths" => list("path", "further paths, which pass unread to one upstream"),
        "retry" => reference("retry"),
        "ejection" => fields(&[&EJECTION[..], &["max_ejected_percent"]].concat(), routing::ejection),
        "hold_json" | "max_upload" | "cache_memory" => reference("size"),
        "prompts" => prompts::prompts(),
        "builtin" => prompts::builtin(),
        "hold" => fields(&["max"], |_| reference("duration")),
        "response_model" => one_of(["target", "requested"]),
        "stored_responses" => json!({"anyOf": [reference("duration"), {"const": false}]}),
        "answer_headers" => one_of(["after_failure", "always", "never"]),
        "default_model" => text("the model of requests that name none"),
        "validate" => presets::validate(),
        "listen" | "admin" => {
            json!({"type": "string", "pattern": ":[0-9]+$", "description": "an address, such as 127.0.0.1:10000"})
        }
        "services" => named("service", "the services that checks call, by cluster name"),
        "checks" => list("check", "the guard's checks"),
        "guard" => fields(GUARD_FIELDS, guard::guard),
        "usage" => fields(&["access_log", "tracing", "conversation_headers"], |name| match name {
            "conversation_headers" => {
                json!({"type": "array", "items": text("a header's name"), "minItems": 1, "maxItems": 4})
            }
            _ => json!({"type": "boolean"}),
        }),
        "access_log" => fields(ACCESS_LOG_FIELDS, access_log),
        "tracing" => object(
            &["url", "authorization"],
            |name| match name {
                "url" => text("OTLP over HTTP, such as http://127.0.0.1:6006/v1/traces"),
                _ => reference("env"),
            },
            &["url"],
        ),
        "trusted_ca" => text("the file with the authorities that sign the servers' certificates"),
        "allow_origins" => texts("the web pages that may call from a browser: their origins, or *"),
        "max_request_body" => reference("size"),
        "wasm" => text("the file with the filters"),
        _ => json!({}),
    }
}

fn credential(name: &str) -> Value {
    match name {
        "header" => one_of(CREDENTIAL_HEADERS),
        _ => text("the name of the environment variable with the key"),
    }
}

fn limit(name: &str) -> Value {
    match name {
        "cost_per_day" | "cost_per_month" => json!({"type": "number", "exclusiveMinimum": 0, "description": "dollars"}),
        "reserve_output" => json!({"type": "integer", "minimum": 1, "description": "of a request, by token limits"}),
        "warn_at" => whole(1, 100),
        _ => json!({"type": "integer", "minimum": 1}),
    }
}

fn caller(name: &str) -> Value {
    match name {
        "id" | "name" => text("the caller's name in stats and logs"),
        "hash" => text("the key's hash, as `sluice key new` prints it; never the key itself"),
        "role" => text("user (the default), admin, or one of `roles`"),
        "models" => texts("as clients write them, prefixes like gpt-* too; default: all"),
        "labels" => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        "tools" => reference("tools"),
        "limits" => reference("limits"),
        _ => reference("date"),
    }
}

fn virtual_keys(name: &str) -> Value {
    match name {
        "secrets" => json!({"type": "array", "items": reference("env"), "minItems": 1, "maxItems": 2}),
        _ => reference("duration"),
    }
}

fn upstream(name: &str) -> Value {
    match name {
        "provider" => one_of(PROVIDERS.iter().map(|provider| provider.name)),
        "url" => {
            json!({"type": "string", "pattern": "^https?://", "description": "the server's address, if it is not the provider's usual one"})
        }
        "resource" => text("of azure"),
        "region" => text("for bedrock and vertex"),
        "project" => text("of vertex"),
        "trusted_ca" => text("the file with the authorities that sign the server's certificate"),
        "connect_timeout" => reference("duration"),
        "dialects" => json!({"type": "array", "minItems": 1, "items": one_of(Dialect::ALL.map(Dialect::name))}),
        "host" => text("the `host` header that the server gets"),
        "base_path" => json!({"type": "string", "description": "replaces /v1, /api or /v1beta"}),
        "forward_headers" => texts("further client headers that it gets"),
        "query" => text("added before the client's query"),
        "credential" => reference("credential"),
        "headers" => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        "include_usage" | "translate" | "responses_api" => json!({"type": "boolean", "default": true}),
        "strict_end" => {
            json!({"type": "boolean", "description": "whether a stream without its dialect's last event counts as cut"})
        }
        "usage" => fields(&["format", "count"], |name| match name {
            "format" => one_of(Format::ALL.map(Format::name)),
            _ => object(
                &["path", "timeout"],
                |name| match name {
                    "path" => json!({"type": "string", "pattern": "^/"}),
                    _ => reference("duration"),
                },
                &["path"],
            ),
        }),
        "prices" => json!({
            "type": "object",
            "additionalProperties": model("price"),
            "description": "prices by the upstream's names, for models and targets without `price`"
        }),
        "ejection" => reference("ejection"),
        _ => json!({}),
    }
}

fn model(name: &str) -> Value {
    match name {
        "name" => text("as clients write it; a trailing * makes it a prefix, * alone matches all"),
        "aliases" => texts("further names"),
        "targets" => json!({"type": "array", "minItems": 1, "items": reference("target")}),
        "strategy" => reference("strategy"),
        "retry" => reference("retry"),
        "fallbacks" => texts("models that serve when all targets fail"),
        "context_length_fallback" => text("the model for requests that are too long for this one"),
        "max_output_tokens" => whole(1, 1_000_000),
        "limits" => reference("limits"),
        "cache" => cache::cache(),
        "defaults" => presets::presets(false),
        "overrides" => presets::presets(true),
        "validate" => presets::validate(),
        "choose" => kinds::choose(),
        "price" => object(
            PRICE_FIELDS,
            |name| {
                let unit = if name == "image" { "dollars per image" } else { "dollars per million tokens" };
                json!({"type": "number", "minimum": 0, "description": unit})
            },
            &["input", "output"],
        ),
        _ => json!({}),
    }
}

fn path(name: &str) -> Value {
    match name {
        "path" => json!({"type": "string", "pattern": "^/", "description": "a path, or a prefix that ends in *"}),
        "upstream" => text("an upstream"),
        "guard" => one_of(["refuse", "skip"]),
        _ => json!({}),
    }
}

fn target_fields() -> Vec<&'static str> {
    let mut names = vec!["upstream", "model", "price"];
    for name in STRATEGIES.iter().flat_map(|strategy| strategy.target_fields) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    names
}

fn target(name: &str) -> Value {
    match name {
        "upstream" => text("an upstream"),
        "model" => text("the upstream's name for the model, if it differs"),
        "weight" | "slots" => whole(1, 1_000_000),
        "tier" => whole(0, 1_000_000),
        "price" => model("price"),
        _ => json!({}),
    }
}

fn check(name: &str) -> Value {
    let list = |names: &[&str]| json!({"type": "array", "minItems": 1, "items": one_of(names.iter().copied())});
    let share = || json!({"type": "number", "minimum": 0, "maximum": 1});
    match name {
        "name" => text("in stats, errors and headers"),
        "api" => one_of([
            "openai_moderations",
            "presidio",
            "chat_classifier",
            "text_classification",
            "generic_guardrail_api",
            "patterns",
        ]),
        "server" => one_of(["tei", "vllm"]),
        "labels" => texts("such as BENIGN"),
        "batch_size" => whole(1, 1000),
        "pieces" => guard::pieces(),
        "additional_provider_specific_params" => json!({"type": "object"}),
        "phase" => list(&["request", "response"]),
        "roles" => list(&["system", "user", "assistant", "tool"]),
        "action" => one_of(["block", "mask", "restore", "flag"]),
        "on_failure" => one_of(["allow", "deny"]),
        "unrewritable" => one_of(["allow", "block"]),
        "models" | "keys" | "entities" => texts("default: all"),
        "dry_run" => json!({"type": "boolean"}),
        "cluster" => text("one of `services`"),
        "credential" => reference("env"),
        "timeout" => reference("duration"),
        "thresholds" => json!({"anyOf": [share(), {"type": "object", "additionalProperties": share()}]}),
        "score_threshold" => share(),
        "custom" => {
            json!({"type": "array", "items": object(&["name", "regex"], |_| text("of a pattern"), &["name", "regex"])})
        }
        _ => text(""),
    }
}
