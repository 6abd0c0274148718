//! Imports LiteLLM's `router_settings` and `litellm_settings`: load balancing, retries, fallbacks, cooldown.

use super::budgets;
use super::notes::Notes;
use crate::yaml::{Data, Tree};

/// The settings that LiteLLM reads from either place.
const READ: [&str; 14] = [
    "routing_strategy",
    "num_retries",
    "timeout",
    "request_timeout",
    "stream_timeout",
    "fallbacks",
    "default_fallbacks",
    "context_window_fallbacks",
    "model_group_alias",
    "allowed_fails",
    "cooldown_time",
    "max_budget",
    "budget_duration",
    budgets::TAGS,
];

/// The imported settings.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) strategy: Option<&'static str>,
    retries: Option<f64>,
    timeout: Option<f64>,
    stream_timeout: Option<f64>,
    allowed_fails: Option<f64>,
    cooldown: Option<f64>,
    pub(super) fallbacks: Vec<Fallbacks>,
    pub(super) default_fallbacks: Vec<String>,
    pub(super) context_window_fallbacks: Vec<Fallbacks>,
    pub(super) aliases: Vec<Alias>,
}

/// The models that replace a model.
pub(super) struct Fallbacks {
    pub(super) line: usize,
    pub(super) model: String,
    pub(super) others: Vec<String>,
}

/// Another name of a model.
pub(super) struct Alias {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) model: String,
}

type Slot = fn(&mut Settings) -> &mut Option<f64>;

const NUMBERS: [(&str, Slot); 6] = [
    ("num_retries", |settings| &mut settings.retries),
    ("request_timeout", |settings| &mut settings.timeout),
    ("timeout", |settings| &mut settings.timeout),
    ("stream_timeout", |settings| &mut settings.stream_timeout),
    ("allowed_fails", |settings| &mut settings.allowed_fails),
    ("cooldown_time", |settings| &mut settings.cooldown),
];

impl Settings {
    pub(super) fn read(tree: &Tree, notes: &mut Notes) -> Settings {
        let mut settings = Settings::default();
        for place in ["litellm_settings", "router_settings"] {
            let Some(tree) = tree.get(place) else { continue };
            let known = [&READ[..], &budgets::note_others(tree, place, notes)].concat();
            notes.rest(tree, &format!("{place}."), &known);
            for (name, slot) in NUMBERS {
                let Some(value) = notes.number(tree, name) else { continue };
                if slot(&mut settings).replace(value).is_some_and(|earlier| earlier != value) {
                    notes.add(line_of(tree, name), format!("{place}.{name} replaces an earlier value"));
                }
            }
            if settings.cooldown == Some(0.0) {
                settings.cooldown = None;
                notes.add(
                    line_of(tree, "cooldown_time"),
                    "cooldown_time: 0 is left out: an upstream that keeps failing is always ejected for a while",
                );
            }
            settings.fallbacks.extend(fallbacks(tree, "fallbacks", notes));
            settings.context_window_fallbacks.extend(fallbacks(tree, "context_window_fallbacks", notes));
            settings.default_fallbacks.extend(texts(tree.get("default_fallbacks"), notes));
            if let Some(strategy) = tree.get("routing_strategy") {
                settings.strategy = strategy_of(strategy, notes);
            }
            for (name, model) in tree.get("model_group_alias").map(Tree::entries).unwrap_or_default() {
                notes.rest(model, &format!("model_group_alias.{name}."), &["model"]);
                match model.text().or_else(|| model.text_of("model")) {
                    Some(text) => {
                        settings.aliases.push(Alias { line: model.line, name: name.clone(), model: text.to_owned() });
                    }
                    None => notes.add(model.line, format!("the alias {name} names no model; it is left out")),
                }
            }
        }
        // what LiteLLM makes of `default_fallbacks`
        let (all, own) = std::mem::take(&mut settings.fallbacks).into_iter().partition(|one| one.model == "*");
        settings.fallbacks = own;
        settings.default_fallbacks.extend(all.into_iter().flat_map(|one: Fallbacks| one.others));
        settings
    }

    /// The fields of the short file that apply to all models.
    pub(super) fn lines(&self) -> String {
        let mut lines = String::new();
        let mut retry = Vec::new();
        if let Some(retries) = self.retries {
            retry.push(format!("max_attempts: {}", (retries.max(0.0) + 1.0).min(100.0)));
        }
        if let Some(timeout) = self.timeout.or(self.stream_timeout) {
            let stream = self.stream_timeout.unwrap_or(timeout);
            retry.push(format!("per_try_timeout: {{stream: {stream}s, json: {}s}}", self.timeout.unwrap_or(stream)));
        }
        if !retry.is_empty() {
            lines.push_str(&format!("\nretry: {{{}}}\n", retry.join(", ")));
        }
        let mut ejection = Vec::new();
        if let Some(fails) = self.allowed_fails {
            ejection.push(format!("consecutive_failures: {}", fails.max(0.0) + 1.0));
        }
        if let Some(time) = self.cooldown.filter(|time| *time > 0.0) {
            ejection.push(format!("time: {time}s, max_time: {}s", time.max(300.0)));
        }
        if !ejection.is_empty() {
            lines.push_str(&format!("\nejection: {{{}}}\n", ejection.join(", ")));
        }
        lines
    }
}

fn strategy_of(tree: &Tree, notes: &mut Notes) -> Option<&'static str> {
    match tree.text().unwrap_or_default() {
        "simple-shuffle" => None,
        "least-busy" => Some("least_used"),
        "latency-based-routing" => Some("dynamic_weighted"),
        "usage-based-routing" | "usage-based-routing-v2" => {
            notes.add(
                tree.line,
                "routing by usage becomes least_used: the fewest running requests, not the fewest tokens so far",
            );
            Some("least_used")
        }
        other => {
            notes.add(
                tree.line,
                format!("routing_strategy {other} has no counterpart; targets are used in turn, by weight"),
            );
            None
        }
    }
}

fn line_of(tree: &Tree, name: &str) -> usize {
    tree.get(name).map_or(tree.line, |value| value.line)
}

/// `[{a: [b, c]}]`
fn fallbacks(tree: &Tree, name: &str, notes: &mut Notes) -> Vec<Fallbacks> {
    let mut all = Vec::new();
    let Some(list) = tree.get(name) else { return all };
    if list.items().iter().any(|item| item.entries().is_empty()) || !matches!(list.data, Data::List(_) | Data::Null) {
        notes.add(
            list.line,
            format!("{name} is read as a list such as [{{a: [b, c]}}]; what looks different is left out"),
        );
    }
    for (model, others) in list.items().iter().flat_map(Tree::entries) {
        all.push(Fallbacks { line: others.line, model: model.clone(), others: texts(Some(others), notes) });
    }
    all
}

fn texts(tree: Option<&Tree>, notes: &mut Notes) -> Vec<String> {
    let Some(tree) = tree else { return Vec::new() };
    if tree.items().iter().any(|item| item.text().is_none()) || !matches!(tree.data, Data::List(_) | Data::Null) {
        notes.add(tree.line, "only a list of models' names is read here; what looks different is left out");
    }
    tree.items().iter().filter_map(Tree::text).map(str::to_owned).collect()
}
