//! One tool, and the names by which lists know it.

use std::fmt::Write;

/// A tool that a request offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offered {
    /// The names that say what it is: one of them must be allowed. Without any it is refused.
    pub(super) names: Vec<String>,
    /// What else it is called: none of these may be denied.
    pub(super) further: Vec<String>,
}

impl Offered {
    /// A function of the client.
    pub(super) fn function(name: &str) -> Self {
        Offered { names: vec![name.to_owned()], further: Vec::new() }
    }

    /// A tool that the provider has, by its type: `web_search_20250305` is also `web_search`.
    pub(super) fn builtin(kind: &str, further: &[String]) -> Self {
        let undated = kind.trim_end_matches(|end: char| end.is_ascii_digit() || end == '_');
        let digits = kind.get(undated.len()..).unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
        let mut names = vec![kind.to_owned()];
        if digits >= 8 && !undated.is_empty() {
            names.push(undated.to_owned());
        }
        Offered { names, further: further.to_vec() }
    }

    /// A server with tools: `mcp`, and `mcp:` with the label that the client gives it.
    pub(super) fn server(kind: &str, label: &str, further: &[String]) -> Self {
        let mut server = Offered::builtin(kind, further);
        server.names.extend(["mcp".to_owned(), format!("mcp:{label}")]);
        server
    }

    /// A tool of Gemini's, by the name of its field: `googleSearch` is also `google_search`.
    pub(super) fn of_gemini(field: &str) -> Self {
        Offered { names: vec![field.to_owned(), snake(field), camel(field)], further: Vec::new() }
    }
}

fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut out, next| {
        if next.is_ascii_uppercase() {
            out.push('_');
        }
        // writing to a string cannot fail
        let _ = write!(out, "{}", next.to_ascii_lowercase());
        out
    })
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        let mut characters = part.chars();
        match characters.next() {
            Some(initial) => out + &initial.to_ascii_uppercase().to_string() + characters.as_str(),
            None => out,
        }
    })
}
