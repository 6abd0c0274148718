//! File handling of the commands.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::dynamic::Files;
use crate::prompt_files;
use crate::render::{environment, split, Lost, Split};
use crate::short::{Mistake, Short};
use crate::yaml::Tree;
use crate::Failure;

/// How long requests that have begun may still choose a cluster that is gone.
const GRACE: Duration = Duration::from_secs(2);

/// The largest file that is accepted, in bytes.
pub(crate) const MAX_FILE: u64 = 16 << 20;

#[derive(Args)]
pub(crate) struct Render {
    /// The short file; - for standard input.
    file: PathBuf,
    /// Write Envoy's configuration as files to this directory, from which Envoy applies changes while it runs.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where Envoy will find that directory, if it is elsewhere, such as in a container.
    #[arg(long, requires = "dir")]
    at: Option<String>,
}

/// Prints Envoy's configuration.
///
/// # Errors
/// The mistakes in the short file, with lines.
pub(crate) fn render(command: &Render) -> Result<(), Failure> {
    let text = read_short(&command.file)?;
    let name = name(&command.file);
    let mut short = short(&text, &shown(&command.file))?;
    let Some(directory) = &command.dir else {
        return print(&rendered(&short, &text, &name)?);
    };
    let failed = |error: std::io::Error| Failure::Usage(format!("{} cannot be written: {error}", directory.display()));
    std::fs::create_dir_all(directory).map_err(failed)?;
    let directory = directory.canonicalize().map_err(failed)?;
    let at = command.at.clone().unwrap_or_else(|| directory.to_string_lossy().into_owned());
    let new = |short: &Short| in_files(short, &text, &name, &at, &environment(short.variables()));
    match Files::open(&directory) {
        None => Files::create(&directory, new(&short)?).map(drop),
        Some(mut files) => {
            for (own, cluster) in files.name_clusters(&mut short) {
                eprintln!("sluice: {}", moved(&own, &cluster));
            }
            files.apply(new(&short)?, None)?;
            if !files.is_tidy() {
                std::thread::sleep(GRACE);
            }
            files.tidy(None)
        }
    }
}

/// Renders a short file as Envoy's files, which Envoy finds in `directory`.
///
/// # Errors
/// The built-in template lacks a place that rendering needs.
pub(crate) fn in_files(
    short: &Short,
    text: &str,
    name: &str,
    directory: &str,
    environment: &[String],
) -> Result<Split, Failure> {
    split(&rendered(short, text, name)?, directory, environment).map_err(|error| lost(&error))
}

/// Renders a short file as Envoy's configuration.
///
/// # Errors
/// The built-in template lacks a place that rendering needs.
fn rendered(short: &Short, text: &str, name: &str) -> Result<String, Failure> {
    crate::render::render(short, text, name).map_err(|error| lost(&error))
}

/// Tells that an upstream or a service has another address than the running Envoy knows.
pub(crate) fn moved(own: &str, cluster: &str) -> String {
    format!("{own} has another address, so its cluster is a new one: {cluster}")
}

/// The error for an unknown template.
fn lost(lost: &Lost) -> Failure {
    let place = lost.place();
    Failure::Usage(format!("the envoy.yaml that this program was built with has no `{place}`; build it with another"))
}

/// Reads a short file's text.
///
/// # Errors
/// All mistakes, one line each.
pub(crate) fn short(text: &str, name: &str) -> Result<Short, Failure> {
    let tree = Tree::parse(text).map_err(|error| {
        Failure::Input(format!("the file cannot be read\n{name}:{}: {}", error.line, error.problem))
    })?;
    Short::read(tree).map_err(|mistakes| refused(name, &mistakes))
}

fn refused(name: &str, mistakes: &[Mistake]) -> Failure {
    let lines =
        mistakes.iter().map(|mistake| format!("\n{name}:{}: {}: {}", mistake.line, mistake.path, mistake.problem));
    Failure::Input(format!("the file has mistakes{}", lines.collect::<String>()))
}

/// A count with its noun, such as `1 note` and `2 notes`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// A file in messages: its path, as it was given, so that editors and terminals find it.
pub(crate) fn shown(file: &Path) -> String {
    match file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    }
}

/// A file's name in the comment of a file that is made from it.
pub(crate) fn name(file: &Path) -> String {
    match file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned(),
    }
}

/// A file's text.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub(crate) fn read(file: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes),
        false => std::fs::File::open(file).and_then(|opened| opened.take(MAX_FILE + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", file.display())))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::Input(format!("{} is larger than 16 MiB", file.display())));
    }
    String::from_utf8(bytes).map_err(|_| Failure::Input(format!("{} is not UTF-8", file.display())))
}

/// A short file's text, with the prompts of the directory beside it.
///
/// # Errors
/// It cannot be read, or a prompt has a mistake.
pub(crate) fn read_short(file: &Path) -> Result<String, Failure> {
    prompt_files::with_prompts(read(file)?, file)
}

/// Writes to standard output.
///
/// # Errors
/// It cannot be written to.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::Input(format!("standard output cannot be written: {error}")))
}
