//! The routing table: upstreams, models and their targets, fixed once configured.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use hashbrown::HashMap;

use super::weighted::SmoothWeighted;
use crate::endpoint::{percent_encode, without_query, Dialect, Endpoint};

/// The most targets one model may have: [`Tried`] is one bit each.
pub const MAX_TARGETS: usize = 64;

/// A value that must never be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the value in.
    pub fn new(value: String) -> Self {
        Secret(value)
    }

    /// The value, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A provider's key, and the header it goes into.
#[derive(Clone, Debug)]
pub struct Credential {
    header: Option<&'static str>,
    secret: Secret,
    bearer: Secret,
}

impl Credential {
    /// The key `secret` for `header`, or for the dialect's own.
    pub fn new(header: Option<&'static str>, secret: &str) -> Self {
        Credential { header, secret: Secret::new(secret.to_owned()), bearer: Secret::new(format!("Bearer {secret}")) }
    }
}

/// One provider or model server, as Envoy's cluster of that name reaches it.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The name targets refer to.
    pub name: String,
    /// Envoy's cluster.
    pub cluster: String,
    /// The dialects it speaks.
    pub dialects: Vec<Dialect>,
    /// The `:authority` it expects; the client's own if absent.
    pub host: Option<String>,
    /// What stands in place of the dialect's base path; `{model}` in it gives way to the target's model.
    pub base_path: Option<String>,
    /// Query parameters to add.
    pub query: Option<String>,
    /// Its key.
    pub credential: Option<Credential>,
    /// Further headers to set.
    pub headers: Vec<(String, String)>,
    /// Whether it may be asked for usage in streams (`stream_options.include_usage`).
    pub include_usage: bool,
}

impl Upstream {
    /// The `:path` this upstream expects for a request that came in with `path`.
    ///
    /// The rest of the path and the client's query stay as they are; a Gemini path gets `model` in place of
    /// the client's.
    pub fn path<'a>(&self, endpoint: Endpoint, path: &'a str, model: &str) -> Cow<'a, str> {
        let names_model = matches!(endpoint, Endpoint::GenerateContent | Endpoint::StreamGenerateContent);
        if self.base_path.is_none() && self.query.is_none() && !names_model {
            return Cow::Borrowed(path);
        }
        let dialect = endpoint.dialect();
        let bare = without_query(path);
        let query = path.get(bare.len() + 1..).unwrap_or_default();
        let rest = bare.strip_prefix(dialect.base_path()).unwrap_or(bare);
        let mut out = match &self.base_path {
            Some(base) => base.replace("{model}", &percent_encode(model)),
            None => dialect.base_path().to_owned(),
        };
        if names_model {
            let verb = rest.rsplit_once(':').map_or("", |(_, verb)| verb);
            out.push_str("/models/");
            out.push_str(&percent_encode(model));
            out.push(':');
            out.push_str(verb);
        } else {
            out.push_str(rest);
        }
        let mut separator = '?';
        for part in [query, self.query.as_deref().unwrap_or_default()] {
            if !part.is_empty() {
                out.push(separator);
                out.push_str(part);
                separator = '&';
            }
        }
        Cow::Owned(out)
    }

    /// The header and value that carry this upstream's key in a dialect.
    pub fn credential(&self, dialect: Dialect) -> Option<(&'static str, &str)> {
        let credential = self.credential.as_ref()?;
        let header = credential.header.unwrap_or(dialect.credential_header());
        let value = if header == "authorization" { &credential.bearer } else { &credential.secret };
        Some((header, value.expose()))
    }
}

/// One place a model can be served.
#[derive(Clone, Debug)]
pub struct Target {
    /// Index of the upstream in the table.
    pub upstream: usize,
    /// The model's name there; the one the client asked for if absent.
    pub model: Option<String>,
    /// Its share, relative to the model's other targets.
    pub weight: u32,
}

/// The targets an exchange has used up, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried(u64);

impl Tried {
    /// Marks a target.
    pub fn insert(&mut self, target: usize) {
        self.0 |= 1 << (target % MAX_TARGETS);
    }

    /// Whether a target is marked.
    pub fn contains(self, target: usize) -> bool {
        self.0 >> (target % MAX_TARGETS) & 1 == 1
    }
}

/// A model clients can name, and its targets.
#[derive(Debug)]
pub struct Model {
    /// The name; ends in `*` if it stands for every name with that prefix.
    pub name: String,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// Where it is served.
    pub targets: Vec<Target>,
    /// How long one attempt may take until its answer begins; the route's setting if absent.
    pub per_try_timeout: Option<Duration>,
    pools: [Pool; 4],
}

/// The targets of a model that speak one dialect.
#[derive(Debug)]
struct Pool {
    targets: Vec<usize>,
    turns: SmoothWeighted,
}

impl Model {
    /// A model over `targets`, which refer to `upstreams` by index.
    pub fn new(
        name: String,
        aliases: Vec<String>,
        targets: Vec<Target>,
        per_try_timeout: Option<Duration>,
        upstreams: &[Upstream],
    ) -> Self {
        let pools = Dialect::ALL.map(|dialect| {
            let speaks = |target: &&(usize, &Target)| {
                upstreams.get(target.1.upstream).is_some_and(|upstream| upstream.dialects.contains(&dialect))
            };
            let members: Vec<(usize, &Target)> = targets.iter().enumerate().filter(|target| speaks(&target)).collect();
            let weights: Vec<u32> = members.iter().map(|(_, target)| target.weight).collect();
            Pool { targets: members.iter().map(|(index, _)| *index).collect(), turns: SmoothWeighted::new(&weights) }
        });
        Model { name, aliases, targets, per_try_timeout, pools }
    }

    /// The target for a request's first attempt, or `None` if the model does not speak the dialect.
    pub fn first(&self, dialect: Dialect) -> Option<usize> {
        let pool = self.pool(dialect)?;
        pool.targets.get(pool.turns.next()?).copied()
    }

    /// The target for another attempt, or `None` if all have been tried.
    pub fn another(&self, dialect: Dialect, tried: Tried) -> Option<usize> {
        let pool = self.pool(dialect)?;
        let untried = |member: usize| pool.targets.get(member).is_some_and(|target| !tried.contains(*target));
        pool.targets.get(pool.turns.peek(untried)?).copied()
    }

    /// How many targets speak the dialect.
    pub fn pool_size(&self, dialect: Dialect) -> usize {
        self.pool(dialect).map_or(0, |pool| pool.targets.len())
    }

    /// The dialects the model can be called in.
    pub fn dialects(&self) -> impl Iterator<Item = Dialect> + '_ {
        Dialect::ALL.into_iter().filter(|dialect| self.pool_size(*dialect) > 0)
    }

    fn pool(&self, dialect: Dialect) -> Option<&Pool> {
        self.pools.get(dialect.index())
    }
}

/// All that can be routed to.
#[derive(Debug)]
pub struct Table {
    upstreams: Vec<Upstream>,
    models: Vec<Model>,
    by_name: HashMap<String, usize>,
    /// Prefixes and their models, longest first.
    prefixes: Vec<(String, usize)>,
}

impl Table {
    /// A table without models.
    pub fn new(upstreams: Vec<Upstream>) -> Self {
        Table { upstreams, models: Vec::new(), by_name: HashMap::new(), prefixes: Vec::new() }
    }

    /// Adds a model.
    ///
    /// # Errors
    /// The name or alias that is already taken.
    pub fn add(&mut self, model: Model) -> Result<(), String> {
        let index = self.models.len();
        for name in std::iter::once(&model.name).chain(&model.aliases) {
            let taken = match name.strip_suffix('*') {
                Some(prefix) => {
                    let taken = self.prefixes.iter().any(|(other, _)| other == prefix);
                    self.prefixes.push((prefix.to_owned(), index));
                    taken
                }
                None => self.by_name.insert(name.clone(), index).is_some(),
            };
            if taken {
                return Err(name.clone());
            }
        }
        self.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        self.models.push(model);
        Ok(())
    }

    /// The model a client's name stands for: an exact name or alias first, then the longest prefix.
    pub fn find(&self, name: &str) -> Option<usize> {
        let exact = self.by_name.get(name).copied();
        exact.or_else(|| self.prefixes.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, index)| *index))
    }

    /// The models, in configured order.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The upstreams, by name.
    pub fn upstreams(&self) -> &[Upstream] {
        &self.upstreams
    }

    /// The upstream a target refers to.
    pub fn upstream_of(&self, target: &Target) -> Option<&Upstream> {
        self.upstreams.get(target.upstream)
    }
}
