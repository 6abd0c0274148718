//! Reading of single fields from a passing answer.

use super::Exchange;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::keys::Role;
use crate::parsed_request::ParsedRequest;
use crate::routing::{ClusterState, ResponseModel, Route, Table};
use crate::splice::ModelNameRewriter;
use crate::stored::{StoredId, StoringCluster};
use crate::wire_names::ANONYMOUS;

impl Exchange {
    /// The reader of a passing answer; `None` if nothing is read.
    pub fn splice(&self, translated: bool) -> Option<ModelNameRewriter> {
        let (route, parsed) = (self.routed()?, self.parsed()?);
        let model = self.writes_model().then_some(parsed.model.as_str());
        let is_response = parsed.endpoint == Endpoint::Responses && !parsed.by_id && !translated && !self.is_encoded();
        let wants_id = is_response && route.table().remembers_responses().is_some();
        (model.is_some() || wants_id).then(|| ModelNameRewriter::new(parsed.endpoint, parsed.stream, model, wants_id))
    }

    /// Whether the request passes to its upstream unread.
    pub fn is_passed(&self) -> bool {
        self.parsed().is_some_and(ParsedRequest::is_passed)
    }

    /// Whether the client's name of the model replaces the target's.
    pub fn writes_model(&self) -> bool {
        let wanted = self.routed().is_some_and(|route| route.table().response_model == ResponseModel::Requested);
        wanted && !self.is_encoded() && self.parsed().is_some_and(|parsed| parsed.endpoint.answers_in_json())
    }

    /// The ids that the current upstream stores, after its answer with this response id: the response, and its
    /// conversation.
    pub fn stores<'a>(&'a self, id: &'a str) -> impl Iterator<Item = StoredId> + 'a {
        let conversation = self.parsed().and_then(|parsed| parsed.stored.conversation());
        std::iter::once(id).chain(conversation).map(|id| StoredId::of(self.key(), id))
    }

    /// The current upstream's identity in the table of stored ids.
    pub fn storing_cluster(&self) -> Option<StoringCluster> {
        self.routed().and_then(Route::upstream).map(|upstream| StoringCluster::of(&upstream.cluster))
    }

    /// The upstream that stores the response or conversation that the request continues, if it is known.
    ///
    /// # Errors
    /// 400, or 404 for what is asked for by its id: the configuration has it no more.
    pub(super) fn storing_upstream(
        &self,
        table: &Table,
        clusters: &dyn ClusterState,
    ) -> Result<Option<usize>, ApiError> {
        let Some(parsed) = self.parsed().filter(|parsed| !parsed.stored.0.is_empty()) else {
            return Ok(None);
        };
        let known = |id: &String| {
            clusters.storing_cluster(if parsed.by_id { self.stored_id(id) } else { StoredId::of(self.key(), id) })
        };
        let storing_cluster = table.stored_responses.and_then(|_| parsed.stored.0.iter().find_map(known));
        let Some(storing_cluster) = storing_cluster else {
            return if parsed.by_id { Err(ApiError::response_not_found()) } else { Ok(None) };
        };
        let place =
            table.upstreams().iter().position(|upstream| StoringCluster::of(&upstream.cluster) == storing_cluster);
        place.map(Some).ok_or_else(|| self.stored_elsewhere())
    }

    /// The id of the requested stored response in the table: the caller's own, or any for an administrator.
    pub fn stored_id(&self, id: &str) -> StoredId {
        match &self.identity {
            Some(identity) if identity.role == Role::Admin => StoredId::of_anyone(id),
            Some(_) | None => StoredId::of(self.key(), id),
        }
    }

    /// The upstream that stores it does not serve the model (any more).
    pub(super) fn stored_elsewhere(&self) -> ApiError {
        match self.parsed().is_some_and(|parsed| parsed.by_id) {
            true => ApiError::response_not_found(),
            false => ApiError::stored_elsewhere(),
        }
    }

    fn key(&self) -> &str {
        self.identity.as_ref().map_or(ANONYMOUS, |identity| &identity.id)
    }
}
