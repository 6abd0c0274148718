//! `sluice`: the operator's tool.
//!
//! Exit codes: 0, success; 1, the input has mistakes; 2, the command line or the environment has mistakes.

mod check;
mod dynamic;
mod file;
mod import;
mod init;
mod key;
#[cfg(feature = "ledger")]
mod ledger;
mod price_list;
mod prices;
mod prompt_files;
mod render;
mod run;
mod schema;
mod short;
mod source;
mod stop;
mod watch;
mod yaml;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The LLM gateway inside Envoy: tools for its operators.
#[derive(Parser)]
#[command(name = "sluice", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a short file from another gateway's configuration.
    #[command(subcommand)]
    Import(import::Command),
    /// Write a short file from the API keys in the environment.
    Init(init::Init),
    /// Make, sign and inspect client keys.
    #[command(subcommand)]
    Key(key::Command),
    /// Store each request's usage, and count the limits that several Envoys share.
    #[cfg(feature = "ledger")]
    Ledger(ledger::Ledger),
    /// Find mistakes in a short file or in Envoy's configuration, without Envoy.
    Check(check::Check),
    /// Write Envoy's configuration from a short file.
    Render(file::Render),
    /// Show or replace the prices of well-known models.
    #[command(subcommand)]
    Prices(prices::Command),
    /// Start Envoy with a short file.
    Run(run::Run),
    /// Keep the files of an Envoy that runs elsewhere as a file, etcd or a command says.
    Watch(watch::Watch),
    /// Print the JSON schema of short files, for editors.
    Schema(schema::Arguments),
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input has mistakes.
    Input(String),
    /// The command line or the environment has mistakes.
    Usage(String),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Import(command) => import::run(command),
        Command::Init(command) => init::run(&command),
        Command::Key(command) => key::run(command),
        #[cfg(feature = "ledger")]
        Command::Ledger(command) => ledger::run(command),
        Command::Check(command) => check::run(&command),
        Command::Render(command) => file::render(&command),
        Command::Prices(command) => prices::run(command),
        Command::Run(command) => run::run(&command),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Watch(command) => watch::run(&command),
    };
    let (code, message) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Input(message)) => (1, message),
        Err(Failure::Usage(message)) => (2, message),
    };
    eprintln!("sluice: {message}");
    ExitCode::from(code)
}
