//! The shared limits of a request.

use super::Exchange;
use crate::limits::shared::SharedLimits;

impl Exchange {
    /// A service is to count the request for all Envoys.
    pub fn share(&mut self, shared: SharedLimits) {
        self.shared = Some(Box::new(shared));
    }

    /// Who counts it for all Envoys, if anyone does.
    pub fn shared(&self) -> Option<&SharedLimits> {
        self.shared.as_deref()
    }

    /// The service has not counted the request itself, so it must be charged with the usage.
    pub fn uncounted(&mut self) {
        if let Some(shared) = &mut self.shared {
            shared.uncounted = true;
        }
    }

    /// What is to be charged for the request, which counts no more.
    pub fn take_shared(&mut self) -> Option<Box<SharedLimits>> {
        self.shared.take()
    }
}
