//! The short file: the operator's decisions, and nothing that follows from them. Its fields are those of the filters'
//! configuration, `auth` and `router` side by side, and the addresses.

mod access_log;
mod address;
mod listed;
pub(crate) mod providers;
mod upstream;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sluice::config::{ConfigError, Node, AUTH_FIELDS, ROUTER_FIELDS, SELF_CLUSTER};

pub(crate) use access_log::FIELDS as ACCESS_LOG_FIELDS;
pub(crate) use address::{Address, Url};
pub(crate) use upstream::{fields as upstream_fields, Cluster, Upstream};

use crate::price_list::List;
use crate::yaml::{Data, Tree};

/// The fields that do not belong to a filter.
pub(crate) const OWN_FIELDS: &[&str] = &[
    "listen",
    "admin",
    "services",
    "checks",
    "guard",
    "usage",
    "access_log",
    "tracing",
    "trusted_ca",
    "allow_origins",
    "max_request_body",
    "wasm",
];

/// A mistake in a file.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) line: usize,
    /// The path in the file's own terms, such as `models[0].name`.
    pub(crate) path: String,
    pub(crate) problem: String,
}

/// A short file that has been read.
pub(crate) struct Short {
    pub(crate) tree: Tree,
    pub(crate) listen: Address,
    pub(crate) admin: Address,
    /// The file with the filters.
    pub(crate) wasm: Option<String>,
    /// The origins of the web pages that may call; by default those of this machine.
    pub(crate) allow_origins: Option<Vec<String>>,
    /// In bytes.
    pub(crate) max_request_body: Option<usize>,
    /// In bytes.
    pub(crate) max_upload: Option<usize>,
    pub(crate) upstreams: Vec<Upstream>,
    /// The services that only checks call.
    pub(crate) services: Vec<Cluster>,
    /// The gateway itself, if requests with several texts need it.
    pub(crate) itself: Option<Cluster>,
    pub(crate) tracing: Option<Tracing>,
}

/// Where spans go.
pub(crate) struct Tracing {
    pub(crate) url: Url,
    pub(crate) cluster: Cluster,
    /// The environment variable with the value of the `authorization` header.
    pub(crate) variable: Option<String>,
}

/// Whether a tree looks like a short file, and not like an Envoy configuration.
pub(crate) fn is_short(tree: &Tree) -> bool {
    let of_envoy = ["static_resources", "dynamic_resources", "resources", "node", "overload_manager", "stats_config"];
    !of_envoy.iter().any(|field| tree.get(field).is_some())
}

impl Short {
    /// Reads the file's own fields; `sections` has the rest, which the core reads.
    ///
    /// # Errors
    /// All mistakes.
    pub(crate) fn read(tree: Tree) -> Result<Short, Vec<Mistake>> {
        let mut reader = Reader { tree: &tree, mistakes: Vec::new() };
        reader.fields();
        let trusted_ca = reader.text("trusted_ca").unwrap_or_else(|| "/etc/ssl/certs/ca-certificates.crt".to_owned());
        let listen = reader.address("listen", "127.0.0.1", 10000);
        let admin = reader.address("admin", "127.0.0.1", 9901);
        let wasm = reader.text("wasm");
        let allow_origins = reader.origins("allow_origins");
        let max_request_body = reader.size("max_request_body");
        let max_upload = reader.size("max_upload");
        let mut upstreams = reader.named("upstreams", |name, node, tree| Upstream::read(name, node, tree, &trusted_ca));
        let mut services = reader.named("services", |name, node, _| Cluster::of_service(name, node, &trusted_ca));
        reader.access_log();
        access_log::use_http2(&mut services, &tree);
        let tracing = reader.tracing(&trusted_ca);
        reader.names(&upstreams, &services);
        match List::read() {
            Ok(list) => listed::add(&mut upstreams, &tree, &list),
            Err(problem) => reader.add("", problem),
        }
        match reader.mistakes.is_empty() {
            false => Err(reader.mistakes),
            true => Ok(Short {
                admin,
                wasm,
                allow_origins,
                max_request_body,
                max_upload,
                upstreams,
                itself: itself(&tree, &listen, &services),
                listen,
                services,
                tracing,
                tree,
            }),
        }
    }

    /// The configuration of each filter by its name, as in Envoy's file and in its order.
    pub(crate) fn sections(&self) -> Vec<(&'static str, Value)> {
        let mut router = picked(&self.tree, ROUTER_FIELDS);
        if router.contains_key("upstreams") {
            let upstreams = self.upstreams.iter().map(|upstream| (upstream.name.clone(), upstream.router().json()));
            router.insert("upstreams".to_owned(), Value::Object(upstreams.collect()));
        }
        let usage = match self.tree.get("usage") {
            Some(usage) => usage.json(),
            None if self.tracing.is_some() => serde_json::json!({"access_log": true, "tracing": true}),
            None => serde_json::json!({"access_log": true}),
        };
        let auth = Value::Object(picked(&self.tree, AUTH_FIELDS));
        let mut sections = vec![("auth", auth), ("router", Value::Object(router)), ("usage", usage)];
        if self.is_guarded() {
            let mut guard = self.tree.get("guard").map_or(Value::Null, Tree::json);
            if let Some(checks) = self.tree.get("checks") {
                if guard.is_null() {
                    guard = Value::Object(Map::new());
                }
                if let Some(guard) = guard.as_object_mut() {
                    guard.insert("checks".to_owned(), checks.json());
                }
            }
            sections.insert(1, ("guard", guard));
        }
        sections
    }

    /// Whether there are checks.
    pub(crate) fn is_guarded(&self) -> bool {
        self.tree.get("guard").is_some() || self.tree.get("checks").is_some()
    }

    /// The core's mistakes, in this file's terms.
    pub(crate) fn mistake(&self, error: &ConfigError) -> Mistake {
        let path = self.own_path(error.path());
        Mistake { line: self.tree.line_of(&path), path, problem: error.problem().to_owned() }
    }

    /// `router.models[0]` is `models[0]` here. `guard.checks[0]` is `checks[0]` if the checks are there.
    pub(crate) fn own_path(&self, path: &str) -> String {
        let own = ["auth", "router"].iter().find_map(|filter| path.strip_prefix(&format!("{filter}.")));
        let checks =
            path.strip_prefix("guard.").filter(|rest| rest.starts_with("checks") && self.tree.get("checks").is_some());
        own.or(checks).unwrap_or(path).to_owned()
    }

    /// Every cluster that Envoy needs, the upstreams' first.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.others().chain(&self.itself)
    }

    /// Every cluster, but for the gateway itself.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Cluster> {
        let own = self.upstreams.iter().map(|upstream| &upstream.cluster).chain(&self.services);
        own.chain(self.tracing.iter().map(|tracing| &tracing.cluster))
    }

    /// Gives clusters other names, here and where they are used.
    pub(crate) fn rename_clusters(&mut self, names: &BTreeMap<String, String>) {
        for upstream in &mut self.upstreams {
            upstream.rename_cluster(names);
        }
        let others = self.services.iter_mut().chain(self.tracing.iter_mut().map(|tracing| &mut tracing.cluster));
        others.for_each(|cluster| cluster.rename(names));
        for field in ["checks", "guard", "shared", "ledger", "access_log"] {
            if let Some(tree) = self.tree.get_mut(field) {
                tree.rename("cluster", names);
            }
        }
    }

    /// The environment variables that the filters read, in the order of the file.
    pub(crate) fn variables(&self) -> Vec<String> {
        let mut names = Vec::new();
        for field in ["keys", "users", "virtual_keys", "ledger", "oidc", "guard", "checks"] {
            if let Some(tree) = self.tree.get(field) {
                variables(tree, &mut names);
            }
        }
        self.upstreams.iter().for_each(|upstream| variables(&upstream.router(), &mut names));
        names
    }
}

/// The names in `{env: NAME}`, without duplicates.
pub(crate) fn variables(tree: &Tree, names: &mut Vec<String>) {
    tree.walk(&mut |tree| {
        if let Some(name) = tree.text_of("env").filter(|name| !names.iter().any(|known| known == name)) {
            names.push(name.to_owned());
        }
    });
}

fn picked(tree: &Tree, fields: &[&str]) -> Map<String, Value> {
    let own = tree.entries().iter().filter(|(name, _)| fields.contains(&name.as_str()));
    own.map(|(name, value)| (name.clone(), value.json())).collect()
}

/// The cluster of the gateway itself, if there are text endpoints and no service has its name.
fn itself(tree: &Tree, listen: &Address, services: &[Cluster]) -> Option<Cluster> {
    let name = tree.get("builtin")?.text_of("cluster").unwrap_or(SELF_CLUSTER);
    let host = match listen.host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let address = Address { host: host.to_owned(), port: listen.port };
    let is_there = services.iter().any(|service| service.name == name);
    (!is_there).then(|| Cluster::local(name, address))
}

/// Reads the file's own fields, and collects all mistakes.
struct Reader<'a> {
    tree: &'a Tree,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        let path = path.into();
        self.mistakes.push(Mistake { line: self.tree.line_of(&path), path, problem: problem.into() });
    }

    /// Adds a mistake whose path starts with a field of this file.
    fn take(&mut self, error: &ConfigError) {
        self.add(error.path(), error.problem());
    }

    fn fields(&mut self) {
        if !matches!(self.tree.data, Data::Map(_)) {
            return self.add("", "must be an object with fields such as keys, upstreams and models");
        }
        let known = [AUTH_FIELDS, ROUTER_FIELDS, OWN_FIELDS].concat();
        for (name, value) in self.tree.entries() {
            if !known.contains(&name.as_str()) {
                // the core can suggest the intended name
                let json = Value::Object(Map::from_iter([(name.clone(), Value::Null)]));
                let fix = Node::root("", &json).object(&known).err().map(|error| error.problem().to_owned());
                self.mistakes.push(Mistake { line: value.line, path: name.clone(), problem: fix.unwrap_or_default() });
            }
        }
        if self.tree.at(&["guard", "checks"]).is_some() && self.tree.get("checks").is_some() {
            self.add("checks", "is also in `guard`; keep one of them");
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let json = self.tree.get(name)?.json();
        let node = Node::root(name, &json);
        match node.text() {
            Ok(text) => Some(text.to_owned()),
            Err(error) => {
                self.take(&error);
                None
            }
        }
    }

    fn origins(&mut self, name: &str) -> Option<Vec<String>> {
        let json = self.tree.get(name)?.json();
        let origin = |node: &Node<'_>| {
            let text = node.text()?;
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            match host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' '])) || text == "*" {
                true => Ok(text.to_owned()),
                false => Err(node
                    .error("must be a page's origin, such as \"https://chat.example.com\"; or \"*\" for every page")),
            }
        };
        let read = || Node::root(name, &json).list()?.iter().map(origin).collect::<Result<Vec<_>, ConfigError>>();
        read().map_err(|error| self.take(&error)).ok()
    }

    fn size(&mut self, name: &str) -> Option<usize> {
        let json = self.tree.get(name)?.json();
        let size = Node::root(name, &json).size(1024..=1 << 30, "must be a size from 1KiB to 1GiB, such as 8MiB");
        size.map_err(|error| self.take(&error)).ok()
    }

    fn address(&mut self, name: &str, host: &str, port: u16) -> Address {
        let default = Address { host: host.to_owned(), port };
        let Some(text) = self.text(name) else {
            return default;
        };
        Address::parse(&text).unwrap_or_else(|| {
            self.add(name, format!("{text:?} is not an address; write it like 127.0.0.1:{port} or \"[::1]:{port}\""));
            default
        })
    }

    /// An object whose names the operator chooses.
    fn named<T>(&mut self, field: &str, read: impl Fn(&str, &Node<'_>, &Tree) -> Result<T, ConfigError>) -> Vec<T> {
        let mut all = Vec::new();
        let Some(tree) = self.tree.get(field) else {
            return all;
        };
        let json = tree.json();
        let entries = match Node::root(field, &json).entries() {
            Ok(entries) => entries,
            Err(error) => {
                self.take(&error);
                return all;
            }
        };
        // in the file's order, which the core does not keep
        for (name, value) in tree.entries() {
            match entries.iter().find(|(other, _)| other == name).map(|(_, node)| read(name, node, value)) {
                Some(Ok(value)) => all.push(value),
                Some(Err(error)) => self.take(&error),
                None => {}
            }
        }
        all
    }

    fn tracing(&mut self, trusted_ca: &str) -> Option<Tracing> {
        let json = self.tree.get("tracing")?.json();
        let read = || -> Result<Tracing, ConfigError> {
            let fields = Node::root("tracing", &json).object(&["url", "authorization"])?;
            let url = upstream::url(&fields.require("url")?)?;
            let env = fields.get("authorization").map(|node| node.object(&["env"])?.require("env")).transpose()?;
            let variable = env.map(|node| node.text().map(str::to_owned)).transpose()?;
            Ok(Tracing { cluster: Cluster::new("traces", &url, trusted_ca), url, variable })
        };
        read().map_err(|error| self.take(&error)).ok()
    }

    /// Each cluster needs a unique name.
    fn names(&mut self, upstreams: &[Upstream], services: &[Cluster]) {
        for service in services {
            if upstreams.iter().any(|upstream| upstream.name == service.name) {
                self.add(
                    format!("services.{}", service.name),
                    "is the name of an upstream, too; Envoy needs unique names, so give it another one",
                );
            }
        }
        let taken = self.tree.get("tracing").is_some()
            && (upstreams.iter().any(|upstream| upstream.name == "traces")
                || services.iter().any(|one| one.name == "traces"));
        if taken {
            self.add(
                "tracing",
                "needs a cluster with the name `traces`; rename the upstream or service with that name",
            );
        }
    }
}
