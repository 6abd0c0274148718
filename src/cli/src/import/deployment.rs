//! One entry of `model_list`: a model at a provider.

use super::budgets::Budget;
use super::notes::{resolved, variable, Notes};
use crate::short::providers::PROVIDERS;
use crate::short::Url;
use crate::yaml::{quoted, Tree};

/// LiteLLM's names of providers that have another name here.
const NAMES: [(&str, &str); 10] = [
    ("vertex_ai", "vertex"),
    ("together_ai", "together"),
    ("fireworks_ai", "fireworks"),
    ("cohere_chat", "cohere"),
    ("ollama_chat", "ollama"),
    ("hosted_vllm", "vllm"),
    ("lm_studio", "lmstudio"),
    ("llamafile", "llamacpp"),
    ("text-completion-openai", "openai"),
    ("custom_openai", "openai"),
];

/// The fields of `litellm_params` that are imported.
const READ: [&str; 19] = [
    "model",
    "api_base",
    "base_url",
    "api_key",
    "api_version",
    "rpm",
    "tpm",
    "weight",
    "order",
    "timeout",
    "stream_timeout",
    "aws_region_name",
    "vertex_project",
    "vertex_location",
    "input_cost_per_token",
    "output_cost_per_token",
    "custom_llm_provider",
    "max_budget",
    "budget_duration",
];

/// The prices, in `litellm_params` or in `model_info`.
const PRICES: [&str; 2] = ["input_cost_per_token", "output_cost_per_token"];

/// Settings that only some providers have.
const OWN: [(&str, &str); 4] = [
    ("api_version", "azure"),
    ("aws_region_name", "bedrock"),
    ("vertex_project", "vertex"),
    ("vertex_location", "vertex"),
];

/// A model at a provider.
pub(super) struct Deployment {
    pub(super) line: usize,
    /// The name that clients use.
    pub(super) name: String,
    pub(super) upstream: String,
    /// The provider's name of the model.
    pub(super) model: String,
    pub(super) numbers: Numbers,
}

/// Its numeric settings.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) weight: Option<f64>,
    pub(super) order: Option<f64>,
    pub(super) requests_per_minute: Option<f64>,
    pub(super) tokens_per_minute: Option<f64>,
    /// In seconds.
    pub(super) timeout: Option<f64>,
    pub(super) stream_timeout: Option<f64>,
    /// Dollars per token, input and output.
    pub(super) price: Option<(f64, f64)>,
    pub(super) budget: Option<Budget>,
}

/// The upstreams of the deployments, without duplicates.
#[derive(Default)]
pub(super) struct Upstreams(Vec<(String, String)>);

impl Upstreams {
    /// The name of the upstream with these fields; a new one is called `name`, with a number if it is taken.
    fn named(&mut self, name: &str, fields: String) -> String {
        if let Some((known, _)) = self.0.iter().find(|(_, other)| *other == fields) {
            return known.clone();
        }
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|name| !self.0.iter().any(|(other, _)| other == name));
        let free = free.unwrap_or_default();
        self.0.push((free.clone(), fields));
        free
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(name, fields)| format!("{}: {{{fields}}}", quoted(name)))
    }
}

impl Deployment {
    pub(super) fn read(entry: &Tree, upstreams: &mut Upstreams, notes: &mut Notes) -> Option<Deployment> {
        notes.rest(entry, "model_list[].", &["model_name", "litellm_params", "model_info"]);
        let (Some(name), Some(params)) = (entry.text_of("model_name"), entry.get("litellm_params")) else {
            notes.add(entry.line, "an entry without model_name or litellm_params; it is left out");
            return None;
        };
        notes.rest(params, "litellm_params.", &READ);
        if let Some(info) = entry.get("model_info") {
            notes.rest(info, "model_info.", &PRICES);
        }
        let full = params.text_of("model").unwrap_or(name);
        let (provider, model) = provider_of(full, params.text_of("custom_llm_provider"));
        let Some(provider) = provider else {
            notes.add(
                entry.line,
                format!("{name}: the provider of {full:?} is unknown here; add its upstream with a `url`"),
            );
            return None;
        };
        if name.find('*').is_some_and(|at| at > 0) && name.contains('/') {
            let problem =
                "the name that clients send is passed on unchanged; name the models without the provider's prefix";
            notes.add(entry.line, format!("{name}: {problem}"));
            return None;
        }
        let model = if provider == "vertex" && model.starts_with("gemini") {
            format!("google/{model}")
        } else {
            model.to_owned()
        };
        let fields = fields(provider, params, notes)?;
        Some(Deployment {
            line: entry.line,
            name: name.to_owned(),
            upstream: upstreams.named(provider, fields),
            model,
            numbers: Numbers::read(name, params, entry.get("model_info"), notes),
        })
    }
}

impl Numbers {
    fn read(name: &str, params: &Tree, info: Option<&Tree>, notes: &mut Notes) -> Numbers {
        let line = params.line;
        let mut number = |field: &str| notes.number(params, field);
        let price = PRICES.map(&mut number);
        let mut numbers = Numbers {
            weight: number("weight"),
            order: number("order"),
            requests_per_minute: number("rpm"),
            tokens_per_minute: number("tpm"),
            timeout: number("timeout"),
            stream_timeout: number("stream_timeout"),
            price: None,
            budget: None,
        };
        numbers.budget = Budget::read(params, name, notes);
        let mut cost = |own: Option<f64>, field: &str| own.or_else(|| notes.number(info?, field));
        let [input, output] = price;
        numbers.price = match (cost(input, PRICES[0]), cost(output, PRICES[1])) {
            (None, None) => None,
            (Some(input), Some(output)) => Some((input, output)),
            _ => {
                notes.add(line, format!("{name}: a price for input or for output alone is left out; write both"));
                None
            }
        };
        numbers
    }
}

/// The provider in `groq/llama3`, with its name here, and the model.
fn provider_of<'a>(full: &'a str, custom: Option<&str>) -> (Option<&'static str>, &'a str) {
    let known = |name: &str| {
        let name = NAMES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, own)| own);
        PROVIDERS.iter().map(|provider| provider.name).find(|own| *own == name)
    };
    if let Some(name) = custom {
        return (known(name), full);
    }
    match full.split_once('/') {
        Some((prefix, model)) if known(prefix).is_some() => (known(prefix), model),
        Some(_) => (None, full),
        None if full.starts_with("claude-") => (Some("anthropic"), full),
        None if full.starts_with("command-") => (Some("cohere"), full),
        None if full.starts_with("gemini-") => (Some("vertex"), full),
        None => (Some("openai"), full),
    }
}

/// The fields of its upstream; `None` if a required value is missing.
fn fields(provider: &'static str, params: &Tree, notes: &mut Notes) -> Option<String> {
    let own = PROVIDERS.iter().find(|own| own.name == provider)?;
    let mut fields = vec![format!("provider: {provider}")];
    for (name, value) in params.entries() {
        if OWN.iter().any(|(field, theirs)| field == name && *theirs != provider) {
            notes.add(value.line, format!("{name} is left out: {provider} has no use for it"));
        }
    }
    if params.get("api_base").is_some() {
        if let Some(other) = params.get("base_url") {
            notes.add(other.line, "base_url is left out: api_base is used");
        }
    }
    let base = params.get("api_base").or_else(|| params.get("base_url"));
    if let Some(base) = base.filter(|base| base.text().is_none()) {
        notes.add(base.line, "api_base is no text; it is left out");
    }
    let url = match base.and_then(|base| base.text().map(|text| (base.line, text))) {
        None => None,
        Some((line, text)) => {
            match resolved(text) {
                Ok(text) => Some((line, text)),
                Err(name) => {
                    notes.add(line, format!("api_base is in {name}, which is not set here; export it and import again, or write the `url`"));
                    return None;
                }
            }
        }
    };
    let mut is_elsewhere = false;
    match (provider, url) {
        ("azure", Some((line, text))) => {
            let host = Url::parse(text.trim_end_matches('/')).map(|url| url.address.host);
            match host.as_deref().and_then(|host| host.strip_suffix(".openai.azure.com")) {
                Some(resource) => fields.push(format!("resource: {}", quoted(resource))),
                None => fields.push(format!("url: {}", quoted(text.trim_end_matches('/')))),
            }
            if params.get("api_version").is_some() {
                notes.add(line, "api_version is left out: Azure's v1 API, used here, does not need it");
            }
        }
        (_, Some((_, text))) => {
            let text = text.trim_end_matches('/');
            is_elsewhere = provider == "openai" && !text.contains("api.openai.com");
            fields.push(format!("url: {}", quoted(text)));
        }
        ("azure", None) => {
            notes.add(params.line, "azure needs api_base; write the `resource`");
            return None;
        }
        _ => {}
    }
    let mut region = |name: &str, otherwise: &str| match params
        .get(name)
        .map(|tree| (tree.line, resolved(tree.text().unwrap_or_default())))
    {
        Some((_, Ok(text))) if !text.is_empty() => quoted(&text),
        None => quoted(otherwise),
        Some((line, _)) => {
            notes.add(line, format!("{name} cannot be read here, so {otherwise} stands for it; change that"));
            quoted(otherwise)
        }
    };
    match provider {
        "bedrock" => {
            fields.push(format!("region: {}", region("aws_region_name", "us-east-1")));
            notes.add(params.line, "bedrock: with a Bedrock API key, for the models of its OpenAI-compatible API; for signed requests and Claude see envoy/examples/bedrock.yaml");
        }
        "vertex" => {
            let project = region("vertex_project", "my-project");
            fields.push(format!("project: {project}, region: {}", region("vertex_location", "us-central1")));
            notes.add(params.line, "vertex: VERTEX_ACCESS_TOKEN has an access token, which lasts an hour; to renew it see envoy/examples/vertex.yaml");
        }
        _ => {}
    }
    credential(own.variable, own.header, is_elsewhere, params, &mut fields, notes);
    Some(fields.join(", "))
}

/// The key's variable, if it is not the provider's usual one.
fn credential(
    usual: &str,
    header: &str,
    is_elsewhere: bool,
    params: &Tree,
    fields: &mut Vec<String>,
    notes: &mut Notes,
) {
    let header = if header.is_empty() { String::new() } else { format!(", header: {header}") };
    let Some(key) = params.get("api_key") else {
        if is_elsewhere {
            notes.add(params.line, format!("no api_key: the server gets the key in {usual}; if that is not intended, write another `credential`"));
        }
        return;
    };
    match key.text().map(|text| (variable(text), text)) {
        Some((Some(name), _)) if name != usual => fields.push(format!("credential: {{env: {name}{header}}}")),
        Some((None, _)) => {
            let name = if is_elsewhere || usual.is_empty() { "UPSTREAM_API_KEY" } else { usual };
            if name != usual {
                fields.push(format!("credential: {{env: {name}{header}}}"));
            }
            notes.add(
                key.line,
                format!("a key was in the file, and is not copied; put it into the environment variable {name}"),
            );
        }
        // an empty one stands for a server without keys
        None => notes.add(key.line, "api_key is no text; it is left out"),
        _ => {}
    }
}
