//! The names under which a request is counted.

use super::Exchange;
use crate::contract::{ANONYMOUS, NONE, OTHER};
use crate::routing::Route;

impl Exchange {
    /// The name of the model, where the configuration leaves it to the client.
    pub fn chosen_name(&self) -> Option<&str> {
        let model = self.route.as_ref().and_then(Route::model)?;
        model.name.ends_with('*').then(|| self.model_name())
    }

    /// Whether a target has answered successfully, as far as one can tell by now.
    pub fn has_succeeded(&self) -> bool {
        matches!(self.answered, Some(200..=299)) && self.replaced.is_none() && !self.interrupted && !self.no_answer
    }

    /// The key, the model and the cluster as labels: names from the configuration wherever there is one. Of those that
    /// clients choose only the ones that are told apart.
    pub fn labels(&self) -> (&str, &str, &str) {
        let key = self.identity.as_ref().map_or(ANONYMOUS, |identity| identity.id.as_str());
        let model = self.route.as_ref().and_then(Route::model).map(|model| model.name.as_str());
        let model = match (model, &self.facts) {
            (Some(name), Some(facts)) if name.ends_with('*') && self.told_apart => facts.model.as_str(),
            (Some(name), _) if name.ends_with('*') => OTHER,
            (Some(name), _) => name,
            (None, _) => NONE,
        };
        let cluster = self.route.as_ref().and_then(Route::upstream).map_or(NONE, |upstream| upstream.cluster.as_str());
        (key, model, cluster)
    }
}
