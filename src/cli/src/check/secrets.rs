//! Secrets in a file, where everyone who may read the file sees them.

use super::Report;
use crate::yaml::{Data, Tree};

/// The prefixes of providers' keys, and the minimum number of characters after them.
const BEGINNINGS: [(&str, usize); 13] = [
    ("sk-", 20),
    ("AIza", 30),
    ("gsk_", 20),
    ("xai-", 20),
    ("hf_", 20),
    ("AKIA", 16),
    ("ABSK", 30),
    ("ya29.", 20),
    ("pplx-", 20),
    ("r8_", 20),
    ("ghp_", 30),
    ("fw_", 20),
    ("Bearer ", 12),
];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    visit(tree, "", report);
}

fn visit(tree: &Tree, name: &str, report: &mut Report) {
    match &tree.data {
        Data::Text(text) if is_secret(text) => said(tree.line, name, report),
        Data::List(items) => items.iter().for_each(|item| visit(item, name, report)),
        Data::Map(entries) => {
            for (name, value) in entries {
                let names_secret = ["_KEY", "_SECRET", "_TOKEN", "_PASSWORD"].iter().any(|end| name.ends_with(end));
                match value.text() {
                    Some(text) if names_secret && !text.is_empty() => said(value.line, name, report),
                    _ => visit(value, name, report),
                }
            }
        }
        _ => {}
    }
}

/// The message does not contain the secret.
fn said(line: usize, name: &str, report: &mut Report) {
    report.error(
        "plain_secret",
        line,
        name,
        "a secret is in the file, and in /config_dump",
        "replace it at its issuer, put the new one into an environment variable, and name that: {env: NAME}",
    );
}

fn is_secret(text: &str) -> bool {
    BEGINNINGS.iter().any(|(beginning, length)| {
        text.strip_prefix(beginning).is_some_and(|rest| {
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'+' | b'=');
            rest.len() >= *length && rest.bytes().all(plain)
        })
    })
}
