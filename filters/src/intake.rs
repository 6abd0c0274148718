//! Takes a request in: whichever of `auth` and `router` comes first reads the headers and the body, and
//! opens the exchange.

use std::rc::Rc;

use sluice::contract::{is_reserved_header, CREDENTIAL_HEADERS};
use sluice::endpoint::{classify, without_parameter, Call, Endpoint};
use sluice::error::{ApiError, Shape};
use sluice::exchange::{Exchange, Original};
use sluice::facts;
use sluice::keys::Identity;

use crate::host::{self, Buffer, HeaderPairs, Headers};
use crate::registry::{self, Opened, Shared};

/// A request whose headers have been taken in, and whose body is awaited.
pub struct Intake {
    exchange: Shared,
    endpoint: Endpoint,
    path_model: Option<String>,
    /// Ends the exchange with the filter that took the request in.
    _opened: Opened,
}

/// Why a request was not taken in, and the shape its client expects that in.
pub struct Refusal {
    /// The error.
    pub error: ApiError,
    /// Its shape.
    pub shape: Shape,
}

impl Intake {
    /// Takes in the headers: asks `identify` who is calling, and removes whatever must not reach Envoy's
    /// router or an upstream.
    ///
    /// # Errors
    /// The caller is not known, or the path or method is not.
    pub fn open(
        identify: impl FnOnce(&HeaderPairs) -> Result<Option<Rc<Identity>>, ApiError>,
    ) -> Result<Intake, Refusal> {
        let headers = host::headers(Headers::Request);
        let path = headers.find(":path").unwrap_or_default();
        let shape = Shape::for_path(path);
        let refuse = |error| Refusal { error, shape };
        if !clean(&headers, path) {
            return Err(refuse(ApiError::internal("The gateway could not clean the request's headers.")));
        }
        let identity = identify(&headers).map_err(refuse)?;
        let method = headers.find(":method").unwrap_or_default();
        let (endpoint, path_model) = match classify(method, path) {
            Call::Body(endpoint) => (endpoint, None),
            Call::Path(endpoint, model) => (endpoint, Some(model)),
            Call::WrongMethod(allowed) => return Err(refuse(ApiError::method_not_allowed(method, allowed))),
            Call::Unknown => return Err(refuse(ApiError::unknown_path(method, path))),
        };
        let original = Original {
            authority: headers.find(":authority").unwrap_or_default().to_owned(),
            path: without_parameter(path, "key").into_owned(),
            length: headers.find("content-length").and_then(|length| length.parse().ok()),
        };
        let exchange = Exchange::new(identity, original);
        let (opened, exchange) = registry::open(exchange)
            .ok_or_else(|| refuse(ApiError::internal("The gateway could not keep the request.")))?;
        Ok(Intake { exchange, endpoint, path_model, _opened: opened })
    }

    /// Reads the body, once all of it is there, and leaves its facts in the exchange.
    ///
    /// # Errors
    /// The body is not what the endpoint takes.
    pub fn body(&mut self, size: usize) -> Result<&Shared, ApiError> {
        let body = match size {
            0 => Vec::new(),
            size => host::bytes(Buffer::RequestBody, size).unwrap_or_default(),
        };
        let facts = facts::read(self.endpoint, self.path_model.take(), &body)?;
        self.exchange.borrow_mut().facts = Some(facts);
        Ok(&self.exchange)
    }

    /// The shape this request's client expects errors in.
    pub fn shape(&self) -> Shape {
        Shape::for_path(&self.exchange.borrow().original.path)
    }
}

/// Removes the client's key and whatever would steer the gateway or Envoy; answers must come unencoded to
/// be read.
fn clean(headers: &HeaderPairs, path: &str) -> bool {
    let mut clean = true;
    for (name, value) in headers.iter() {
        if CREDENTIAL_HEADERS.contains(&name) || (is_reserved_header(name) && !name.starts_with(':')) {
            clean &= host::remove_header(Headers::Request, name);
        } else if name == "accept-encoding" && value != "identity" {
            clean &= host::set_header(Headers::Request, name, "identity");
        }
    }
    if let std::borrow::Cow::Owned(path) = without_parameter(path, "key") {
        clean &= host::set_header(Headers::Request, ":path", &path);
    }
    clean
}
