//! Deployments with one name become one model.

use super::budgets::Budget;
use super::deployment::Deployment;
use super::notes::Notes;
use super::settings::{Alias, Fallbacks, Settings};
use crate::yaml::quoted;

/// The deployments by the names that clients use.
#[derive(Default)]
pub(super) struct Groups(Vec<(String, Vec<Deployment>)>);

impl Groups {
    pub(super) fn add(&mut self, deployment: Deployment) {
        match self.0.iter_mut().find(|(name, _)| *name == deployment.name) {
            Some((_, all)) => all.push(deployment),
            None => self.0.push((deployment.name.clone(), vec![deployment])),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines of `models`.
    pub(super) fn lines(&self, settings: &Settings, notes: &mut Notes) -> Vec<String> {
        let known = |name: &str| self.0.iter().any(|(other, _)| other == name);
        for Fallbacks { line, model, others } in settings.fallbacks.iter().chain(&settings.context_window_fallbacks) {
            for name in std::iter::once(model).chain(others).filter(|name| !known(name)) {
                notes.add(*line, format!("fallbacks name {name:?}, which is not in model_list; it is left out there"));
            }
        }
        for name in settings.default_fallbacks.iter().filter(|name| !known(name)) {
            notes.add(1, format!("default_fallbacks name {name:?}, which is not in model_list; it is left out there"));
        }
        for Alias { line, name, model } in settings.aliases.iter().filter(|one| !known(&one.model) || known(&one.name))
        {
            notes.add(
                *line,
                format!("the alias {name:?} of {model:?} is left out: it must be a new name of an existing model"),
            );
        }
        self.0.iter().flat_map(|(name, all)| self.model(name, all, settings, notes)).collect()
    }

    fn model(&self, name: &str, all: &[Deployment], settings: &Settings, notes: &mut Notes) -> Vec<String> {
        let known = |other: &&String| *other != name && self.0.iter().any(|(known, _)| known == *other);
        let list = |names: Vec<&String>| names.into_iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let line = all.first().map_or(1, |one| one.line);
        let mut lines = vec![format!("- name: {}", quoted(name))];
        let aliases: Vec<&String> = settings
            .aliases
            .iter()
            .filter(|alias| alias.model == name && !self.0.iter().any(|(other, _)| *other == alias.name))
            .map(|alias| &alias.name)
            .collect();
        // a target without a `model` gets the name that the client sent
        let has_aliases = !aliases.is_empty();
        if has_aliases {
            lines.push(format!("  aliases: [{}]", list(aliases)));
        }
        let tiered = all.iter().any(|one| one.numbers.order.is_some());
        match settings.strategy {
            _ if tiered => lines.push("  strategy: priority".to_owned()),
            Some(strategy) => lines.push(format!("  strategy: {strategy}")),
            None => {}
        }
        if let Some(strategy) = settings.strategy.filter(|_| tiered) {
            notes.add(line, format!("{name}: `order` makes it `priority`; within a tier, {strategy} is left out"));
        }
        let own = |pairs: &[Fallbacks]| {
            pairs.iter().filter(|one| one.model == name).flat_map(|one| one.others.clone()).collect::<Vec<_>>()
        };
        let fallbacks = own(&settings.fallbacks);
        let fallbacks: Vec<&String> =
            if fallbacks.is_empty() { &settings.default_fallbacks } else { &fallbacks }.iter().filter(known).collect();
        if !fallbacks.is_empty() {
            lines.push(format!("  fallbacks: [{}]", list(fallbacks)));
        }
        let longer = own(&settings.context_window_fallbacks);
        let longer: Vec<&String> = longer.iter().filter(known).collect();
        if let Some((first, others)) = longer.split_first() {
            lines.push(format!("  context_length_fallback: {}", quoted(first)));
            if !others.is_empty() {
                let others = list(others.to_vec());
                notes.add(line, format!("{name}: of context_window_fallbacks, the first is used; left out: {others}"));
            }
        }
        lines.extend(numbers(name, all, notes));
        lines.push("  targets:".to_owned());
        let weights = weights(name, all, notes);
        let last = all.iter().filter_map(|one| one.numbers.order).fold(0.0, f64::max) + 1.0;
        for (one, weight) in all.iter().zip(weights) {
            let mut target = format!("upstream: {}", quoted(&one.upstream));
            if (one.model != *name || has_aliases) && !one.model.contains('*') {
                target.push_str(&format!(", model: {}", quoted(&one.model)));
            }
            if let Some(weight) = weight {
                target.push_str(&format!(", weight: {weight}"));
            }
            if tiered {
                target.push_str(&format!(", tier: {}", one.numbers.order.unwrap_or(last).round()));
            }
            lines.push(format!("    - {{{target}}}"));
        }
        lines
    }
}

/// Weights, which are whole numbers here: 0.5 and 0.25 become 50 and 25.
fn weights(name: &str, all: &[Deployment], notes: &mut Notes) -> Vec<Option<f64>> {
    let given = || all.iter().filter_map(|one| one.numbers.weight);
    let scale = if given().all(|weight| weight.fract() == 0.0) { 1.0 } else { 100.0 };
    let mut weigh = |one: &Deployment| {
        let weight = one.numbers.weight.or((scale > 1.0).then_some(1.0))? * scale;
        let whole = weight.round().clamp(1.0, 1e6);
        if (weight - whole).abs() > 0.5 {
            notes.add(
                one.line,
                format!("{name}: a weight from 1 to 1000000 is needed; {} becomes {whole}", weight / scale),
            );
        }
        Some(whole)
    };
    all.iter().map(&mut weigh).collect()
}

/// Limits, price and timeouts, which here belong to the model, not to each deployment.
fn numbers(name: &str, all: &[Deployment], notes: &mut Notes) -> Vec<String> {
    let mut lines = Vec::new();
    let line = all.first().map_or(1, |one| one.line);
    let mut limits = Vec::new();
    for (field, theirs, of) in [
        ("requests_per_minute", "rpm", (|one| one.numbers.requests_per_minute) as fn(&Deployment) -> Option<f64>),
        ("tokens_per_minute", "tpm", |one| one.numbers.tokens_per_minute),
    ] {
        let each: Vec<f64> = all.iter().filter_map(of).collect();
        let sum = each.iter().sum::<f64>().round();
        if each.is_empty() {
            continue;
        }
        if each.len() < all.len() {
            // their sum would limit the deployment without one, too
            let count = all.len();
            let problem = format!("{name}: {theirs} is left out, since not all of its {count} deployments have one, and a limit here is one of the whole model; if you want one: limits: {{{field}: {sum}}}");
            notes.add(line, problem);
        } else if sum < 1.0 {
            notes.add(line, format!("{name}: {theirs}: 0 is left out; a limit is at least 1"));
        } else {
            limits.push(format!("{field}: {sum}"));
        }
    }
    limits.extend(budget(name, all, notes));
    if !limits.is_empty() {
        lines.push(format!("  limits: {{{}}}", limits.join(", ")));
        if all.len() > 1 {
            notes.add(
                line,
                format!(
                    "{name}: rpm, tpm and max_budget are limits of the whole model here, the sum of its deployments'"
                ),
            );
        }
    }
    if let Some((input, output)) = first(name, "price", all, |one| one.numbers.price, notes) {
        let million = |price: f64| (price * 1e12).round() / 1e6;
        lines.push(format!("  price: {{input: {}, output: {}}}", million(input), million(output)));
    }
    let timeout = first(name, "timeout", all, |one| one.numbers.timeout, notes);
    let stream = first(name, "stream_timeout", all, |one| one.numbers.stream_timeout, notes);
    if let Some(json) = timeout.or(stream) {
        let stream = stream.unwrap_or(json);
        lines.push(format!("  retry: {{per_try_timeout: {{stream: {stream}s, json: {json}s}}}}"));
    }
    lines
}

/// The budget in money, the sum of the deployments'.
fn budget(name: &str, all: &[Deployment], notes: &mut Notes) -> Option<String> {
    let first = all.iter().find_map(|one| one.numbers.budget)?;
    let same: Vec<f64> = all
        .iter()
        .filter_map(|one| one.numbers.budget)
        .filter(|budget| budget.limit == first.limit)
        .map(|budget| budget.dollars)
        .collect();
    let sum = Budget { limit: first.limit, dollars: (same.iter().sum::<f64>() * 1e6).round() / 1e6 };
    if same.len() < all.len() {
        let problem = "max_budget is left out, since not all deployments have one for the same time, and a limit here is one of the whole model";
        let line = all.first().map_or(1, |one| one.line);
        notes.add(line, format!("{name}: {problem}; if you want one: limits: {{{}}}", sum.field()));
        return None;
    }
    Some(sum.field())
}

/// The first deployment's value, which becomes the model's.
fn first<T: PartialEq>(
    name: &str,
    what: &str,
    all: &[Deployment],
    of: fn(&Deployment) -> Option<T>,
    notes: &mut Notes,
) -> Option<T> {
    let (one, value) = all.iter().find_map(|one| Some((one, of(one)?)))?;
    if all.iter().any(|other| of(other).as_ref() != Some(&value)) {
        let problem = format!("{name}: all deployments get the {what} of this one; others' are left out");
        notes.add(one.line, problem);
    }
    Some(value)
}
