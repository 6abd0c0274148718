//! What each attempt must change in the request's headers.
//!
//! All attempts of a request share one header map: what one attempt wrote is still there for the next, the
//! credential included. So each turn to another target also takes back what the one before wanted and this
//! one does not.

use std::borrow::Cow;

use crate::endpoint::Endpoint;
use crate::exchange::Original;
use crate::routing::Upstream;
use crate::translate::Pair;

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
    /// What is asked for, at the upstream.
    pub endpoint: Endpoint,
    /// How the request is translated, if it is.
    pub pair: Option<Pair>,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// The model, as the target calls it.
    pub model: &'a str,
    /// The body's length; `None` if that is known only once the body is there.
    pub length: Option<usize>,
}

impl Wish<'_> {
    /// The path the upstream expects.
    fn path<'p>(&self, original: &'p str) -> Cow<'p, str> {
        let asked = self.pair.map_or(original, |pair| pair.path(self.stream));
        self.upstream.path(self.endpoint, asked, self.model)
    }

    /// The headers that it writes over, and those that it removes: the dialect's, then the upstream's own.
    fn headers(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let dialect = self.pair.map(Pair::headers).unwrap_or_default().iter().copied();
        dialect.chain(self.upstream.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))))
    }
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
        let kept = |name: &str| self.wish.headers().any(|(kept, _)| kept == name);
        let mut written = self.before.into_iter().flat_map(Wish::headers).filter(|(name, _)| !kept(name));
        written.all(|(name, _)| match overwritten.0.iter().find(|(known, _)| known == name) {
            Some((_, Some(value))) => headers.set(name, value),
            Some((_, None)) | None => headers.remove(name),
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
        let now = self.before.map_or(Cow::Borrowed(original), |before| before.path(original));
        let wanted = self.wish.path(original);
        now == wanted || headers.set(":path", &wanted)
    }

    fn length(&self, headers: &mut dyn RequestHeaders) -> bool {
        let now = self.before.map_or(self.original.length, |before| before.length);
        self.wish.length.is_none_or(|wanted| now == Some(wanted) || headers.set("content-length", &wanted.to_string()))
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
        self.wish.headers().all(|(name, value)| {
            if !overwritten.0.iter().any(|(known, _)| known == name) {
                overwritten.0.push((name.to_owned(), headers.get(name)));
            }
            match value {
                Some(value) => headers.set(name, value),
                None => headers.remove(name),
            }
        })
    }
}
