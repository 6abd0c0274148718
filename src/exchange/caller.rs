//! Who asks, as a route may know it.

use super::phase::Request;
use crate::facts::Facts;
use crate::hash::stable;
use crate::keys::Identity;
use crate::routing::{AffinityBy, RouteInput};
use crate::wire_names::ANONYMOUS;

/// What a route may know of a request and its caller.
pub(super) struct Caller<'a> {
    pub(super) identity: Option<&'a Identity>,
    pub(super) facts: Option<&'a Facts>,
    pub(super) body: &'a [u8],
}

impl<'a> Caller<'a> {
    pub(super) fn new(identity: Option<&'a Identity>, request: Option<&'a Request>) -> Self {
        let body = request.map_or(&[][..], |request| &request.body);
        Caller { identity, facts: request.map(|request| &request.facts), body }
    }
}

impl RouteInput for Caller<'_> {
    fn affinity(&self, by: AffinityBy) -> u64 {
        let key = || stable(self.identity.map_or(ANONYMOUS, |identity| &identity.id).as_bytes());
        match by {
            AffinityBy::Key => key(),
            AffinityBy::User => self.facts.and_then(|facts| facts.user).unwrap_or_else(key),
            AffinityBy::Prompt { bytes } => {
                let prompt = self.facts.and_then(|facts| self.body.get(facts.layout.prompt..)).unwrap_or_default();
                stable(prompt.get(..bytes).unwrap_or(prompt))
            }
        }
    }

    fn model(&self) -> &str {
        self.facts.map_or("", |facts| &facts.model)
    }

    fn may_use(&self, model: &str) -> bool {
        self.identity.is_none_or(|identity| identity.models.matches(model))
    }
}
