//! `sluice check`: finds mistakes in a short file, or in an Envoy configuration with Sluice in it, without Envoy. The
//! core reads the filters' part, as at the start; the other checks need Envoy's part.

mod bootstrap;
mod clusters;
mod envoy;
mod filters;
mod kinds;
mod manager;
mod meaning;
mod report;
mod routes;
mod secrets;
mod sections;
mod websocket;

use std::path::PathBuf;

use clap::Args;

use self::bootstrap::Envoy;
pub(crate) use self::report::{Report, Severity};
use crate::short::{is_short, Short};
use crate::yaml::{quoted, Tree};
use crate::{file, Failure};

#[derive(Args)]
pub(crate) struct Check {
    /// The short file, or Envoy's; - for standard input.
    file: PathBuf,
    /// Print a list of objects with `level`, `rule`, `file`, `line`, `path`, `problem` and `fix`.
    #[arg(long)]
    json: bool,
}

/// Prints the mistakes.
///
/// # Errors
/// There are errors, not only warnings.
pub(crate) fn run(command: &Check) -> Result<(), Failure> {
    let text = file::read_short(&command.file)?;
    let name = file::shown(&command.file);
    let report = check(&text);
    file::print(&if command.json { report.json(&name) } else { report.text(&name) })?;
    match report.errors() {
        0 => Ok(()),
        1 => Err(Failure::Input(format!("{name} has an error"))),
        errors => Err(Failure::Input(format!("{name} has {}", file::counted(errors as u64, "error")))),
    }
}

/// All findings in a file.
pub(crate) fn check(text: &str) -> Report {
    let mut report = Report::default();
    let tree = match Tree::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            report.error("yaml", error.line, "", error.problem, "fix the YAML; nothing else has been checked");
            return report;
        }
    };
    secrets::check(&tree, &mut report);
    match is_short(&tree) {
        true => short(tree, text, &mut report),
        false => envoy::check(&Envoy::new(&tree), &mut report),
    }
    report.sort();
    report
}

fn short(tree: Tree, text: &str, report: &mut Report) {
    let short = match Short::read(tree) {
        Ok(short) => short,
        Err(mistakes) => {
            for mistake in mistakes {
                report.error("short_file", mistake.line, &mistake.path, mistake.problem, "");
            }
            return;
        }
    };
    let sections = short.sections();
    for error in sections::read(&sections) {
        let mistake = short.mistake(&error);
        report.error("configuration", mistake.line, &mistake.path, mistake.problem, "");
    }
    meaning::check(
        &sections,
        &|path| {
            let own = short.own_path(path);
            (short.tree.line_of(&own), own)
        },
        report,
    );
    let written = sections::variables(&short.tree);
    for (name, line) in &written {
        sections::unset(name, *line, report);
    }
    for upstream in &short.upstreams {
        let path = format!("upstreams.{}", upstream.name);
        let line = short.tree.line_of(&path);
        // the variables that a provider's name implies
        for (name, _) in sections::variables(&upstream.router()) {
            if !written.iter().any(|(other, _)| *other == name) {
                sections::unset(&name, line, report);
            }
        }
        if upstream.sends_key_in_plain() {
            let problem = "the url begins with http://, so the key and every prompt cross the network unencrypted";
            let url = short.tree.at(&["upstreams", &upstream.name, "url"]).and_then(Tree::text).unwrap_or_default();
            let fix =
                format!("url: {}, or keep the server on this machine", quoted(&url.replacen("http:", "https:", 1)));
            report.warning("plain_http", line, &path, problem, fix);
        }
    }
    services(&short, &sections, report);
    if meaning::is_open(&short.listen.host) {
        meaning::demo_keys(&sections, &|path| short.tree.line_of(&short.own_path(path)), report);
        let line = short.tree.line_of("listen");
        report.warning("plain_listener", line, "listen", meaning::PLAIN, meaning::PLAIN_FIX);
    }
    if meaning::is_open(&short.admin.host) {
        report.warning("open_admin", short.tree.line_of("admin"), "admin", meaning::ADMIN, meaning::ADMIN_FIX);
    }
    // the rendered configuration is checked as well, as if an operator had written it
    if let Ok(rendered) = crate::render::render(&short, text, "") {
        if let (Ok(tree), true) = (Tree::parse(&rendered), report.errors() == 0) {
            let mut own = Report::default();
            envoy::check(&Envoy::new(&tree), &mut own);
            for finding in own.findings.iter().filter(|finding| finding.level == Severity::Error) {
                report.error(finding.rule, 1, &finding.path, finding.problem.clone(), &finding.fix);
            }
        }
    }
}

/// Every check needs its service, as caches in Redis, limits for several Envoys and the ledger do, and every service needs
/// a use.
fn services(short: &Short, sections: &sections::Sections, report: &mut Report) {
    let known: Vec<&str> = short.clusters().map(|cluster| cluster.name.as_str()).collect();
    let mut asked = meaning::services(sections);
    asked.extend(short.log_cluster().map(|cluster| ("access_log.cluster".to_owned(), cluster.to_owned())));
    for (path, cluster) in &asked {
        if !known.contains(&cluster.as_str()) {
            let path = short.own_path(path);
            let problem = format!("there is no service {cluster:?}, so every call to it would fail");
            report.error(
                "service_without_cluster",
                short.tree.line_of(&path),
                &path,
                problem,
                "add it to `services`, with its `url`",
            );
        }
    }
    for service in short.services.iter().filter(|service| !asked.iter().any(|(_, cluster)| *cluster == service.name)) {
        let path = format!("services.{}", service.name);
        let line = short.tree.line_of(&path);
        report.warning(
            "unused",
            line,
            &path,
            "nothing uses this service",
            "name it as the `cluster` of a check, of a cache, of `shared`, `ledger` or `access_log`, or remove it",
        );
    }
}
