//! `sluice ledger`: stores each request's usage, and counts the limits that several Envoys share.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use sluice_ledger::{import, open, Query};

use crate::{file, Failure};

/// The environment variable with the ledger's store, which may contain a password.
const STORE_VARIABLE: &str = "SLUICE_LEDGER_STORE";
const DEFAULT_STORE: &str = "ledger.db";
/// The environment variable with the secret that Envoys show when they ask or tell what is revoked.
const TOKEN_VARIABLE: &str = "SLUICE_LEDGER_TOKEN";

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Ledger {
    #[command(subcommand)]
    command: Option<Command>,
    /// The address to listen on, for Envoy and for people. There is no password for most of it: keep it on a private
    /// network. SLUICE_LEDGER_TOKEN in the environment is what Envoys must show to read or change what is revoked.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Import access logs that Envoy has written. Each request counts once, however often it is imported.
    Import(Import),
    /// Print usage.
    Report(Report),
}

#[derive(Args)]
struct StoreArgs {
    /// The SQLite file, or a postgres:// URL. Put a URL with a password into the environment: SLUICE_LEDGER_STORE.
    #[arg(long, value_name = "FILE|URL")]
    store: Option<String>,
}

#[derive(Args)]
struct Import {
    /// The access logs; - is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Args)]
struct Report {
    /// Columns to sum by, separated by commas: key, model, cluster, upstream_model, label:NAME, day, month.
    #[arg(long, default_value = "key")]
    by: String,
    /// The month, such as 2026-11; default: the current one.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    month: Option<String>,
    /// The first day, such as 2026-11-01.
    #[arg(long)]
    from: Option<String>,
    /// The last day.
    #[arg(long)]
    to: Option<String>,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    store: StoreArgs,
}

impl StoreArgs {
    fn read(self) -> Result<String, Failure> {
        match self.store {
            Some(store) if has_password(&store) => Err(Failure::Usage(format!(
                "--store: a password on the command line can be read by every process; put the URL into {STORE_VARIABLE}"
            ))),
            Some(store) => Ok(store),
            None => Ok(std::env::var(STORE_VARIABLE).unwrap_or_else(|_| DEFAULT_STORE.to_owned())),
        }
    }
}

/// Whether a URL has a password: `postgres://user:password@host/name`, or `?password=`.
fn has_password(store: &str) -> bool {
    let Some((_, rest)) = store.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.split_once('@').is_some_and(|(user, _)| user.contains(':')) || rest.contains("password=")
}

pub(crate) fn run(ledger: Ledger) -> Result<(), Failure> {
    match ledger.command {
        None => {
            let ready = |address| eprintln!("sluice ledger: listening on {address}");
            let token = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty());
            sluice_ledger::serve(ledger.listen, &ledger.store.read()?, token.as_deref(), ready).map_err(failed)
        }
        Some(Command::Import(command)) => import_all(command),
        Some(Command::Report(command)) => report(command),
    }
}

fn failed(error: sluice_ledger::Failed) -> Failure {
    Failure::Input(format!("ledger: {error}"))
}

fn import_all(command: Import) -> Result<(), Failure> {
    let mut store = open(&command.store.read()?).map_err(failed)?;
    let mut malformed = 0;
    for path in &command.files {
        let mut lines: Box<dyn BufRead> = match path.to_str() {
            Some("-") => Box::new(BufReader::new(io::stdin())),
            _ => {
                let file = File::open(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
                Box::new(BufReader::new(file))
            }
        };
        let imported = import(lines.as_mut(), store.as_mut()).map_err(failed)?;
        malformed += imported.malformed;
        println!(
            "{}: {} new, {} known, {} without usage, {} unreadable",
            path.display(),
            imported.new,
            imported.known,
            imported.without_usage,
            imported.malformed
        );
        if imported.cut_off > 0 {
            eprintln!(
                "ledger: {}: {} cut off, because Envoy was killed while it wrote; what follows in the same line has been imported",
                path.display(),
                file::counted(imported.cut_off as u64, "line")
            );
        }
    }
    match malformed {
        0 => Ok(()),
        lines => {
            let lines = file::counted(lines as u64, "line");
            Err(Failure::Input(format!("ledger: {lines} could not be read; the others have been imported")))
        }
    }
}

fn report(command: Report) -> Result<(), Failure> {
    let Report { by, month, from, to, csv, store } = command;
    let named = [("by", Some(by)), ("month", month), ("from", from), ("to", to)];
    let parameters = named.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let today = i64::try_from(now.as_secs() / 86_400).unwrap_or(0);
    let query = Query::read(parameters, today).map_err(|problem| Failure::Usage(format!("--{problem}")))?;
    let mut store = open(&store.read()?).map_err(failed)?;
    let table = query.answer(store.as_mut()).map_err(failed)?;
    print!("{}", if csv { table.csv() } else { table.text() });
    Ok(())
}
