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

/// What a cluster's own filter, which signs requests or adds a token, leaves among the headers that all attempts share.
const SIGNATURE_HEADERS: [&str; 4] = ["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];

/// The request's headers, as they stand at the host.
pub trait RequestHeaders {
    /// Shows all of them, name (in lower case) and value; dear, so that an attempt asks for it once at most.
    fn read(&self, see: &mut dyn FnMut(&str, &[u8]));
    /// Sets a header to one value; `false` if the host refused.
    fn set(&mut self, name: &str, value: &[u8]) -> bool;
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

    /// Whether it writes over a header, or removes it.
    fn writes(&self, name: &str) -> bool {
        self.headers().any(|(own, _)| own == name)
    }

    /// The headers that it writes over, and those that it removes: the dialect's, then the upstream's own.
    fn headers(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let dialect = self.pair.map(Pair::headers).unwrap_or_default().iter().copied();
        dialect.chain(self.upstream.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))))
    }
}

/// What headers of the client's an upstream's own `headers` have written over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overwritten(Vec<(String, Option<Vec<u8>>)>);

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
        let there = self.read(overwritten, headers);
        self.take_back(overwritten, headers)
            && self.keep_back(&there, headers)
            && self.authority(headers)
            && self.path(headers)
            && self.length(headers)
            && self.credential(headers)
            && self.own(overwritten, headers)
    }

    /// Reads what must be known of the headers as they stand, if anything must: what will be written over, which is
    /// remembered, and what is to go nowhere, which is returned with what Envoy has added to it of its own.
    fn read(&self, overwritten: &mut Overwritten, headers: &mut dyn RequestHeaders) -> Vec<(String, Option<Vec<u8>>)> {
        let kept = &self.original.kept_back;
        let known = overwritten.0.len();
        for (name, _) in self.wish.headers() {
            if !kept.has(name) && !overwritten.0.iter().any(|(known, _)| known == name) {
                overwritten.0.push((name.to_owned(), None));
            }
        }
        let new = overwritten.0.get_mut(known..).unwrap_or_default();
        let stands = |name: &&str| self.stands(name) && !self.wish.upstream.forwarded.has(name);
        let mut away: Vec<(&str, bool, Option<Vec<u8>>)> =
            kept.names().filter(stands).map(|name| (name, false, None)).collect();
        if !new.is_empty() || !away.is_empty() {
            headers.read(&mut |name, value| {
                if let Some((_, found)) = new.iter_mut().find(|(new, _)| new == name) {
                    *found = Some(value.to_vec());
                } else if let Some((_, there, others)) = away.iter_mut().find(|(away, ..)| *away == name) {
                    *there = true;
                    if !kept.has_value(name, value) {
                        *others = Some(value.to_vec());
                    }
                }
            });
        }
        let there = away.into_iter().filter(|(_, there, _)| *there);
        there.map(|(name, _, others)| (name.to_owned(), others)).collect()
    }

    /// Whether a header that is kept back stands among the headers by now, as the client sent it.
    fn stands(&self, name: &str) -> bool {
        !self.wish.writes(name)
            && self.before.is_none_or(|before| before.upstream.forwarded.has(name) && !before.writes(name))
    }

    /// Restores what the attempt before has written over by its upstream's own headers.
    fn take_back(&self, overwritten: &Overwritten, headers: &mut dyn RequestHeaders) -> bool {
        let kept = &self.original.kept_back;
        let mut written = self.before.into_iter().flat_map(Wish::headers).filter(|(name, _)| !self.wish.writes(name));
        written.all(|(name, _)| match overwritten.0.iter().find(|(known, _)| known == name) {
            Some((_, Some(value))) => headers.set(name, value),
            None if kept.has(name) && self.wish.upstream.forwarded.has(name) => headers.set(name, &kept.line(name)),
            Some((_, None)) | None => headers.remove(name),
        })
    }

    /// Removes those of the client's headers that this upstream must not see, and puts in those that it must.
    fn keep_back(&self, there: &[(String, Option<Vec<u8>>)], headers: &mut dyn RequestHeaders) -> bool {
        let kept = &self.original.kept_back;
        let gone = there.iter().all(|(name, others)| match others {
            Some(others) => headers.set(name, others),
            None => headers.remove(name),
        });
        let Some(before) = self.before.filter(|_| gone) else {
            return gone;
        };
        let is_new = |name: &&str| {
            let forwarded = [before, self.wish].map(|wish| wish.upstream.forwarded.has(name));
            forwarded == [false, true] && ![before, self.wish].iter().any(|wish| wish.writes(name))
        };
        kept.names().filter(is_new).all(|name| headers.set(name, &kept.line(name)))
    }

    /// An upstream without a `host` gets its cluster's name: what the client calls the gateway is not its business.
    fn authority(&self, headers: &mut dyn RequestHeaders) -> bool {
        let now = self.before.map_or(self.original.authority.as_str(), |before| before.upstream.authority());
        let wanted = self.wish.upstream.authority();
        now == wanted || headers.set(":authority", wanted.as_bytes())
    }

    fn path(&self, headers: &mut dyn RequestHeaders) -> bool {
        let original = self.original.path.as_str();
        let now = self.before.map_or(Cow::Borrowed(original), |before| before.path(original));
        let wanted = self.wish.path(original);
        now == wanted || headers.set(":path", wanted.as_bytes())
    }

    fn length(&self, headers: &mut dyn RequestHeaders) -> bool {
        let now = self.before.map_or(self.original.length, |before| before.length);
        let set = |wanted: usize| headers.set("content-length", wanted.to_string().as_bytes());
        self.wish.length.filter(|wanted| now != Some(*wanted)).is_none_or(set)
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
        // one without a credential of its own may have got one from a filter of its cluster's
        let signed = there.is_none() && self.before.is_some();
        let cleared = !signed || SIGNATURE_HEADERS.iter().all(|name| headers.remove(name));
        removed && cleared && wanted.is_none_or(|(header, value)| headers.set(header, value.as_bytes()))
    }

    /// Sets the upstream's own headers, and removes what its dialect has no use for, where that is there.
    fn own(&self, overwritten: &Overwritten, headers: &mut dyn RequestHeaders) -> bool {
        let stood = |name: &str| overwritten.0.iter().any(|(known, value)| known == name && value.is_some());
        self.wish.headers().all(|(name, value)| match value {
            Some(value) => headers.set(name, value.as_bytes()),
            None if stood(name) || self.original.kept_back.has(name) => headers.remove(name),
            None => true,
        })
    }
}
