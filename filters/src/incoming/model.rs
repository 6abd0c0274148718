//! Requests for a model: with the router's default model, a prompt of the library, and the model's settings.

use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::exchange::MAX_KEPT_BODY;
use sluice::intake::with_model;
use sluice::memory_budget::Purpose;
use sluice::parsed_request::{self, is_without_model, ParsedRequest};
use sluice::prompts::{expand, refers, Expanded};
use sluice::routing::Table;

use super::{permitted, Incoming};
use crate::budget;
use crate::settings;

impl Incoming {
    /// Takes in a request, whose model may be named in its path. `default_model`: the model of a request that names none.
    pub(super) fn model(
        &mut self,
        (endpoint, path_model): (Endpoint, Option<String>),
        body: Vec<u8>,
        default_model: impl FnOnce() -> Option<String>,
    ) -> Result<(), ApiError> {
        let (parsed, body) = match parsed_request::read(endpoint, path_model, &body) {
            Err(error) if is_without_model(&error) => {
                let body = with_model(&body, &default_model().ok_or(error)?)?;
                let parsed = parsed_request::read(endpoint, None, &body)?;
                self.may_offer_tools(endpoint, &body)?;
                let body = self.with_prompt(&parsed, &body)?.unwrap_or(body);
                return self.write(parsed_request::read(endpoint, None, &body)?, body);
            }
            read => (read?, body),
        };
        self.may_offer_tools(endpoint, &body)?;
        if let Some(body) = self.with_prompt(&parsed, &body)? {
            return self.write(parsed_request::read(endpoint, None, &body)?, body);
        }
        let spare = is_spared(&body);
        let mut exchange = self.exchange.borrow_mut();
        exchange.read(parsed, body);
        if spare {
            exchange.spare_body();
        }
        Ok(())
    }

    /// Takes in a request as its model's configuration wants it.
    #[cold]
    pub(super) fn prepare(
        &mut self,
        (endpoint, path_model): (Endpoint, Option<String>),
        body: Vec<u8>,
        table: &Table,
    ) -> Result<(), ApiError> {
        let has_length = self.exchange.borrow().original().length.is_some();
        let expanded = match path_model {
            None => self.expanded(endpoint, &body, table.default_model.as_deref())?,
            Some(_) => None,
        };
        let is_expanded = expanded.is_some();
        let body = expanded.unwrap_or(body);
        let (parsed, body) = settings::read((endpoint, path_model), (body, is_expanded), has_length, table)?;
        self.may_offer_tools(endpoint, &body)?;
        if !self.weight.grow(body.len()) {
            return Err(ApiError::out_of_memory());
        }
        let spare = is_spared(&body);
        let mut exchange = self.exchange.borrow_mut();
        exchange.prepared(parsed, body);
        if spare {
            exchange.spare_body();
        }
        Ok(())
    }

    /// Whether the caller may offer the tools in a body.
    fn may_offer_tools(&self, endpoint: Endpoint, body: &[u8]) -> Result<(), ApiError> {
        permitted::tools(self.exchange.borrow().identity(), self.tools.as_deref(), endpoint, body)
    }

    /// The body with the prompt of the library that it refers to, before anything else reads it. `None`: it refers to none.
    /// (A body that cannot be read is refused later.)
    fn expanded(
        &self,
        endpoint: Endpoint,
        body: &[u8],
        default_model: Option<&str>,
    ) -> Result<Option<Vec<u8>>, ApiError> {
        if self.library.is_none() || !refers(endpoint) {
            return Ok(None);
        }
        match parsed_request::read(endpoint, None, body) {
            Ok(parsed) => self.with_prompt(&parsed, body),
            Err(error) if is_without_model(&error) => match default_model {
                Some(model) => {
                    let body = with_model(body, model)?;
                    self.with_prompt(&parsed_request::read(endpoint, None, &body)?, &body)
                }
                None => Ok(None),
            },
            Err(_) => Ok(None),
        }
    }

    /// The body with the prompt of the library that it refers to; `None`: it refers to none.
    fn with_prompt(&self, parsed: &ParsedRequest, body: &[u8]) -> Result<Option<Vec<u8>>, ApiError> {
        let (Some(place), Some(library), true) = (&parsed.layout.reference, &self.library, refers(parsed.endpoint))
        else {
            return Ok(None);
        };
        let expanded = expand(library, parsed.endpoint, body, place.clone())?;
        Ok(expanded.map(|Expanded { body, name }| {
            self.exchange.borrow_mut().uses_prompt(&name);
            body
        }))
    }
}

/// Whether there is no room to keep a small body.
fn is_spared(body: &[u8]) -> bool {
    body.len() <= MAX_KEPT_BODY && budget::room(Purpose::Kept) == 0
}
