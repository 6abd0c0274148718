//! What each attempt must change in the request's headers.
//!
//! All attempts of a request share one header map: what one attempt wrote is still there for the next, the
//! credential included. So each turn to another target also takes back what the one before wanted and this
//! one does not.

use std::borrow::Cow;

use crate::contract::CREDENTIAL_HEADERS;
use crate::endpoint::Endpoint;
use crate::exchange::Original;
use crate::routing::Upstream;

/// The request's headers, as they stand at the host.
pub trait RequestHeaders {
    /// A header's value.
    fn get(&self, name: &str) -> Option<String>;
    /// Sets a header to one value; `false` if the host refused.
    fn set(&mut self, name: &str, value: &str) -> bool;
    /// Removes a header; `false` if the host refused.
    fn remove(&mut self, name: &str) -> bool;
}

/// What a target's request must look like.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Where it goes.
    pub upstream: &'a Upstream,
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The model, as the target calls it.
    pub model: &'a str,
    /// The body's length.
    pub length: usize,
}

/// What headers of the client's an upstream's own `headers` have written over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overwritten(Vec<(String, Option<String>)>);

impl Overwritten {
    /// Makes the headers, which the client sent as `original` and the attempt before turned to `before`, fit
    /// for `wish`. `false` if the host refused an edit: then the request must not go on.
    pub fn turn(
        &mut self,
        wish: &Wish<'_>,
        before: Option<&Wish<'_>>,
        original: &Original,
        headers: &mut dyn RequestHeaders,
    ) -> bool {
        self.take_back(wish, before, headers)
            && turn_authority(wish, before, original, headers)
            && turn_path(wish, before, original, headers)
            && turn_length(wish, before, original, headers)
            && turn_credential(wish, before, headers)
            && self.write(wish, headers)
    }

    /// Restores what the attempt before has written over by its upstream's own headers.
    fn take_back(&self, wish: &Wish<'_>, before: Option<&Wish<'_>>, headers: &mut dyn RequestHeaders) -> bool {
        let written = before.map(|before| before.upstream.headers.as_slice()).unwrap_or_default();
        written.iter().filter(|(name, _)| !names(wish.upstream, name)).all(|(name, _)| {
            match self.0.iter().find(|(known, _)| known == name) {
                Some((_, Some(value))) => headers.set(name, value),
                Some((_, None)) | None => headers.remove(name),
            }
        })
    }

    fn write(&mut self, wish: &Wish<'_>, headers: &mut dyn RequestHeaders) -> bool {
        wish.upstream.headers.iter().all(|(name, value)| {
            if !self.0.iter().any(|(known, _)| known == name) {
                self.0.push((name.clone(), headers.get(name)));
            }
            headers.set(name, value)
        })
    }
}

fn names(upstream: &Upstream, header: &str) -> bool {
    upstream.headers.iter().any(|(name, _)| name == header)
}

fn turn_authority(
    wish: &Wish<'_>,
    before: Option<&Wish<'_>>,
    original: &Original,
    headers: &mut dyn RequestHeaders,
) -> bool {
    let authority = |wish: &Wish<'_>| wish.upstream.host.clone().unwrap_or_else(|| original.authority.clone());
    match (before, &wish.upstream.host) {
        (None, None) => true,
        (None, Some(host)) => *host == original.authority || headers.set(":authority", host),
        (Some(before), _) => authority(before) == authority(wish) || headers.set(":authority", &authority(wish)),
    }
}

fn turn_path(
    wish: &Wish<'_>,
    before: Option<&Wish<'_>>,
    original: &Original,
    headers: &mut dyn RequestHeaders,
) -> bool {
    let path = |wish: &Wish<'_>| wish.upstream.path(wish.endpoint, &original.path, wish.model);
    let now = before.map_or(Cow::Borrowed(original.path.as_str()), path);
    let wanted = wish.upstream.path(wish.endpoint, &original.path, wish.model);
    now == wanted || headers.set(":path", &wanted)
}

fn turn_length(
    wish: &Wish<'_>,
    before: Option<&Wish<'_>>,
    original: &Original,
    headers: &mut dyn RequestHeaders,
) -> bool {
    let now = before.map(|before| before.length).or(original.length);
    now == Some(wish.length) || headers.set("content-length", &wish.length.to_string())
}

/// The client's own credentials are gone by now; only an attempt can have put one there.
fn turn_credential(wish: &Wish<'_>, before: Option<&Wish<'_>>, headers: &mut dyn RequestHeaders) -> bool {
    let wanted = wish.upstream.credential(wish.endpoint.dialect());
    let there = before.and_then(|before| before.upstream.credential(before.endpoint.dialect()));
    let removed = match (there, wanted) {
        (Some((there, _)), Some((wanted, _))) if there == wanted => true,
        (Some((there, _)), _) => headers.remove(there),
        (None, _) => true,
    };
    debug_assert!(there.is_none_or(|(header, _)| CREDENTIAL_HEADERS.contains(&header)));
    removed && wanted.is_none_or(|(header, value)| headers.set(header, value))
}
