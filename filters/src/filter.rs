//! The common parts of all filters: they read their configuration once, refuse to start on a mistake, and create one
//! context per stream.

use std::rc::Rc;

use sluice::config::ConfigError;

use crate::reply;
use crate::types::{Action, HttpContext};

/// A filter in envoy.yaml.
pub trait Filter {
    /// Reads the configuration.
    ///
    /// # Errors
    /// The first mistake in it.
    fn configure(&mut self, bytes: &[u8]) -> Result<(), ConfigError>;

    /// The filter's part in a stream with Envoy's number `context`. `None` if it has none.
    fn open(&self, context: u32) -> Option<Box<dyn HttpContext>>;
}

/// How a filter with the configuration `C` joins a stream.
type Join<C> = fn(&Rc<C>, u32) -> Option<Box<dyn HttpContext>>;

/// A filter whose streams share the configuration `C`.
struct Configured<C> {
    read: fn(&[u8]) -> Result<C, ConfigError>,
    open: Join<C>,
    config: Option<Rc<C>>,
}

/// A filter that reads its configuration with `read`, and joins a stream with `open`.
pub fn filter<C: 'static>(read: fn(&[u8]) -> Result<C, ConfigError>, open: Join<C>) -> Box<dyn Filter> {
    Box::new(Configured { read, open, config: None })
}

impl<C> Filter for Configured<C> {
    fn configure(&mut self, bytes: &[u8]) -> Result<(), ConfigError> {
        self.config = Some(Rc::new((self.read)(bytes)?));
        Ok(())
    }

    fn open(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        match &self.config {
            Some(config) => (self.open)(config, context),
            None => Some(closed()), // Envoy opens no stream on a filter whose configuration was refused
        }
    }
}

/// The stream of a filter without a configuration: it refuses every request.
pub fn closed() -> Box<dyn HttpContext> {
    Box::new(Closed)
}

/// Lets nothing through.
struct Closed;

impl HttpContext for Closed {
    fn on_http_request_headers(&mut self, _: bool) -> Action {
        reply::internal("a filter without configuration was asked for a request")
    }
}
