//! Imports budgets in money. LiteLLM's file has those of the proxy, of deployments and of tags; those of keys, teams and
//! users are in its database.

use super::notes::Notes;
use crate::yaml::{quoted, Tree};

/// Where budgets of tags are.
pub(super) const TAGS: &str = "tag_budget_config";
/// The smallest limit in dollars.
const LEAST: f64 = 1e-6;
const PER_DAY: &str = "cost_per_day";
const PER_MONTH: &str = "cost_per_month";

/// The defaults that LiteLLM gives to new keys, teams and users.
const DEFAULTS: [&str; 8] = [
    "default_key_generate_params",
    "upperbound_key_generate_params",
    "default_team_settings",
    "default_team_params",
    "default_internal_user_params",
    "max_internal_user_budget",
    "internal_user_budget_duration",
    "max_end_user_budget",
];

/// A budget with a counterpart: the limit's name, and dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Budget {
    pub(super) limit: &'static str,
    pub(super) dollars: f64,
}

impl Budget {
    /// The budget in two fields of `tree`, whose name is for notes.
    pub(super) fn read(tree: &Tree, of: &str, notes: &mut Notes) -> Option<Budget> {
        let Some(dollars) = notes.number(tree, "max_budget") else {
            if let Some(duration) = tree.get("budget_duration") {
                notes.add(duration.line, format!("{of}: budget_duration without max_budget is left out"));
            }
            return None;
        };
        let line = tree.get("max_budget").map_or(tree.line, |value| value.line);
        if dollars < LEAST {
            let problem =
                format!("{of}: max_budget: {dollars} is left out; a limit is at least a millionth of a dollar");
            notes.add(line, problem);
            return None;
        }
        let Some(duration) = tree.get("budget_duration").and_then(Tree::text) else {
            let problem = "a budget that starts anew at no time has no counterpart; if you want one for a month";
            notes.add(line, format!("{of}: {problem}: limits: {{{PER_MONTH}: {dollars}}}"));
            return None;
        };
        let Some(limit) = limit(duration) else {
            let problem = "is left out: a budget is for a day or a month here";
            notes.add(line, format!("{of}: the budget of ${dollars} for {duration} {problem}"));
            return None;
        };
        if limit == PER_MONTH && duration != "1mo" {
            notes.add(line, format!("{of}: the budget's {duration} become the calendar's month, in UTC"));
        }
        Some(Budget { limit, dollars })
    }

    /// As a field of `limits`.
    pub(super) fn field(&self) -> String {
        format!("{}: {}", self.limit, self.dollars)
    }
}

/// The limit for a time such as `1d`, `30d` or `1mo`.
fn limit(duration: &str) -> Option<&'static str> {
    match duration {
        "1d" | "24h" | "1440m" | "86400s" => Some(PER_DAY),
        "1mo" | "30d" | "31d" | "720h" => Some(PER_MONTH),
        _ => None,
    }
}

/// The budgets of the whole gateway and of labels, as lines of the short file.
pub(super) fn lines(tree: &Tree, notes: &mut Notes) -> String {
    let mut lines = String::new();
    let Some(settings) = tree.get("litellm_settings") else {
        return lines;
    };
    if let Some(budget) = Budget::read(settings, "litellm_settings", notes) {
        lines.push_str(&format!("\nlimits: {{{}}}\n", budget.field()));
    }
    let tags = settings.get(TAGS).map(Tree::entries).unwrap_or_default();
    let mut entries = String::new();
    for (tag, entry) in tags {
        notes.rest(entry, &format!("{TAGS}.{tag}."), &["max_budget", "budget_duration"]);
        if let Some(budget) = Budget::read(entry, &format!("{TAGS}.{tag}"), notes) {
            let field = budget.field();
            entries.push_str(&format!("  - {{label: tag, value: {}, limits: {{{field}}}}}\n", quoted(tag)));
        }
    }
    if let Some((first, entry)) = tags.first().filter(|_| !entries.is_empty()) {
        lines.push_str(&format!("\nlabel_limits:\n{entries}"));
        let name = quoted(first);
        notes.add(
            entry.line,
            format!("{TAGS}: tags become labels of keys; give the keys theirs: labels: {{tag: {name}}}"),
        );
    }
    lines
}

/// Notes the budgets in the router's and LiteLLM's settings that have no counterpart. Returns their fields.
pub(super) fn note_others(settings: &Tree, place: &str, notes: &mut Notes) -> Vec<&'static str> {
    let mut noted = Vec::new();
    for name in DEFAULTS {
        if let Some(value) = settings.get(name) {
            let instead = "give each key its `limits`, here or in POST /gateway/keys, and each team those of its label (label_limits)";
            notes.add(
                value.line,
                format!("{place}.{name}: budgets of new keys, teams and users are left out; {instead}"),
            );
            noted.push(name);
        }
    }
    const PROVIDERS: &str = "provider_budget_config";
    if let Some(providers) = settings.get(PROVIDERS) {
        noted.push(PROVIDERS);
        for (name, budget) in providers.entries() {
            let text = |field: &str| budget.get(field).and_then(Tree::text).unwrap_or("?").to_owned();
            let dollars = notes.number(budget, "budget_limit").map_or("?".to_owned(), |dollars| dollars.to_string());
            let problem = format!("the budget of ${dollars} for {} is left out; LiteLLM then uses other providers, while limits here refuse", text("time_period"));
            notes
                .add(budget.line, format!("{PROVIDERS}.{name}: {problem}; models can have `limits: {{{PER_DAY}: …}}`"));
        }
    }
    noted
}
