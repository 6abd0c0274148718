//! Settings that the core accepts, but that cannot be intended.

use serde_json::Value;
use sluice::config::SELF_CLUSTER;
use sluice::date::timestamp;
use sluice::pattern::{matches, overlap};

use super::sections::{list, section, text, Locate, Sections};
use super::{kinds, Report};
use crate::yaml::quoted;

/// The publicly known keys: sk-demo-user and sk-demo-admin.
const DEMO_KEYS: [&str; 2] = [
    "sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c",
    "sha256:a1304128f87ba7aa357d7fe938db628cccb9ad9465ba832773a604aed2cfd54e",
];

pub(super) const PLAIN: &str = "clients outside this machine send their keys and prompts unencrypted";
pub(super) const PLAIN_FIX: &str =
    "give the listener a certificate (`transport_socket`), or terminate TLS in front of it";
pub(super) const ADMIN: &str = "everyone who reaches Envoy's admin interface can stop Envoy and read its configuration";
pub(super) const ADMIN_FIX: &str = "listen on 127.0.0.1";

/// Whether an address can be reached from other machines.
pub(super) fn is_open(host: &str) -> bool {
    let ip = host.parse::<std::net::IpAddr>();
    host != "localhost" && !ip.is_ok_and(|ip| ip.is_loopback())
}

pub(super) fn check(sections: &Sections, locate: Locate<'_>, report: &mut Report) {
    let router = section(sections, "router");
    let auth = section(sections, "auth");
    if router.is_some() {
        upstreams(router, locate, report);
        callers(auth, router, locate, report);
        fallbacks(auth, router, locate, report);
        prices(auth, router, locate, report);
        kinds::check(auth, router, locate, report);
    }
    expired(auth, locate, report);
    for (index, model) in list(router, "models").iter().enumerate() {
        let targets = list(Some(model), "targets");
        let strategy = model.get("strategy").and_then(|one| one.as_str().or_else(|| text(one, "name")));
        let tiered = targets.iter().any(|target| target.get("tier").is_some());
        if strategy == Some("priority") && targets.len() > 1 && !tiered {
            let (line, path) = locate(&format!("router.models[{index}].strategy"));
            let problem = "no target has a `tier`, so all are tried in turn, and none is kept as a fallback";
            report.warning(
                "no_tiers",
                line,
                &path,
                problem,
                "give the targets `tier: 1` and so on; the lowest is tried first",
            );
        }
    }
}

/// The names of the upstreams that models and further paths use, and those that virtual models ask.
fn targets(router: Option<&Value>) -> Vec<&str> {
    let all = list(router, "models").iter().flat_map(|model| list(Some(model), "targets"));
    let paths = list(router, "paths").iter().filter_map(|path| text(path, "upstream"));
    let asked = list(router, "models").iter().filter_map(|model| text(model.get("choose")?, "upstream"));
    all.filter_map(|target| target.as_str().or_else(|| text(target, "upstream"))).chain(paths).chain(asked).collect()
}

fn upstreams(router: Option<&Value>, locate: Locate<'_>, report: &mut Report) {
    let used = targets(router);
    let upstreams = router.and_then(|router| router.get("upstreams")).and_then(Value::as_object);
    for name in upstreams.into_iter().flat_map(|upstreams| upstreams.keys()) {
        if !used.contains(&name.as_str()) {
            let (line, path) = locate(&format!("router.upstreams[{}]", Value::from(name.as_str())));
            report.warning(
                "unused",
                line,
                &path,
                "no model has it as a target, and no path leads to it",
                "add a model for it, or remove it",
            );
        }
    }
}

/// Callers must be limited to existing models.
fn callers(auth: Option<&Value>, router: Option<&Value>, locate: Locate<'_>, report: &mut Report) {
    let mut served: Vec<&str> = Vec::new();
    for model in list(router, "models") {
        served.extend(text(model, "name"));
        served.extend(list(Some(model), "aliases").iter().filter_map(Value::as_str));
    }
    served.extend(list(router, "paths").iter().filter_map(|path| text(path, "path")));
    for field in ["keys", "users"] {
        for (index, caller) in list(auth, field).iter().enumerate() {
            let Some(models) = caller.get("models").and_then(Value::as_array) else { continue };
            let (line, path) = locate(&format!("auth.{field}[{index}].models"));
            let names: Vec<&str> = models.iter().filter_map(Value::as_str).collect();
            let unknown: Vec<&str> =
                names.iter().copied().filter(|name| !served.iter().any(|served| overlap(name, served))).collect();
            if unknown.len() == names.len() {
                let problem = "none of its models is served here, so every call with it is refused";
                report.error(
                    "key_without_models",
                    line,
                    &path,
                    problem,
                    format!("models: [{}], or some of these", served.join(", ")),
                );
            } else if let Some(name) = unknown.first() {
                let problem = format!("no model {name:?} is served here");
                report.warning(
                    "unknown_model",
                    line,
                    &path,
                    problem,
                    format!("name one of these: {}", served.join(", ")),
                );
            }
        }
    }
}

/// A fallback serves only callers that may use it.
fn fallbacks(auth: Option<&Value>, router: Option<&Value>, locate: Locate<'_>, report: &mut Report) {
    for (field, one) in [("keys", "key"), ("users", "user")] {
        for (index, caller) in list(auth, field).iter().enumerate() {
            let permitted: Vec<&str> = list(Some(caller), "models").iter().filter_map(Value::as_str).collect();
            let mut missing: Vec<&str> = Vec::new();
            let mut first = None;
            for model in list(router, "models") {
                let aliases = list(Some(model), "aliases").iter().filter_map(Value::as_str);
                let mut names = text(model, "name").into_iter().chain(aliases);
                if !names.any(|name| permitted.iter().any(|permitted| overlap(permitted, name))) {
                    continue;
                }
                let fallbacks = list(Some(model), "fallbacks").iter().filter_map(Value::as_str);
                for fallback in fallbacks.chain(text(model, "context_length_fallback")) {
                    let may_use = permitted.iter().any(|permitted| matches(permitted, fallback));
                    if !may_use && !missing.contains(&fallback) {
                        missing.push(fallback);
                        first = first.or(text(model, "name"));
                    }
                }
            }
            let Some(model) = first else { continue };
            let (line, path) = locate(&format!("auth.{field}[{index}].models"));
            let problem = format!(
                "{model:?} falls back to {}, which this {one} may not use, so it gets the error instead",
                missing.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "),
            );
            let all: Vec<String> = permitted.iter().chain(&missing).map(|name| quoted(name)).collect();
            let fix = format!("models: [{}], or leave the {one} without that fallback", all.join(", "));
            report.warning("unusable_fallback", line, &path, problem, fix);
        }
    }
}

/// A limit on money needs prices.
fn prices(auth: Option<&Value>, router: Option<&Value>, locate: Locate<'_>, report: &mut Report) {
    let priced = |value: &Value| value.get("price").is_some();
    let models = list(router, "models");
    let upstreams = router.and_then(|router| router.get("upstreams")).and_then(Value::as_object);
    let has_prices = |upstream: &Value| {
        let prices = upstream.get("prices").and_then(Value::as_object);
        prices.is_some_and(|prices| !prices.is_empty())
    };
    let listed = upstreams.is_some_and(|all| all.values().any(has_prices));
    if listed || models.iter().any(|model| priced(model) || list(Some(model), "targets").iter().any(priced)) {
        return;
    }
    let costs = |value: &Value| {
        let limits = value.get("limits").and_then(Value::as_object);
        limits.is_some_and(|limits| limits.keys().any(|name| name.starts_with("cost_")))
    };
    let named = [("keys", "auth"), ("users", "auth"), ("models", "router")];
    let lists = named.into_iter().flat_map(|(field, filter)| {
        let value = if filter == "auth" { auth } else { router };
        list(value, field)
            .iter()
            .enumerate()
            .filter(|(_, one)| costs(one))
            .map(move |(index, _)| format!("{filter}.{field}[{index}].limits"))
    });
    let all = auth.filter(|auth| costs(auth)).map(|_| "auth.limits".to_owned());
    for path in lists.chain(all) {
        let (line, path) = locate(&path);
        let problem = "limits spending, but no model has a `price`, and no upstream has `prices`, so nothing counts";
        report.error(
            "no_price",
            line,
            &path,
            problem,
            "give the models `price: {input: 2.5, output: 10}`, in dollars per million tokens (the price list knows the \
             providers' own names of models, such as a target's `model`)",
        );
    }
}

fn expired(auth: Option<&Value>, locate: Locate<'_>, report: &mut Report) {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    for (index, key) in list(auth, "keys").iter().enumerate() {
        if text(key, "expires").and_then(timestamp).is_some_and(|expires| expires <= now) {
            let (line, path) = locate(&format!("auth.keys[{index}].expires"));
            report.warning(
                "expired_key",
                line,
                &path,
                "the key has expired, so every call with it is refused",
                "remove it, or set a later date",
            );
        }
    }
}

/// The demo's keys, if other machines can call.
pub(super) fn demo_keys(sections: &Sections, line: &dyn Fn(&str) -> usize, report: &mut Report) {
    for (index, key) in list(section(sections, "auth"), "keys").iter().enumerate() {
        if text(key, "hash").is_some_and(|hash| DEMO_KEYS.contains(&hash)) {
            let path = format!("auth.keys[{index}]");
            let problem = "this key is public: it is the demo's, and other machines can call";
            report.error("demo_key", line(&path), &path, problem, "make one: sluice key new --id NAME");
        }
    }
}

/// The clusters of checks, of shared limits, of the ledger, of caches and of text endpoints, and the lines that name
/// them.
pub(super) fn services(sections: &Sections) -> Vec<(String, String)> {
    let checks = list(section(sections, "guard"), "checks").iter().enumerate();
    let named = checks.filter_map(|(index, check)| {
        text(check, "cluster").map(|cluster| (format!("guard.checks[{index}].cluster"), cluster.to_owned()))
    });
    let auth = section(sections, "auth");
    let beside = ["shared", "ledger"].into_iter().filter_map(|field| {
        let cluster = text(auth?.get(field)?, "cluster")?;
        Some((format!("auth.{field}.cluster"), cluster.to_owned()))
    });
    let models = list(section(sections, "router"), "models").iter().enumerate();
    const OF_CACHES: [&[&str]; 3] = [&["store", "redis"], &["semantic"], &["semantic", "store", "chroma"]];
    let caches = models.flat_map(|(index, model)| {
        OF_CACHES.into_iter().filter_map(move |path| {
            let service = path.iter().try_fold(model.get("cache")?, |tree, name| tree.get(name))?;
            let path = format!("router.models[{index}].cache.{}.cluster", path.join("."));
            Some((path, text(service, "cluster")?.to_owned()))
        })
    });
    let texts = section(sections, "router").and_then(|router| router.get("builtin")).map(|builtin| {
        let own = text(builtin, "cluster").map(|cluster| ("router.builtin.cluster".to_owned(), cluster.to_owned()));
        own.unwrap_or_else(|| ("router.builtin".to_owned(), SELF_CLUSTER.to_owned()))
    });
    named.chain(beside).chain(caches).chain(texts).collect()
}
