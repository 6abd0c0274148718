//! `sluice import`: a short file from another gateway's configuration, with notes about everything that has no
//! counterpart.

mod budgets;
mod deployment;
mod group;
mod notes;
mod settings;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sluice::keys::KeyHash;

use self::deployment::{Deployment, Upstreams};
use self::group::Groups;
use self::notes::{resolved, variable, Notes};
use self::settings::Settings;
use crate::yaml::{quoted, Tree};
use crate::{file, key, Failure};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// From LiteLLM's proxy: model_list, fallbacks, aliases, limits, router settings.
    Litellm(Litellm),
}

#[derive(Args)]
pub(crate) struct Litellm {
    /// Its config.yaml; - for standard input.
    file: PathBuf,
}

/// Prints the short file, and the notes on standard error.
///
/// # Errors
/// The file cannot be read, or it has no model that can be served.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    let Command::Litellm(litellm) = command;
    let text = file::read(&litellm.file)?;
    let name = file::shown(&litellm.file);
    let tree =
        Tree::parse(&text).map_err(|error| Failure::Input(format!("{name}:{}: {}", error.line, error.problem)))?;
    let mut notes = Notes::default();
    let short = converted(&tree, &name, &mut notes)?;
    file::print(&short)?;
    for note in notes.lines() {
        eprintln!("{name}: {note}");
    }
    if !notes.lines().is_empty() {
        eprintln!("{}; see the remaining work, then: sluice check", file::counted(notes.lines().len() as u64, "note"));
    }
    Ok(())
}

fn converted(tree: &Tree, name: &str, notes: &mut Notes) -> Result<String, Failure> {
    notes.rest(tree, "", &["model_list", "router_settings", "litellm_settings", "general_settings"]);
    let mut upstreams = Upstreams::default();
    let mut groups = Groups::default();
    for entry in tree.get("model_list").map(Tree::items).unwrap_or_default() {
        if let Some(deployment) = Deployment::read(entry, &mut upstreams, notes) {
            groups.add(deployment);
        }
    }
    if groups.is_empty() {
        return Err(Failure::Input(format!("{name} has no model_list with a model that can be served")));
    }
    let settings = Settings::read(tree, notes);
    let models = groups.lines(&settings, notes);
    let from = name.rsplit('/').next().unwrap_or(name);
    let mut text = format!("# From {from}, by `sluice import litellm`.\n\n{}\nupstreams:\n", keys(tree, notes)?);
    upstreams.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
    text.push_str(&settings.lines());
    text.push_str(&budgets::lines(tree, notes));
    text.push_str("\nmodels:\n");
    models.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    Ok(text)
}

/// The master key becomes an administrator's key. It is not written, like all secrets.
fn keys(tree: &Tree, notes: &mut Notes) -> Result<String, Failure> {
    let general = tree.get("general_settings");
    if let Some(general) = general {
        notes.rest(general, "general_settings.", &["master_key"]);
    }
    let master = general.and_then(|general| general.get("master_key"));
    let known = master.and_then(|master| resolved(master.text()?).ok());
    let hash = match (&known, master) {
        (Some(key), _) => KeyHash::of(key).to_text(),
        (None, Some(master)) => {
            let variable = master.text().and_then(variable).unwrap_or_default();
            let (key, hash) = key::random_key()?;
            notes.add(
                master.line,
                format!(
                    "{variable} is not set here, so a new administrator's key was made, which is shown only now: {key}"
                ),
            );
            hash
        }
        (None, None) => {
            let (key, hash) = key::random_key()?;
            notes.add(
                1,
                format!(
                    "there is no master_key; a key is needed here, so one was made, which is shown only now: {key}"
                ),
            );
            hash
        }
    };
    Ok(format!(
        "keys: # `sluice key new --id NAME` makes one for each client\n  - {{id: master, role: admin, hash: {}}}\n",
        quoted(&hash)
    ))
}
