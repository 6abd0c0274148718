//! The clusters' names in a running Envoy. Envoy reads clusters and filters one after the other, and requests keep the
//! configuration with which they began. So a name never leads to two addresses: else one server would get the other's key.

use std::collections::BTreeMap;

use crate::short::{Address, Short};
use crate::yaml::Tree;

/// Every name that had a cluster here, with its only address.
pub(super) struct Names(BTreeMap<String, Address>);

impl Names {
    /// The names in a file of clusters.
    pub(super) fn of(clusters: &str) -> Names {
        let tree = Tree::parse(clusters).ok();
        let resources = tree.as_ref().and_then(|tree| tree.get("resources")).map(Tree::items).unwrap_or_default();
        Names(resources.iter().filter_map(named).collect())
    }

    /// Gives each cluster of a short file its name in Envoy: the file's own, or one with a number if that name led elsewhere.
    /// Returns the names that are new and differ from the file's, behind the file's.
    pub(super) fn give(&mut self, short: &mut Short) -> Vec<(String, String)> {
        let clusters = short.others().map(|cluster| (cluster.name.clone(), cluster.address.clone()));
        let clusters: Vec<(String, Address)> = clusters.collect();
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        let mut new = Vec::new();
        for (own, address) in &clusters {
            let is_free = |name: &str| {
                let of_another = clusters.iter().any(|(other, _)| other == name && other != own);
                !of_another && !given.values().any(|other| other == name)
            };
            let name = self.name(own, address, &is_free);
            if self.0.insert(name.clone(), address.clone()).is_none() && name != *own {
                new.push((own.clone(), name.clone()));
            }
            given.insert(own.clone(), name);
        }
        short.rename_clusters(&given);
        new
    }

    fn name(&self, own: &str, address: &Address, is_free: &dyn Fn(&str) -> bool) -> String {
        let earlier = self.0.iter().filter_map(|(name, address)| Some((number(name, own)?, name, address)));
        if let Some((_, name, _)) = earlier.clone().find(|(_, name, bound)| *bound == address && is_free(name)) {
            return name.clone();
        }
        let Some(last) = earlier.map(|(number, ..)| number).max() else {
            return own.to_owned();
        };
        let further = (last + 1..).map(|number| format!("{own}-{number}"));
        let mut unused = further.filter(|name| is_free(name) && !self.0.contains_key(name));
        unused.next().unwrap_or_else(|| own.to_owned())
    }
}

/// `openai` is the first name of `openai`, `openai-2` its second.
fn number(name: &str, own: &str) -> Option<u64> {
    match name.strip_prefix(own)? {
        "" => Some(1),
        rest => rest.strip_prefix('-')?.parse().ok().filter(|number| (2..1 << 32).contains(number)),
    }
}

/// A cluster's name and the address of its server.
fn named(cluster: &Tree) -> Option<(String, Address)> {
    let endpoints = cluster.at(&["load_assignment", "endpoints"])?.items().first()?;
    let endpoint = endpoints.get("lb_endpoints")?.items().first()?;
    let address = endpoint.at(&["endpoint", "address", "socket_address"])?;
    let port = address.get("port_value")?.number()? as u16;
    Some((cluster.text_of("name")?.to_owned(), Address { host: address.text_of("address")?.to_owned(), port }))
}
