//! The price list: which of its prices an upstream needs.

use std::collections::BTreeSet;

use super::Upstream;
use crate::price_list::List;
use crate::yaml::{Data, Tree};

/// Gives each upstream of a known provider the prices of the models that it serves, unless target or model have one. An
/// upstream's own `prices` replace the list.
pub(super) fn add(upstreams: &mut [Upstream], file: &Tree, list: &List) {
    for upstream in upstreams {
        let Some(prices) = upstream.provider.and_then(|provider| list.of(provider)) else {
            continue;
        };
        let asked = names(file, &upstream.name);
        let is_asked = |name: &str| asked.iter().any(|asked| matches(asked, name));
        let needed: Vec<(String, Tree)> = prices.entries().iter().filter(|(name, _)| is_asked(name)).cloned().collect();
        if !needed.is_empty() {
            upstream.add("prices", Tree { line: 0, data: Data::Map(needed) });
        }
    }
}

/// The names that an upstream gets, of models without a price; they may end in `*`.
fn names<'a>(file: &'a Tree, upstream: &str) -> BTreeSet<&'a str> {
    let models = file.get("models").map(Tree::items).unwrap_or_default();
    let unpriced = models.iter().filter(|model| model.get("price").is_none());
    unpriced.flat_map(|model| names_at(model, upstream)).collect()
}

fn names_at<'a>(model: &'a Tree, upstream: &str) -> Vec<&'a str> {
    let targets = model.get("targets").map(Tree::items).unwrap_or_default();
    let here = targets.iter().filter(|target| target.text().or_else(|| target.text_of("upstream")) == Some(upstream));
    let aliases = model.get("aliases").map(Tree::items).unwrap_or_default();
    let own: Vec<&str> = model.text_of("name").into_iter().chain(aliases.iter().filter_map(Tree::text)).collect();
    here.filter(|target| target.get("price").is_none())
        .flat_map(|target| target.text_of("model").map_or_else(|| own.clone(), |name| vec![name]))
        .collect()
}

fn matches(asked: &str, name: &str) -> bool {
    asked.strip_suffix('*').map_or(asked == name, |prefix| name.starts_with(prefix))
}
