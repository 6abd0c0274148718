//! An answer from the cache, as its client gets it.

use std::time::Duration;

use sluice::cache::{as_stream, content_type, CacheResult, Entry};
use sluice::exchange::{written_similarity, Exchange};
use sluice::wire_names::{CACHE_HEADER, KIND_HEADER, SIMILARITY_HEADER};

use crate::host;
use crate::types::Action;

/// A client's answer.
pub struct Answer {
    content_type: &'static str,
    age: u64,
    similarity: Option<f32>,
    body: Vec<u8>,
}

impl Answer {
    /// An entry in the form that the client wants; `None` if it cannot be the client's stream. `similarity`: of the entry's
    /// own request, if that is another one.
    pub fn of(exchange: &Exchange, entry: &Entry, similarity: Option<f32>, now: Duration) -> Option<Self> {
        let (parsed, form) = (exchange.parsed()?, exchange.stream_form());
        let body = match parsed.stream {
            true => as_stream(parsed.endpoint, &entry.body, form)?,
            false => entry.body.clone(),
        };
        let content_type = content_type(parsed.endpoint, parsed.stream, form);
        Some(Answer { content_type, age: entry.age(now).as_secs(), similarity, body })
    }

    /// Sends it, with the kind that a virtual model has found. It passes the other filters, as the answer of a model server
    /// does.
    pub fn reply(&self, kind: Option<&str>) -> Action {
        let age = self.age.to_string();
        let similarity = self.similarity.map(written_similarity);
        let mut headers =
            vec![("content-type", self.content_type), (CACHE_HEADER, CacheResult::Hit.name()), ("age", &age)];
        headers.extend(similarity.as_deref().map(|similarity| (SIMILARITY_HEADER, similarity)));
        headers.extend(kind.map(|kind| (KIND_HEADER, kind)));
        host::reply(200, "sluice:cache", &headers, &self.body);
        Action::Pause
    }
}
