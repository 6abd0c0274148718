//! The models that the caller may use, and their limits.

use super::caller::RouteRequest;
use super::Exchange;
use crate::error::ApiError;
use crate::limits::{self, Limits};
use crate::routing::{Model, RouteInput, Table};

impl Exchange {
    /// The request's data for a route.
    pub(super) fn caller(&self) -> RouteRequest<'_> {
        RouteRequest::new(self.identity.as_deref(), self.phase.request())
    }

    /// The names of the models the caller may use, including aliases but not patterns.
    pub fn usable_models<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = &'a str> {
        let names = table.models().iter().flat_map(Model::names).filter(|name| !name.ends_with('*'));
        names.filter(|name| self.caller().may_use(name))
    }

    /// All limits that apply to the caller: its own, the gateway's, and those of the models it may use.
    pub fn limits(&self, table: &Table) -> Vec<(limits::Subject, Limits)> {
        let usable = |model: &&Model| model.names().any(|name| self.caller().may_use(name));
        let models = table.models().iter().filter(usable);
        let models = models.map(|model| (limits::Subject::Model(model.name.as_str().into()), model.limits));
        self.reported.iter().cloned().chain(models).filter(|(_, limits)| !limits.is_unlimited()).collect()
    }

    /// 404: the model does not exist, with the ones that do.
    pub fn unknown_model(&self, table: &Table, name: &str) -> ApiError {
        if self.is_passed() {
            return ApiError::unknown_path("this method", name);
        }
        let allowed = |model: &&str| self.caller().may_use(model);
        let names: Vec<&str> = table.models().iter().map(|model| model.name.as_str()).filter(allowed).collect();
        ApiError::model_not_found(format!(
            "The model `{name}` does not exist or you do not have access to it. Models you can use: {}.",
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        ))
    }
}
