//! What each attempt must change in the request's headers.
//!
//! All attempts of a request share one header map: what one attempt wrote is still there for the next, the
//! credential included. So each turn to another target also takes back what the one before wanted and this
//! one does not.

use std::borrow::Cow;

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

/// A turn from one target to another.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// What the client sent.
    pub original: &'a Original,
    /// What the attempt before has made of it.
    pub before: Option<&'a Wish<'a>>,
    /// What it must look like now.
    pub wish: &'a Wish<'a>,
}

impl Turn<'_> {
    /// Edits the headers. `false` if the host refused an edit: then the request must not go on.
    pub fn apply(&self, overwritten: &mut Overwritten, headers: &mut dyn RequestHeaders) -> bool {
        self.take_back(overwritten, headers)
            && self.authority(headers)
            && self.path(headers)
            && self.length(headers)
            && self.credential(headers)
            && self.own(overwritten, headers)
    }

    /// Restores what the attempt before has written over by its upstream's own headers.
    fn take_back(&self, overwritten: &Overwritten, headers: &mut dyn RequestHeaders) -> bool {
        let written = self.before.map(|before| before.upstream.headers.as_slice()).unwrap_or_default();
        let kept = |name: &str| self.wish.upstream.headers.iter().any(|(kept, _)| kept == name);
        written.iter().filter(|(name, _)| !kept(name)).all(|(name, _)| {
            match overwritten.0.iter().find(|(known, _)| known == name) {
                Some((_, Some(value))) => headers.set(name, value),
                Some((_, None)) | None => headers.remove(name),
            }
        })
    }

    fn authority(&self, headers: &mut dyn RequestHeaders) -> bool {
        let hosts =
            [self.before.and_then(|before| before.upstream.host.as_deref()), self.wish.upstream.host.as_deref()];
        let [now, wanted] = hosts.map(|host| host.unwrap_or(&self.original.authority));
        now == wanted || headers.set(":authority", wanted)
    }

    fn path(&self, headers: &mut dyn RequestHeaders) -> bool {
        let original = self.original.path.as_str();
        let path = |wish: &Wish<'_>| wish.upstream.path(wish.endpoint, original, wish.model);
        let now = self.before.map_or(Cow::Borrowed(original), path);
        let wanted = path(self.wish);
        now == wanted || headers.set(":path", &wanted)
    }

    fn length(&self, headers: &mut dyn RequestHeaders) -> bool {
        let now = self.before.map(|before| before.length).or(self.original.length);
        now == Some(self.wish.length) || headers.set("content-length", &self.wish.length.to_string())
    }

    /// The client's own credentials are gone by now; only an attempt can have put one there.
    fn credential(&self, headers: &mut dyn RequestHeaders) -> bool {
        let wanted = self.wish.upstream.credential(self.wish.endpoint.dialect());
        let there = self.before.and_then(|before| before.upstream.credential(before.endpoint.dialect()));
        let removed = match (there, wanted) {
            (Some((there, _)), Some((wanted, _))) if there == wanted => true,
            (Some((there, _)), _) => headers.remove(there),
            (None, _) => true,
        };
        removed && wanted.is_none_or(|(header, value)| headers.set(header, value))
    }

    /// Sets the upstream's own headers, and remembers what stood there.
    fn own(&self, overwritten: &mut Overwritten, headers: &mut dyn RequestHeaders) -> bool {
        self.wish.upstream.headers.iter().all(|(name, value)| {
            if !overwritten.0.iter().any(|(known, _)| known == name) {
                overwritten.0.push((name.clone(), headers.get(name)));
            }
            headers.set(name, value)
        })
    }
}
