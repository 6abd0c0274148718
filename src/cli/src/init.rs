//! `sluice init`: a short file from the API keys in the environment.

use std::path::PathBuf;

use clap::Args;

use crate::short::providers::{Provider, PROVIDERS};
use crate::yaml::quoted;
use crate::{file, key, Failure};

/// A provider's well-known models, and the prefixes of all its models' names. A provider without a prefix serves all
/// remaining names.
const MODELS: [(&str, &[&str], &[&str]); 11] = [
    (
        "openai",
        &["gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-5", "gpt-5-mini", "text-embedding-3-small"],
        &["gpt-*", "o1*", "o3*", "o4*", "text-embedding-*"],
    ),
    ("anthropic", &["claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5"], &["claude-*"]),
    ("gemini", &["gemini-2.5-flash", "gemini-2.5-pro"], &["gemini-*"]),
    ("mistral", &["mistral-small-latest", "mistral-large-latest", "codestral-latest"], &["mistral-*", "codestral-*"]),
    ("deepseek", &["deepseek-chat", "deepseek-reasoner"], &["deepseek-*"]),
    ("xai", &["grok-4"], &["grok-*"]),
    ("cohere", &["command-a-03-2025"], &["command-*"]),
    ("groq", &["llama-3.3-70b-versatile"], &[]),
    ("openrouter", &["openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5"], &[]),
    ("together", &["meta-llama/Llama-3.3-70B-Instruct-Turbo"], &[]),
    ("fireworks", &["accounts/fireworks/models/llama-v3p3-70b-instruct"], &[]),
];

#[derive(Args)]
pub(crate) struct Init {
    /// The file to write; an existing file is not changed.
    #[arg(default_value = "sluice.yaml")]
    file: PathBuf,
}

/// Writes the file, and prints the new keys: the client's, then the administrator's.
///
/// # Errors
/// No API key is in the environment, or the file cannot be written.
pub(crate) fn run(command: &Init) -> Result<(), Failure> {
    let is_set = |provider: &&Provider| std::env::var_os(provider.variable).is_some_and(|value| !value.is_empty());
    // providers that need more than a key are left out
    let usable = |provider: &&Provider| !provider.variable.is_empty() && !provider.url.contains('{');
    let found: Vec<&Provider> = PROVIDERS.iter().filter(usable).filter(is_set).collect();
    if found.is_empty() {
        let names: Vec<&str> = PROVIDERS.iter().filter(usable).map(|provider| provider.variable).collect();
        return Err(Failure::Usage(format!("no API key is in the environment; export one of {}", names.join(", "))));
    }
    let (key, hash) = key::random_key()?;
    let (admin_key, admin_hash) = key::random_key()?;
    let text = short_file(&found, &hash, &admin_hash);
    let name = command.file.display();
    if command.file.exists() {
        return Err(Failure::Usage(format!(
            "{name} exists, and is not changed; start it: sluice run {name}, or write another: sluice init FILE"
        )));
    }
    let created = std::fs::OpenOptions::new().write(true).create_new(true).open(&command.file);
    let written = created.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| Failure::Usage(format!("{name} cannot be written: {error}")))?;
    eprintln!("{name} is written. It has two keys, which are shown only now. For clients:");
    file::print(&format!("{key}\n"))?;
    eprintln!("For administrators, who also sign in to the gateway's page with it:");
    file::print(&format!("{admin_key}\n"))
}

fn short_file(found: &[&Provider], hash: &str, admin_hash: &str) -> String {
    let mut text = format!(
        "# An LLM gateway, for the API keys that were in the environment.\n\n\
         keys: # `sluice key new` makes more\n  - {{id: first, hash: \"{hash}\"}}\n  - {{id: admin, role: admin, hash: \"{admin_hash}\"}}\n\n\
         upstreams:\n"
    );
    for provider in found {
        text.push_str(&format!("  {0}: {{provider: {0}}} # the key is in {1}\n", provider.name, provider.variable));
    }
    text.push_str("\n# `GET /v1/models` lists the names without `*`, so add those that you use; the others serve every matching name.\nmodels:\n");
    let mut rest = None;
    for provider in found {
        let known = MODELS.iter().find(|(name, _, _)| *name == provider.name);
        let (names, prefixes) = known.map_or((&[][..], &[][..]), |(_, names, prefixes)| (*names, *prefixes));
        for name in names.iter().chain(prefixes) {
            text.push_str(&format!("  - {{name: {}, targets: [{}]}}\n", quoted(name), provider.name));
        }
        if prefixes.is_empty() {
            rest = rest.or(Some(provider.name));
        }
    }
    if let Some(provider) = rest {
        text.push_str(&format!("  - {{name: \"*\", targets: [{provider}]}} # every other name\n"));
    }
    text
}
