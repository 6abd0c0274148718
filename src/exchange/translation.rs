//! Translating a request, and its answer, for the current target.

use super::Exchange;
use crate::error::ApiError;
use crate::parsed_request::UsageOption;
use crate::routing::Route;
use crate::translate::{Notes, Pair, Platform, Reply, Target, Translated, MAX_OUTPUT_TOKENS};
use crate::usage::{Framing, Meter};

impl Exchange {
    /// Translates the request's body for the current target.
    ///
    /// # Errors
    /// 400 that names the field that the target does not support.
    pub fn translate(&self, pair: Pair, body: &[u8]) -> Result<Translated, ApiError> {
        let (Some(parsed), Some(route)) = (self.parsed(), self.routed()) else {
            return Err(ApiError::internal("The request was translated unread."));
        };
        let target = Target {
            model: route.model_name(route.place(), &parsed.model).unwrap_or(&parsed.model),
            stream: parsed.stream,
            include_usage: route.upstream().is_some_and(|upstream| upstream.include_usage),
            max_output_tokens: route.model().map_or(MAX_OUTPUT_TOKENS, |model| model.max_output_tokens),
            platform: Platform::Own,
        };
        pair.request(body, &target)
    }

    /// The inputs of the answer's translation. `now`: in seconds since the epoch.
    pub fn reply(&self, notes: Notes, now: u64) -> Reply {
        let parsed = self.parsed();
        Reply {
            created: now,
            id: self.id,
            include_usage: parsed.is_some_and(|parsed| parsed.layout.usage_option == UsageOption::Asked),
            prompt_tokens: parsed.map_or(0, |parsed| parsed.layout.text.div_ceil(4)),
            notes,
        }
    }

    /// A translated answer passes to the client: its usage is read in the provider's fields.
    pub fn meter_provider(&mut self) {
        let stream = self.parsed().is_some_and(|parsed| parsed.stream);
        let pair = self.routed().and_then(|route| route.pair_at(route.place()));
        let framing = match (stream, pair) {
            (true, Some(pair)) => pair.framing(),
            (true, None) => Framing::Sse,
            (false, _) => Framing::Json,
        };
        let format = self.routed().and_then(Route::upstream).map(|upstream| upstream.usage.format);
        let meter = Meter::new(framing, false).with_format(format.unwrap_or_default());
        if let Some(journey) = self.phase.journey_mut() {
            journey.answer.meter = Some(Box::new(meter));
        }
    }
}
