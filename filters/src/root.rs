//! What all filters have in common: they read their configuration once, refuse to start on a mistake, and
//! make one context per stream.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use sluice::config::ConfigError;

use crate::host::{self, Buffer};

/// Reads a filter's configuration.
pub type Configure<C> = fn(&[u8]) -> Result<C, ConfigError>;
/// Makes a filter's context for one stream.
pub type Open<C> = fn(&Rc<C>) -> Box<dyn HttpContext>;

/// The root context of a filter with the configuration `C`.
pub struct Root<C> {
    configure: Configure<C>,
    open: Open<C>,
    config: Option<Rc<C>>,
}

impl<C: 'static> Root<C> {
    /// A filter that is yet to be configured.
    pub fn filter(configure: Configure<C>, open: Open<C>) -> Box<dyn RootContext> {
        Box::new(Root { configure, open, config: None })
    }
}

impl<C> Context for Root<C> {}

impl<C: 'static> RootContext for Root<C> {
    fn on_configure(&mut self, size: usize) -> bool {
        let bytes = host::bytes(Buffer::Configuration, size).unwrap_or_default();
        match (self.configure)(&bytes) {
            Ok(config) => {
                self.config = Some(Rc::new(config));
                true
            }
            Err(error) => {
                log::error!("sluice: the configuration is refused: {error}");
                false
            }
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        // Envoy opens no stream on a filter whose configuration was refused
        Some(match &self.config {
            Some(config) => (self.open)(config),
            None => Box::new(Closed),
        })
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// A filter of a name that there is not.
struct Unknown(String);

/// Refuses to start a filter of an unknown name.
pub fn refuse(root_id: &str) -> Box<dyn RootContext> {
    Box::new(Unknown(root_id.to_owned()))
}

impl Context for Unknown {}

impl RootContext for Unknown {
    fn on_configure(&mut self, _: usize) -> bool {
        let name = &self.0;
        log::error!("sluice: root_id: no filter {name:?}; there is auth, guard, router, usage, attempt");
        false
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Closed))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Lets nothing through.
struct Closed;

impl Context for Closed {}

impl HttpContext for Closed {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> proxy_wasm::types::Action {
        crate::reply::internal("a filter without configuration was asked for a request")
    }
}
