//! What each attempt must change in the request's headers.
//!
//! All attempts of a request share one header map: what one attempt wrote is still there for the next, the
//! credential included. So every header written is remembered with what stood there before, and turning to
//! another upstream undoes whatever that one does not want.

use std::borrow::Cow;

use crate::endpoint::Endpoint;
use crate::exchange::Original;
use crate::routing::{Secret, Upstream};

/// One change to the request's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Set the header to this one value.
    Set(String, Secret),
    /// Remove the header.
    Remove(String),
}

/// A header an attempt has written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    name: String,
    before: Option<String>,
    now: Secret,
}

/// The headers attempts have written so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderPlan {
    written: Vec<Written>,
}

impl HeaderPlan {
    /// The edits that make the headers, as earlier attempts left them, fit for `upstream`. `length` is the
    /// length of the body it will get; `header` reads a header of the request as it stands.
    pub fn turn_to(
        &mut self,
        upstream: &Upstream,
        original: &Original,
        endpoint: Endpoint,
        model: &str,
        length: usize,
        header: impl Fn(&str) -> Option<String>,
    ) -> Vec<HeaderEdit> {
        let mut edits = Vec::new();
        let mut kept = Vec::with_capacity(4);
        for (name, value) in wanted(upstream, original, endpoint, model, length) {
            let written = match self.take(&name) {
                Some(written) => written,
                None => {
                    let before = before(&name, original, &header);
                    let now = Secret::new(before.clone().unwrap_or_default());
                    Written { name: name.into_owned(), before, now }
                }
            };
            let now = Secret::new(value.into_owned());
            if written.now != now || written.before.is_none() {
                edits.push(HeaderEdit::Set(written.name.clone(), now.clone()));
            }
            kept.push(Written { now, ..written });
        }
        let undone = std::mem::replace(&mut self.written, kept);
        edits.extend(undone.into_iter().map(|written| match written.before {
            Some(before) => HeaderEdit::Set(written.name, Secret::new(before)),
            None => HeaderEdit::Remove(written.name),
        }));
        edits
    }

    fn take(&mut self, name: &str) -> Option<Written> {
        let index = self.written.iter().position(|written| written.name == name)?;
        Some(self.written.swap_remove(index))
    }
}

/// The headers an upstream wants. Those that are as the client sent them turn out to need no edit.
fn wanted<'a>(
    upstream: &'a Upstream,
    original: &'a Original,
    endpoint: Endpoint,
    model: &str,
    length: usize,
) -> Vec<(Cow<'static, str>, Cow<'a, str>)> {
    let mut wanted: Vec<(Cow<'static, str>, Cow<'a, str>)> = Vec::with_capacity(4 + upstream.headers.len());
    let authority = upstream.host.as_deref().unwrap_or(&original.authority);
    wanted.push((":authority".into(), authority.into()));
    wanted.push((":path".into(), upstream.path(endpoint, &original.path, model)));
    wanted.push(("content-length".into(), length.to_string().into()));
    if let Some((header, value)) = upstream.credential(endpoint.dialect()) {
        wanted.push((header.into(), value.into()));
    }
    for (name, value) in &upstream.headers {
        wanted.push((name.clone().into(), value.as_str().into()));
    }
    wanted
}

/// What stood in a header before any attempt wrote to it. The client's own credentials are gone by now.
fn before(name: &str, original: &Original, header: impl Fn(&str) -> Option<String>) -> Option<String> {
    match name {
        ":authority" => Some(original.authority.clone()),
        ":path" => Some(original.path.clone()),
        "content-length" => original.length.map(|length| length.to_string()),
        name if crate::contract::CREDENTIAL_HEADERS.contains(&name) => None,
        name => header(name),
    }
}
