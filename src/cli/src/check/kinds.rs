//! Virtual models: kinds that no prompt gets, and callers that may not use the models that are chosen for them.

use serde_json::Value;
use sluice::pattern::{matches, overlap};

use super::sections::{list, text, Locate};
use super::Report;
use crate::yaml::quoted;

pub(super) fn check(auth: Option<&Value>, router: Option<&Value>, locate: Locate<'_>, report: &mut Report) {
    for (index, model) in list(router, "models").iter().enumerate() {
        let Some(choose) = model.get("choose") else { continue };
        if text(choose, "by") == Some("rules") {
            unreachable(choose, &format!("router.models[{index}].choose"), locate, report);
        }
        let Some(name) = text(model, "name") else { continue };
        for (field, one) in [("keys", "key"), ("users", "user")] {
            for (index, caller) in list(auth, field).iter().enumerate() {
                let permitted: Vec<&str> = list(Some(caller), "models").iter().filter_map(Value::as_str).collect();
                if permitted.iter().any(|permitted| overlap(permitted, name)) {
                    let (line, path) = locate(&format!("auth.{field}[{index}].models"));
                    choices(name, choose, (one, &permitted), (line, &path), report);
                }
            }
        }
    }
}

/// The models that are chosen for a caller.
fn choices(
    name: &str,
    choose: &Value,
    (one, permitted): (&str, &[&str]),
    (line, path): (usize, &str),
    report: &mut Report,
) {
    let otherwise = text(choose, "otherwise");
    let mut chosen: Vec<&str> = list(Some(choose), "kinds").iter().filter_map(|kind| text(kind, "model")).collect();
    chosen.extend(otherwise);
    let may_use = |model: &&str| permitted.iter().any(|permitted| matches(permitted, model));
    let mut missing: Vec<&str> = Vec::new();
    for model in chosen.iter().copied().filter(|model| !may_use(model)) {
        if !missing.contains(&model) {
            missing.push(model);
        }
    }
    if missing.is_empty() {
        return;
    }
    let quote = |names: &[&str]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let all: Vec<String> = permitted.iter().chain(&missing).map(|name| quoted(name)).collect();
    let fix = format!("models: [{}]", all.join(", "));
    if !chosen.iter().any(may_use) {
        let problem = format!("{name:?} chooses models that this {one} may not use, so every call to it is refused");
        report.error("unusable_kinds", line, path, problem, fix);
        return;
    }
    let then = match otherwise.filter(|model| missing.contains(model)) {
        Some(_) => "so it gets 403 for prompts of no other kind".to_owned(),
        None => format!("so {:?} answers its prompts of these kinds", otherwise.unwrap_or_default()),
    };
    let problem = format!("{name:?} may choose {}, which this {one} may not use, {then}", quote(&missing));
    report.warning("unusable_kind", line, path, problem, fix);
}

/// The first kind that fits is taken, so a later one needs a rule of its own.
fn unreachable(choose: &Value, choose_path: &str, locate: Locate<'_>, report: &mut Report) {
    let mut earlier: Vec<&Value> = Vec::new();
    for (index, kind) in list(Some(choose), "kinds").iter().enumerate() {
        let rules = match kind.get("match") {
            Some(Value::Array(rules)) => rules.iter().collect(),
            rule => rule.into_iter().collect::<Vec<_>>(),
        };
        if !rules.is_empty() && rules.iter().all(|rule| earlier.contains(rule)) {
            let (line, path) = locate(&format!("{choose_path}.kinds[{index}].match"));
            let problem = "earlier kinds have the same rules, so no prompt is of this kind";
            report.warning("unreachable_kind", line, &path, problem, "give it a rule of its own, or put it first");
        }
        earlier.extend(rules);
    }
}
