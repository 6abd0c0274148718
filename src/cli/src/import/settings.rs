//! Imports LiteLLM's `router_settings` and `litellm_settings`: load balancing, retries, fallbacks, cooldown.

use super::deployment::number;
use super::notes::Notes;
use crate::yaml::Tree;

/// The settings that LiteLLM reads from either place.
const READ: [&str; 13] = [
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
    "set_verbose",
    "num_workers",
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
    /// Models, and their fallbacks.
    pub(super) fallbacks: Vec<(String, Vec<String>)>,
    pub(super) default_fallbacks: Vec<String>,
    pub(super) context_window_fallbacks: Vec<(String, Vec<String>)>,
    /// Aliases, and their models.
    pub(super) aliases: Vec<(String, String)>,
}

impl Settings {
    pub(super) fn read(tree: &Tree, notes: &mut Notes) -> Settings {
        let mut settings = Settings::default();
        for place in ["litellm_settings", "router_settings"] {
            let Some(tree) = tree.get(place) else { continue };
            notes.rest(tree, &format!("{place}."), &READ);
            let value = |name: &str| tree.get(name).and_then(number);
            settings.retries = value("num_retries").or(settings.retries);
            settings.timeout = value("timeout").or(value("request_timeout")).or(settings.timeout);
            settings.stream_timeout = value("stream_timeout").or(settings.stream_timeout);
            settings.allowed_fails = value("allowed_fails").or(settings.allowed_fails);
            settings.cooldown = value("cooldown_time").or(settings.cooldown);
            settings.fallbacks.extend(pairs(tree.get("fallbacks")));
            settings.context_window_fallbacks.extend(pairs(tree.get("context_window_fallbacks")));
            settings.default_fallbacks.extend(texts(tree.get("default_fallbacks")));
            if let Some(strategy) = tree.get("routing_strategy") {
                settings.strategy = strategy_of(strategy, notes);
            }
            for (name, model) in tree.get("model_group_alias").map(Tree::entries).unwrap_or_default() {
                match model.text().or_else(|| model.text_of("model")) {
                    Some(model) => settings.aliases.push((name.clone(), model.to_owned())),
                    None => notes.add(model.line, format!("the alias {name} names no model; it is left out")),
                }
            }
        }
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

/// `[{a: [b, c]}]`
fn pairs(tree: Option<&Tree>) -> Vec<(String, Vec<String>)> {
    let entries = tree.map(Tree::items).unwrap_or_default().iter().flat_map(Tree::entries);
    entries.map(|(name, list)| (name.clone(), texts(Some(list)))).collect()
}

fn texts(tree: Option<&Tree>) -> Vec<String> {
    tree.map(Tree::items).unwrap_or_default().iter().filter_map(Tree::text).map(str::to_owned).collect()
}
