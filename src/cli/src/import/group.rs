//! Deployments with one name become one model.

use super::deployment::Deployment;
use super::notes::Notes;
use super::settings::Settings;
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
        for (name, others) in settings.fallbacks.iter().chain(&settings.context_window_fallbacks) {
            for name in std::iter::once(name).chain(others).filter(|name| !known(name)) {
                notes.add(1, format!("fallbacks name {name:?}, which is not in model_list; it is left out there"));
            }
        }
        for (alias, model) in settings.aliases.iter().filter(|(alias, model)| !known(model) || known(alias)) {
            notes.add(
                1,
                format!("the alias {alias:?} of {model:?} is left out: it must be a new name of an existing model"),
            );
        }
        self.0.iter().flat_map(|(name, all)| self.model(name, all, settings, notes)).collect()
    }

    fn model(&self, name: &str, all: &[Deployment], settings: &Settings, notes: &mut Notes) -> Vec<String> {
        let known = |other: &&String| *other != name && self.0.iter().any(|(known, _)| known == *other);
        let list = |names: Vec<&String>| names.into_iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let mut lines = vec![format!("- name: {}", quoted(name))];
        let aliases: Vec<&String> = settings
            .aliases
            .iter()
            .filter(|(alias, model)| model == name && !self.0.iter().any(|(other, _)| other == alias))
            .map(|(alias, _)| alias)
            .collect();
        if !aliases.is_empty() {
            lines.push(format!("  aliases: [{}]", list(aliases)));
        }
        let tiered = all.iter().any(|one| one.numbers.order.is_some());
        match settings.strategy {
            _ if tiered => lines.push("  strategy: priority".to_owned()),
            Some(strategy) => lines.push(format!("  strategy: {strategy}")),
            None => {}
        }
        let own = |pairs: &[(String, Vec<String>)]| {
            pairs.iter().filter(|(model, _)| model == name).flat_map(|(_, others)| others.clone()).collect::<Vec<_>>()
        };
        let fallbacks = own(&settings.fallbacks);
        let fallbacks: Vec<&String> =
            if fallbacks.is_empty() { &settings.default_fallbacks } else { &fallbacks }.iter().filter(known).collect();
        if !fallbacks.is_empty() {
            lines.push(format!("  fallbacks: [{}]", list(fallbacks)));
        }
        let longer = own(&settings.context_window_fallbacks);
        if let Some(longer) = longer.iter().find(|other| known(other)) {
            lines.push(format!("  context_length_fallback: {}", quoted(longer)));
        }
        lines.extend(numbers(name, all, notes));
        lines.push("  targets:".to_owned());
        for one in all {
            let mut target = format!("upstream: {}", quoted(&one.upstream));
            if one.model != *name && !one.model.contains('*') {
                target.push_str(&format!(", model: {}", quoted(&one.model)));
            }
            if let Some(weight) = one.numbers.weight.filter(|weight| *weight >= 1.0) {
                target.push_str(&format!(", weight: {}", weight.round()));
            }
            if let Some(order) = one.numbers.order.filter(|_| tiered) {
                target.push_str(&format!(", tier: {}", order.max(0.0).round()));
            }
            lines.push(format!("    - {{{target}}}"));
        }
        lines
    }
}

/// Limits, price and timeouts, which here belong to the model, not to each deployment.
fn numbers(name: &str, all: &[Deployment], notes: &mut Notes) -> Vec<String> {
    let mut lines = Vec::new();
    let sum = |of: fn(&Deployment) -> Option<f64>| {
        let each: Vec<f64> = all.iter().filter_map(of).collect();
        (!each.is_empty() && each.len() == all.len()).then(|| each.iter().sum::<f64>())
    };
    let limits = [
        ("requests_per_minute", sum(|one| one.numbers.requests_per_minute)),
        ("tokens_per_minute", sum(|one| one.numbers.tokens_per_minute)),
    ];
    let limits: Vec<String> =
        limits.into_iter().filter_map(|(name, sum)| Some(format!("{name}: {}", sum?.round()))).collect();
    let line = all.first().map_or(1, |one| one.line);
    if !limits.is_empty() {
        lines.push(format!("  limits: {{{}}}", limits.join(", ")));
        if all.len() > 1 {
            notes.add(
                line,
                format!("{name}: rpm and tpm are limits of the whole model here, the sum of its deployments'"),
            );
        }
    }
    if let Some((input, output)) = all.iter().find_map(|one| one.numbers.price) {
        let million = |price: f64| (price * 1e12).round() / 1e6;
        lines.push(format!("  price: {{input: {}, output: {}}}", million(input), million(output)));
    }
    let timeout = all.iter().find_map(|one| one.numbers.timeout);
    let stream = all.iter().find_map(|one| one.numbers.stream_timeout);
    if let Some(json) = timeout.or(stream) {
        let stream = stream.unwrap_or(json);
        lines.push(format!("  retry: {{per_try_timeout: {{stream: {stream}s, json: {json}s}}}}"));
    }
    lines
}
