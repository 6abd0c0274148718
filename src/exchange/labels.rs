//! The names under which a request is counted.

use super::answer::AnswerState;
use super::Exchange;
use crate::routing::Route;
use crate::wire_names::{ANONYMOUS, NONE, OTHER};

impl Exchange {
    /// The configured name of the model that serves the request, or has served it before.
    fn configured_name(&self) -> Option<&str> {
        match self.routed().and_then(Route::model) {
            Some(model) => Some(&model.name),
            None => self.cached().map(|cached| cached.model.as_str()),
        }
    }

    /// The model's name, if clients can choose it.
    pub fn chosen_name(&self) -> Option<&str> {
        let model = self.configured_name()?;
        model.ends_with('*').then(|| self.model_name())
    }

    /// Whether a target has answered successfully, as far as is known now.
    pub fn has_succeeded(&self) -> bool {
        let is_good = |answer: &AnswerState| {
            matches!(answer.status, Some(200..=299)) && answer.replaced.is_none() && answer.spoiled().is_none()
        };
        match self.answer_state() {
            Some(answer) => is_good(answer),
            None => self.is_hit() && self.replaced().is_none(),
        }
    }

    /// The key, the model and the cluster as labels: configured names if possible. Of the names that clients choose,
    /// only the distinguished ones.
    pub fn labels(&self) -> (&str, &str, &str) {
        let key = self.identity.as_ref().map_or(ANONYMOUS, |identity| identity.id.as_str());
        let model = match (self.configured_name(), self.parsed()) {
            (Some(name), Some(parsed)) if name.ends_with('*') && self.told_apart => parsed.model.as_str(),
            (Some(name), _) if name.ends_with('*') => OTHER,
            (Some(name), _) => name,
            (None, _) => NONE,
        };
        let cluster = self.routed().and_then(Route::upstream).map_or(NONE, |upstream| upstream.cluster.as_str());
        (key, model, cluster)
    }

    /// The cluster whose answer passes to the client; `None` if there is none.
    pub fn answering_cluster(&self) -> Option<&str> {
        self.answered()?;
        self.routed()?.upstream().map(|upstream| upstream.cluster.as_str())
    }

    /// The client's name of the model; empty until the body has been read.
    pub fn model_name(&self) -> &str {
        self.parsed().map_or("", |parsed| parsed.model.as_str())
    }

    /// The outcome of each attempt, for the answer's headers: `a=connect_failure:dns, b=success`.
    pub fn attempts(&self) -> String {
        let mut out = String::new();
        let Some(route) = self.routed() else {
            return out;
        };
        let spoiled = self.answer_state().and_then(AnswerState::spoiled);
        let passing = self.passing().map(|outcome| spoiled.unwrap_or(outcome));
        let under_way = passing.and_then(|outcome| Some((route.upstream()?, outcome, None)));
        for (upstream, outcome, connect) in route.log().chain(under_way) {
            if !out.is_empty() {
                out.push_str(", ");
            }
            out.push_str(&upstream.name);
            out.push('=');
            out.push_str(outcome.label());
            if let Some(cause) = connect {
                out.push(':');
                out.push_str(cause.label());
            }
        }
        out
    }

    /// Whether the answer blames the client's request. (A 401 or 403 does not: the key is the gateway's.)
    pub fn blames_client(&self) -> bool {
        matches!(self.answered(), Some(400 | 404 | 405 | 413 | 415 | 422))
    }

    /// The number of attempts, including the one whose answer passes.
    pub fn attempt_count(&self) -> usize {
        let Some(route) = self.routed() else {
            return 0;
        };
        route.log().count() + usize::from(self.passing().is_some())
    }

    /// The current target's name of the model.
    pub fn target_model(&self) -> Option<&str> {
        let (route, parsed) = (self.routed()?, self.parsed()?);
        route.model_name(route.place(), &parsed.model)
    }
}
