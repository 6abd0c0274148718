//! `sluice init`: a short file from the API keys in the environment.

use std::path::PathBuf;

use clap::Args;

use crate::short::providers::{Provider, PROVIDERS};
use crate::{file, key, Failure};

/// Prefixes of a provider's model names. The other providers serve all remaining names.
const PREFIXES: [(&str, &[&str]); 7] = [
    ("openai", &["gpt-*", "o1*", "o3*", "o4*", "text-embedding-*"]),
    ("anthropic", &["claude-*"]),
    ("gemini", &["gemini-*"]),
    ("mistral", &["mistral-*", "codestral-*"]),
    ("deepseek", &["deepseek-*"]),
    ("xai", &["grok-*"]),
    ("cohere", &["command-*"]),
];

#[derive(Args)]
pub(crate) struct Init {
    /// The file to write; an existing file is not changed.
    #[arg(default_value = "sluice.yaml")]
    file: PathBuf,
}

/// Writes the file, and prints the new key.
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
    let text = short_file(&found, &hash);
    let created = std::fs::OpenOptions::new().write(true).create_new(true).open(&command.file);
    let written = created.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    let name = command.file.display();
    written.map_err(|error| Failure::Usage(format!("{name} cannot be written: {error}")))?;
    eprintln!("{name} is written. Its key, which is shown only now:");
    file::print(&format!("{key}\n"))
}

fn short_file(found: &[&Provider], hash: &str) -> String {
    let mut text = format!(
        "# An LLM gateway, for the API keys that were in the environment.\n\n\
         keys: # `sluice key new` makes more\n  - {{id: first, hash: \"{hash}\"}}\n\nupstreams:\n"
    );
    for provider in found {
        text.push_str(&format!("  {0}: {{provider: {0}}} # the key is in {1}\n", provider.name, provider.variable));
    }
    text.push_str("\nmodels:\n");
    for provider in found {
        let prefixes =
            PREFIXES.iter().find(|(name, _)| *name == provider.name).map_or(&[][..], |(_, prefixes)| *prefixes);
        for prefix in prefixes {
            text.push_str(&format!("  - {{name: \"{prefix}\", targets: [{}]}}\n", provider.name));
        }
    }
    let prefixed = |provider: &&&Provider| !PREFIXES.iter().any(|(name, _)| *name == provider.name);
    let rest: Vec<&str> = found.iter().filter(prefixed).map(|provider| provider.name).collect();
    if let Some((first, others)) = rest.split_first() {
        text.push_str(&format!("  - {{name: \"*\", targets: [{first}]}} # every other name\n"));
        for other in others {
            text.push_str(&format!("  # - {{name: a model of it, targets: [{other}]}}\n"));
        }
    }
    text
}
