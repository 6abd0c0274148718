//! E-mail addresses: from each `@` in both directions.

use std::ops::Range;

use memchr::memchr_iter;

use super::surroundings::is_foreign_letter;

/// The longest name before the `@`, in bytes (RFC 5321).
const MAX_LOCAL: usize = 64;
/// The longest domain, in bytes.
const MAX_DOMAIN: usize = 255;
/// The longest label of a domain.
const MAX_LABEL: usize = 63;

/// Calls `found` for each address. Names and domains beyond ASCII count (`müller@exämple.de`). The text between two `@`
/// is read twice, once from each, so the time is linear.
pub(super) fn scan(text: &str, mut found: impl FnMut(Range<usize>)) {
    for at in memchr_iter(b'@', text.as_bytes()) {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
        let Some(local) = local_part(before) else {
            continue;
        };
        if let Some(domain) = domain(after).filter(|domain| !is_remote(before, local, after, *domain)) {
            found(at - local..at + 1 + domain);
        }
    }
}

/// The only user of a version control server.
const SERVICES: [&str; 4] = ["git", "hg", "svn", "gitea"];

/// Whether it is a repository's address, `git@github.com:acme/app.git` or `ssh://git@github.com/acme/app.git`, or
/// Kotlin's `this@Main.run()`.
fn is_remote(before: &str, local: usize, after: &str, domain: usize) -> bool {
    let (outside, name) = before.split_at_checked(before.len() - local).unwrap_or(("", before));
    let path = after.get(domain..).is_some_and(|rest| rest.starts_with([':', '/']));
    let call = matches!(name, "this" | "super") && after.get(domain..).is_some_and(|rest| rest.starts_with('('));
    call || SERVICES.contains(&name) && (path || outside.ends_with("://"))
}

/// The length of the name that ends `before`; `None` if there is none.
fn local_part(before: &str) -> Option<usize> {
    let is_local = |character: char| {
        character.is_ascii_alphanumeric()
            || matches!(character, '.' | '_' | '%' | '+' | '-' | '\'' | '&')
            || is_foreign_letter(character)
    };
    if before.ends_with('.') {
        return None;
    }
    let length: usize = before.chars().rev().take_while(|character| is_local(*character)).map(char::len_utf8).sum();
    let name = before.get(before.len() - length..).unwrap_or_default();
    let name = name.rfind("..").and_then(|dots| name.get(dots + 2..)).unwrap_or(name); // "see...me@here.org"
    let name = name.trim_start_matches(['.', '\'', '-', '&']);
    (!name.is_empty() && name.len() <= MAX_LOCAL).then_some(name.len())
}

/// The length of the domain that begins `after`; `None` if there is none.
fn domain(after: &str) -> Option<usize> {
    let is_domain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '-') || is_foreign_letter(character)
    };
    // cut before it is split, because otherwise every `@` would search the whole text for dots
    let widths = after.chars().take(MAX_DOMAIN + 1).take_while(|character| is_domain(*character)).map(char::len_utf8);
    let after = after.get(..widths.sum()).unwrap_or_default();
    let mut end = None;
    let mut length: usize = 0;
    for (index, part) in after.split('.').enumerate() {
        let label = part.trim_end_matches('-');
        length = length.saturating_add(label.len() + usize::from(index > 0));
        if label.is_empty() || label.starts_with('-') || label.len() > MAX_LABEL || length > MAX_DOMAIN {
            break;
        }
        if index > 0 && is_top_level(label) {
            end = Some(length);
        }
        if label.len() < part.len() {
            break;
        }
    }
    end
}

/// Endings of files and systemd units, which are not domains: `icon@2x.png`, `getty@tty1.service`.
const NO_TOP_LEVEL: [&str; 26] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "css", "js", "json", "html", "htm", "tgz", "exe", "dll", "map",
    "ts", "service", "timer", "socket", "mount", "tsx", "jsx", "txt", "xml", "yaml",
];

/// Whether an address may end in this: `package@1.2.3` is not an address.
fn is_top_level(label: &str) -> bool {
    let letters = label.chars().all(|character| character.is_ascii_alphabetic() || is_foreign_letter(character));
    let is_file = NO_TOP_LEVEL.iter().any(|ending| label.eq_ignore_ascii_case(ending));
    letters && label.chars().nth(1).is_some() && !is_file || label.len() > 4 && label.starts_with("xn--")
}
