//! A request whose texts are being extracted.

use sluice::exchange::Exchange;
use sluice::guard::api::Failure;
use sluice::guard::checks::CheckSubject;
use sluice::guard::texts::{Extracted, Extraction};
use sluice::memory_budget::Purpose;

use super::config::Config;
use super::slices::{self, Unextracted};
use crate::budget::{self, Promise};
use crate::host::{self, Buffer};

/// The memory of a body relative to its size: as received, as texts, and in questions.
const COPIES: usize = 3;

/// Its body, and the texts so far.
pub(super) struct Extracting {
    body: Vec<u8>,
    extraction: Extraction,
    /// For what its texts and questions will need.
    promise: Promise,
}

impl Extracting {
    /// Gets the body of a request.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn of_request(exchange: &Exchange) -> Result<Self, Unextracted> {
        let form = exchange.parsed().and_then(|parsed| parsed.form.as_deref()).map(|form| form.to_json().0);
        let size = match &form {
            Some(json) => json.len(),
            None => exchange.parsed().map_or(0, |parsed| parsed.layout.length),
        };
        if !budget::admits_beside_promises(Purpose::Check, size.saturating_mul(COPIES)) {
            return Err(Unextracted::Busy);
        }
        let body = match (form, exchange.whole_body()) {
            (Some(json), _) => Some(json.into_bytes()),
            (None, Some(body)) => Some(body.to_vec()),
            (None, None) => host::bytes(Buffer::RequestBody, usize::MAX),
        };
        let promise = Promise::new(size.saturating_mul(COPIES - 1));
        body.map(|body| Extracting { body, extraction: Extraction::of_request(), promise }).ok_or(Unextracted::Busy)
    }

    /// Goes on for one slice. `None`: there is more.
    pub fn go_on(&mut self) -> Option<Result<(), Unextracted>> {
        slices::extract(&mut self.extraction, &self.body)
    }

    /// The body and its texts, after the last slice.
    pub fn finish(self) -> (Vec<u8>, Extracted) {
        drop(self.promise);
        (self.body, self.extraction.finish())
    }
}

impl Unextracted {
    /// Counts that no check could be made, if it is for lack of memory. Returns whether a check passes nothing then.
    pub fn fail(&self, config: &Config, subject: &CheckSubject<'_>) -> bool {
        let failure = match self {
            Unextracted::Unreadable(_) => Failure::Shape,
            Unextracted::Busy => Failure::Busy,
        };
        config.fail(subject, failure)
    }
}
