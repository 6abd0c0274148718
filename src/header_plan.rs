//! The changes of the request's headers for each attempt.
//!
//! All attempts of a request share one header map, so an attempt's headers, including the credential, are still there
//! for the next one. So each change of the target also undoes the previous target's changes.

use std::borrow::Cow;

use crate::endpoint::Endpoint;
use crate::exchange::Original;
use crate::routing::Upstream;
use crate::translate::Pair;

/// The headers that a cluster's own filter, which signs requests or adds a token, leaves in the shared header map.
const SIGNATURE_HEADERS: [&str; 4] = ["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];

/// The request's headers at the host.
pub trait RequestHeaders {
    /// Visits all headers, with the name in lower case. Expensive, so an attempt calls it at most once.
    fn read(&self, see: &mut dyn FnMut(&str, &[u8]));
    /// Sets a header to one value; `false` if the host refused.
    fn set(&mut self, name: &str, value: &[u8]) -> bool;
    /// Removes a header; `false` if the host refused.
    fn remove(&mut self, name: &str) -> bool;
}

/// The target's request.
#[derive(Clone, Copy, Debug)]
pub struct TargetRequest<'a> {
    /// The cluster.
    pub upstream: &'a Upstream,
    /// The operation at the upstream.
    pub endpoint: Endpoint,
    /// How the request is translated, if it is.
    pub pair: Option<Pair>,
    /// Whether the answer should be a stream.
    pub stream: bool,
    /// The target's name of the model.
    pub model: &'a str,
    /// The body's length; `None` if it is only known once the body is complete.
    pub length: Option<usize>,
}

impl TargetRequest<'_> {
    /// The path the upstream expects.
    fn path<'p>(&self, original: &'p str) -> Cow<'p, str> {
        let asked = self.pair.map_or(original, |pair| pair.path(self.stream));
        self.upstream.path(self.endpoint, asked, self.model)
    }

    /// Whether it overwrites or removes a header.
    fn writes(&self, name: &str) -> bool {
        self.headers().any(|(own, _)| own == name)
    }

    /// The headers that it overwrites and those that it removes: the dialect's, then the upstream's own.
    fn headers(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let dialect = self.pair.map(Pair::headers).unwrap_or_default().iter().copied();
        dialect.chain(self.upstream.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))))
    }
}

/// The client headers that an upstream's own `headers` have overwritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overwritten(Vec<(String, Option<Vec<u8>>)>);

/// The change from one target to another.
#[derive(Clone, Copy)]
pub struct HeaderDiff<'a> {
    /// The client's headers.
    pub original: &'a Original,
    /// The previous attempt's request.
    pub before: Option<&'a TargetRequest<'a>>,
    /// This attempt's request.
    pub after: &'a TargetRequest<'a>,
}

impl HeaderDiff<'_> {
    /// Edits the headers. `false` if the host refused an edit: then the request must not be sent.
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

    /// Reads the headers if that is necessary: those to be overwritten, which it remembers, and those to be removed,
    /// which it returns together with Envoy's own additions.
    fn read(&self, overwritten: &mut Overwritten, headers: &mut dyn RequestHeaders) -> Vec<(String, Option<Vec<u8>>)> {
        let kept = &self.original.kept_back;
        let known = overwritten.0.len();
        for (name, _) in self.after.headers() {
            if !kept.has(name) && !overwritten.0.iter().any(|(known, _)| known == name) {
                overwritten.0.push((name.to_owned(), None));
            }
        }
        let new = overwritten.0.get_mut(known..).unwrap_or_default();
        let stands = |name: &&str| self.stands(name) && !self.after.upstream.forwarded.has(name);
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

    /// Whether an unforwarded header is still there, as the client sent it.
    fn stands(&self, name: &str) -> bool {
        !self.after.writes(name)
            && self.before.is_none_or(|before| before.upstream.forwarded.has(name) && !before.writes(name))
    }

    /// Restores the headers that the previous upstream's own headers have overwritten.
    fn take_back(&self, overwritten: &Overwritten, headers: &mut dyn RequestHeaders) -> bool {
        let kept = &self.original.kept_back;
        let mut written =
            self.before.into_iter().flat_map(TargetRequest::headers).filter(|(name, _)| !self.after.writes(name));
        written.all(|(name, _)| match overwritten.0.iter().find(|(known, _)| known == name) {
            Some((_, Some(value))) => headers.set(name, value),
            None if kept.has(name) && self.after.upstream.forwarded.has(name) => headers.set(name, &kept.line(name)),
            Some((_, None)) | None => headers.remove(name),
        })
    }

    /// Removes the client headers that this upstream must not see, and restores those that it must.
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
            let forwarded = [before, self.after].map(|after| after.upstream.forwarded.has(name));
            forwarded == [false, true] && ![before, self.after].iter().any(|after| after.writes(name))
        };
        kept.names().filter(is_new).all(|name| headers.set(name, &kept.line(name)))
    }

    /// An upstream without a `host` gets its cluster's name: it must not see the client's name for the gateway.
    fn authority(&self, headers: &mut dyn RequestHeaders) -> bool {
        let now = self.before.map_or(self.original.authority.as_str(), |before| before.upstream.authority());
        let wanted = self.after.upstream.authority();
        now == wanted || headers.set(":authority", wanted.as_bytes())
    }

    fn path(&self, headers: &mut dyn RequestHeaders) -> bool {
        let original = self.original.path.as_str();
        let now = self.before.map_or(Cow::Borrowed(original), |before| before.path(original));
        let wanted = self.after.path(original);
        now == wanted || headers.set(":path", wanted.as_bytes())
    }

    fn length(&self, headers: &mut dyn RequestHeaders) -> bool {
        let now = self.before.map_or(self.original.length, |before| before.length);
        let set = |wanted: usize| headers.set("content-length", wanted.to_string().as_bytes());
        self.after.length.filter(|wanted| now != Some(*wanted)).is_none_or(set)
    }

    /// The client's own credentials are already removed; only an attempt can have set one.
    fn credential(&self, headers: &mut dyn RequestHeaders) -> bool {
        let wanted = self.after.upstream.credential(self.after.endpoint.dialect());
        let there = self.before.and_then(|before| before.upstream.credential(before.endpoint.dialect()));
        let removed = match (there, wanted) {
            (Some((there, _)), Some((wanted, _))) if there == wanted => true,
            (Some((there, _)), _) => headers.remove(there),
            (None, _) => true,
        };
        // a target without its own credential may have got one from a filter of its cluster
        let signed = there.is_none() && self.before.is_some();
        let cleared = !signed || SIGNATURE_HEADERS.iter().all(|name| headers.remove(name));
        removed && cleared && wanted.is_none_or(|(header, value)| headers.set(header, value.as_bytes()))
    }

    /// Sets the upstream's own headers, and removes headers that its dialect does not use.
    fn own(&self, overwritten: &Overwritten, headers: &mut dyn RequestHeaders) -> bool {
        let stood = |name: &str| overwritten.0.iter().any(|(known, value)| known == name && value.is_some());
        self.after.headers().all(|(name, value)| match value {
            Some(value) => headers.set(name, value.as_bytes()),
            None if stood(name) || self.original.kept_back.has(name) => headers.remove(name),
            None => true,
        })
    }
}
