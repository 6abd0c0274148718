//! The caller's data for a route.

use super::phase::Request;
use crate::hash::stable;
use crate::keys::Identity;
use crate::parsed_request::ParsedRequest;
use crate::routing::{AffinityBy, RouteInput};
use crate::wire_names::ANONYMOUS;

/// The data of a request and its caller for a route.
pub(super) struct RouteRequest<'a> {
    pub(super) identity: Option<&'a Identity>,
    pub(super) parsed: Option<&'a ParsedRequest>,
    pub(super) body: &'a [u8],
}

impl<'a> RouteRequest<'a> {
    pub(super) fn new(identity: Option<&'a Identity>, request: Option<&'a Request>) -> Self {
        let body = request.map_or(&[][..], |request| &request.body);
        RouteRequest { identity, parsed: request.map(|request| &request.parsed), body }
    }
}

impl RouteInput for RouteRequest<'_> {
    fn affinity(&self, by: AffinityBy) -> u64 {
        let key = || stable(self.identity.map_or(ANONYMOUS, |identity| &identity.id).as_bytes());
        match by {
            AffinityBy::Key => key(),
            AffinityBy::User => self.parsed.and_then(|parsed| parsed.user).unwrap_or_else(key),
            AffinityBy::Prompt { bytes } => {
                let prompt = self.parsed.and_then(|parsed| self.body.get(parsed.layout.prompt..)).unwrap_or_default();
                stable(prompt.get(..bytes).unwrap_or(prompt))
            }
        }
    }

    fn model(&self) -> &str {
        self.parsed.map_or("", |parsed| &parsed.model)
    }

    fn may_use(&self, model: &str) -> bool {
        self.identity.is_none_or(|identity| identity.models.matches(model))
    }
}
