//! Calls of the gateway's own to services behind Envoy's clusters: classifiers, embeddings, vector databases.

use std::fmt;
use std::time::Duration;

use crate::routing::Secret;

/// A service behind an Envoy cluster.
#[derive(Clone, Debug)]
pub struct Service {
    /// Envoy's cluster.
    pub cluster: String,
    /// The path.
    pub path: String,
    /// Its `:authority`.
    pub authority: String,
    /// Its key.
    pub key: Option<Secret>,
    /// The timeout.
    pub timeout: Duration,
}

impl Service {
    /// A request with this JSON to a path of the service.
    pub fn post(&self, path: &str, body: String) -> Callout {
        self.request(path, body, |key| ("authorization", format!("Bearer {key}")))
    }

    /// The same to a service that expects its key as `x-api-key`.
    pub fn post_with_api_key(&self, path: &str, body: String) -> Callout {
        self.request(path, body, |key| ("x-api-key", key.to_owned()))
    }

    fn request(&self, path: &str, body: String, credential: impl Fn(&str) -> (&'static str, String)) -> Callout {
        let mut headers = vec![
            (":method", "POST".to_owned()),
            (":path", path.to_owned()),
            (":authority", self.authority.clone()),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json".to_owned()),
        ];
        if let Some(key) = &self.key {
            headers.push(credential(key.expose()));
        }
        Callout { headers, body: body.into_bytes(), cluster: self.cluster.clone(), timeout: self.timeout }
    }
}

/// A request to a service.
#[derive(Clone, PartialEq, Eq)]
pub struct Callout {
    /// The headers, Envoy's pseudo-headers first.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON.
    pub body: Vec<u8>,
    /// Envoy's cluster.
    pub cluster: String,
    /// The timeout.
    pub timeout: Duration,
}

/// Neither the key in the headers nor the texts are printed.
impl fmt::Debug for Callout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callout({}, {} bytes)", self.cluster, self.body.len())
    }
}
