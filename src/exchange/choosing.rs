//! An exchange's side of virtual models.

use super::Exchange;
use crate::endpoint::{Dialect, Endpoint};
use crate::error::ApiError;
use crate::kinds::{Choose, ConversationKey, Found, Service};
use crate::routing::{RouteInput, Table};
use crate::wire_names::ANONYMOUS;

/// The kind that a virtual model has found for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenKind {
    /// The virtual model's configured name.
    pub virtual_model: String,
    /// The kind's name.
    pub kind: String,
    /// How it was found.
    pub found: Found,
}

/// The kind of prompts that have none.
const OTHERWISE: &str = "otherwise";

/// A call to a service.
pub struct ServiceCall<'a> {
    /// The cluster.
    pub cluster: &'a str,
    /// Its headers, including the upstream's key.
    pub headers: Vec<(&'a str, &'a str)>,
}

impl<'a> ServiceCall<'a> {
    /// The path of a call to a model.
    pub fn path(table: &'a Table, service: &'a Service, endpoint: Endpoint, path: &str) -> Option<String> {
        let upstream = table.upstreams().get(service.upstream)?;
        Some(upstream.path(endpoint, path, &service.model).into_owned())
    }

    /// A call to a model at this path.
    pub fn new(table: &'a Table, service: &'a Service, path: &'a str) -> Option<Self> {
        let upstream = table.upstreams().get(service.upstream)?;
        let mut headers = vec![
            (":method", "POST"),
            (":path", path),
            (":authority", upstream.authority()),
            ("content-type", "application/json"),
        ];
        headers.extend(upstream.credential(Dialect::OpenAi));
        headers.extend(upstream.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Some(ServiceCall { cluster: &upstream.cluster, headers })
    }
}

impl Exchange {
    /// The conversation with a virtual model that begins with this text.
    pub fn conversation(&self, choose: &Choose, text: &str) -> ConversationKey {
        // a token's id may be chosen by its holder, and equal that of a configured key
        let caller = self.identity.as_ref().map_or_else(
            || ANONYMOUS.to_owned(),
            |identity| format!("{}:{}", if identity.issued { "token" } else { "key" }, identity.id),
        );
        ConversationKey::new(&caller, &choose.digest, text)
    }

    /// The model for a kind, by its index; `None`: for a prompt of no kind. A kind whose model the caller may not use is
    /// none.
    ///
    /// # Errors
    /// 403: the caller may use neither.
    pub fn model_of_kind<'a>(
        &self,
        virtual_model: &str,
        choose: &'a Choose,
        (kind, found): (Option<usize>, Found),
    ) -> Result<(&'a str, ChosenKind), ApiError> {
        let chosen =
            |kind: &str, found| ChosenKind { virtual_model: virtual_model.to_owned(), kind: kind.to_owned(), found };
        let kind = kind.and_then(|index| choose.kinds.get(index));
        match kind {
            Some(kind) if self.caller().may_use(&kind.model) => return Ok((&kind.model, chosen(&kind.name, found))),
            _ if self.caller().may_use(&choose.otherwise) => {
                let found = if kind.is_some() { Found::NotAllowed } else { found };
                return Ok((&choose.otherwise, chosen(OTHERWISE, found)));
            }
            _ => {}
        }
        Err(none_allowed(virtual_model))
    }

    /// Whether the caller may use any of a virtual model's models: else nobody need be asked for the kind.
    ///
    /// # Errors
    /// 403.
    pub fn may_use_any(&self, virtual_model: &str, choose: &Choose) -> Result<(), ApiError> {
        match choose.models().any(|model| self.caller().may_use(model)) {
            true => Ok(()),
            false => Err(none_allowed(virtual_model)),
        }
    }

    /// Stores the kind.
    pub fn set_kind(&mut self, kind: ChosenKind) {
        self.kind = Some(Box::new(kind));
    }

    /// The kind; `None` if the requested model is not virtual.
    pub fn kind(&self) -> Option<&ChosenKind> {
        self.kind.as_deref()
    }
}

fn none_allowed(virtual_model: &str) -> ApiError {
    ApiError::model_not_allowed(format!(
        "This key may not use the models that `{virtual_model}` chooses for this request."
    ))
}
