//! An upstream of a short file: its entry for the router, and its cluster for Envoy.

use std::collections::BTreeMap;

use sluice::config::{ConfigError, Node, Object, UPSTREAM_FIELDS};

use super::providers::{Provider, PROVIDERS};
use super::{Address, Url};
use crate::yaml::{Data, Tree};

/// The fields of an upstream that the router does not know. It also has the router's fields, except `cluster`.
pub(crate) const OWN_FIELDS: &[&str] =
    &["provider", "url", "resource", "region", "project", "trusted_ca", "connect_timeout"];

/// The fields of an upstream.
pub(crate) fn fields() -> Vec<&'static str> {
    let router = UPSTREAM_FIELDS.iter().copied().filter(|field| *field != "cluster");
    OWN_FIELDS.iter().copied().chain(router).collect()
}

/// The meaning of the placeholders in providers' addresses, for error messages.
const PLACEHOLDERS: [(&str, &str); 3] = [
    ("resource", "the name of the Azure OpenAI resource"),
    ("region", "where the models run, such as us-east-1 or us-central1"),
    ("project", "the project's id"),
];

/// An upstream.
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) cluster: Cluster,
    pub(super) provider: Option<&'static str>,
    /// Whether it is on this machine, or has an IP address.
    is_local: bool,
    /// The router's fields, in its order.
    fields: Vec<(String, Tree)>,
}

/// The data for a server's Envoy cluster.
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) connect_timeout: String,
    /// The file with the certificate authorities for the server; `None`: no TLS.
    pub(crate) trusted_ca: Option<String>,
    /// Whether Envoy speaks HTTP/2 to it, as gRPC needs.
    pub(crate) http2: bool,
}

impl Cluster {
    pub(super) fn rename(&mut self, names: &BTreeMap<String, String>) {
        if let Some(name) = names.get(&self.name) {
            self.name.clone_from(name);
        }
    }

    pub(super) fn new(name: &str, url: &Url, trusted_ca: &str) -> Cluster {
        Cluster {
            name: name.to_owned(),
            address: url.address.clone(),
            connect_timeout: if url.is_local() { "2s" } else { "5s" }.to_owned(),
            trusted_ca: url.tls.then(|| trusted_ca.to_owned()),
            http2: false,
        }
    }

    /// A server on this machine, without TLS.
    pub(super) fn local(name: &str, address: Address) -> Cluster {
        Cluster { name: name.to_owned(), address, connect_timeout: "2s".to_owned(), trusted_ca: None, http2: false }
    }

    /// A service that checks call.
    pub(super) fn of_service(name: &str, node: &Node<'_>, trusted_ca: &str) -> Result<Cluster, ConfigError> {
        let fields = node.object(&["url", "trusted_ca", "connect_timeout"])?;
        let at = fields.require("url")?;
        let url = url(&at)?;
        if !url.path.is_empty() {
            return Err(at.error("must have no path; put it into the check's `path`"));
        }
        Cluster::new(name, &url, trusted_ca).with(&fields)
    }

    fn with(mut self, fields: &Object<'_>) -> Result<Cluster, ConfigError> {
        if let Some(node) = fields.get("trusted_ca") {
            let file = node.text()?;
            if self.trusted_ca.is_none() {
                return Err(node.error("is for servers with TLS; the url begins with http://"));
            }
            self.trusted_ca = Some(file.to_owned());
        }
        if let Some(node) = fields.get("connect_timeout") {
            let milliseconds = node.duration()?.as_millis();
            self.connect_timeout = match milliseconds % 1000 {
                0 => format!("{}s", milliseconds / 1000),
                _ => format!("{}.{:03}s", milliseconds / 1000, milliseconds % 1000),
            };
        }
        Ok(self)
    }
}

impl Upstream {
    pub(super) fn read(name: &str, node: &Node<'_>, tree: &Tree, trusted_ca: &str) -> Result<Upstream, ConfigError> {
        let fields = node.object(&fields())?;
        let provider = fields.get("provider").map(|node| provider(&node)).transpose()?;
        let url = match (fields.get("url"), provider) {
            (Some(node), _) => url(&node)?,
            (None, Some(provider)) => Url::parse(&filled(provider, provider.url, &fields)?)
                .ok_or_else(|| node.error("has no address; add `url`"))?,
            (None, None) => return Err(node.error("needs `provider` (such as openai), or `url`: where the server is")),
        };
        let base_path = match (fields.get("url"), provider) {
            (Some(_), _) if !url.path.is_empty() => Some(url.path.clone()).filter(|path| path != "/v1"),
            (_, Some(provider)) if !provider.base_path.is_empty() => {
                Some(filled(provider, provider.base_path, &fields)?)
            }
            _ => None,
        };
        let defaults = Defaults { url: &url, base_path, provider };
        let mut router = vec![("cluster".to_owned(), text(name))];
        for field in UPSTREAM_FIELDS.iter().filter(|field| **field != "cluster") {
            let written = tree.get(field).filter(|value| !matches!(value.data, Data::Null)).cloned();
            if let Some(value) = written.or_else(|| defaults.of(field)) {
                router.push(((*field).to_owned(), value));
            }
        }
        let cluster = Cluster::new(name, &url, trusted_ca).with(&fields)?;
        let provider = provider.map(|provider| provider.name);
        Ok(Upstream { name: name.to_owned(), cluster, provider, is_local: url.is_local(), fields: router })
    }

    /// Adds a field of the router, unless the file has it.
    pub(super) fn add(&mut self, field: &str, value: Tree) {
        if !self.fields.iter().any(|(name, _)| name == field) {
            self.fields.push((field.to_owned(), value));
        }
    }

    /// Gives its cluster another name; the upstream's own stays.
    pub(super) fn rename_cluster(&mut self, names: &BTreeMap<String, String>) {
        self.cluster.rename(names);
        for (_, value) in self.fields.iter_mut().filter(|(field, _)| field == "cluster") {
            *value = text(&self.cluster.name);
        }
    }

    /// Its entry in `router.upstreams`.
    pub(crate) fn router(&self) -> Tree {
        Tree { line: 0, data: Data::Map(self.fields.clone()) }
    }

    /// Whether its key crosses a network without TLS.
    pub(crate) fn sends_key_in_plain(&self) -> bool {
        let has_key = self.fields.iter().any(|(name, _)| name == "credential");
        has_key && self.cluster.trusted_ca.is_none() && !self.is_local
    }
}

/// The default values.
struct Defaults<'a> {
    url: &'a Url,
    base_path: Option<String>,
    provider: Option<&'a Provider>,
}

impl Defaults<'_> {
    fn of(&self, field: &str) -> Option<Tree> {
        let provider = self.provider;
        match field {
            "dialects" => provider.filter(|provider| provider.dialects != ["openai"]).map(|provider| Tree {
                line: 0,
                data: Data::List(provider.dialects.iter().map(|dialect| text(dialect)).collect()),
            }),
            "host" => self.url.host_header().map(|host| text(&host)),
            "base_path" => self.base_path.as_deref().map(text),
            "credential" => provider.filter(|provider| !provider.variable.is_empty()).map(|provider| {
                let header = (!provider.header.is_empty()).then_some(("header", provider.header));
                object([("env", provider.variable)].into_iter().chain(header))
            }),
            "headers" => provider
                .filter(|provider| !provider.headers.is_empty())
                .map(|provider| object(provider.headers.iter().copied())),
            "include_usage" => {
                provider.filter(|provider| !provider.include_usage).map(|_| Tree { line: 0, data: Data::Bool(false) })
            }
            _ => None,
        }
    }
}

/// Reads a URL.
pub(super) fn url(node: &Node<'_>) -> Result<Url, ConfigError> {
    let text = node.text()?;
    Url::parse(text).ok_or_else(|| {
        node.error(format!(
            "{text:?} is not a URL; write it like http://127.0.0.1:8000 or https://models.example.com/v1"
        ))
    })
}

fn provider(node: &Node<'_>) -> Result<&'static Provider, ConfigError> {
    let choices: Vec<(&str, &Provider)> = PROVIDERS.iter().map(|provider| (provider.name, provider)).collect();
    node.choice(&choices)
}

/// `template` with its placeholders replaced by the upstream's fields.
fn filled(provider: &Provider, template: &str, fields: &Object<'_>) -> Result<String, ConfigError> {
    let mut filled = template.to_owned();
    for (name, meaning) in PLACEHOLDERS {
        let placeholder = format!("{{{name}}}");
        if !filled.contains(&placeholder) {
            continue;
        }
        let node = fields
            .get(name)
            .ok_or_else(|| fields.error(format!("{} needs `{name}`: {meaning}; or write `url`", provider.name)))?;
        let value = node.text()?;
        if !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(node.error("must be letters, digits and hyphens"));
        }
        // Vertex AI's region `global` has no prefix in the host name
        if provider.name == "vertex" && value == "global" {
            filled = filled.replace("{region}-aiplatform", "aiplatform");
        }
        filled = filled.replace(&placeholder, value);
    }
    Ok(filled)
}

fn text(text: &str) -> Tree {
    Tree { line: 0, data: Data::Text(text.to_owned()) }
}

fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Tree {
    Tree { line: 0, data: Data::Map(fields.map(|(name, value)| (name.to_owned(), text(value))).collect()) }
}
