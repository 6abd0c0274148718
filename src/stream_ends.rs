//! Which servers mark the end of a streamed answer.
//!
//! Each dialect has a last event (`[DONE]`, a finish reason, `message_stop`, `response.completed`, `done:true`), and
//! many small servers leave it out. Their complete answers only have a proper end of the stream. A server that has sent
//! the event once always sends it, so an answer without it is cut.

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};
use crate::endpoint::Endpoint;
use crate::hash::stable;

/// The maximum number of remembered clusters. Further ones are not learned.
pub const MAX_CLUSTERS: usize = 4096;

/// The clusters whose servers send the last event, by endpoint: shared by all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamEnds {
    /// Sorted by hash.
    clusters: Vec<(u64, u16)>,
}

impl StreamEnds {
    /// Whether a cluster's server has sent it at this endpoint.
    ///
    /// ```
    /// use sluice::codec::{Forgettable, SharedRecord};
    /// use sluice::stream_ends::StreamEnds;
    /// use sluice::endpoint::Endpoint;
    ///
    /// let mut ends = StreamEnds::default();
    /// assert!(ends.learn("vllm", Endpoint::ChatCompletions) && !ends.learn("vllm", Endpoint::ChatCompletions));
    /// assert!(ends.knows("vllm", Endpoint::ChatCompletions) && !ends.knows("vllm", Endpoint::Completions));
    /// assert_eq!(StreamEnds::decode(&ends.encode()), ends);
    /// ```
    pub fn knows(&self, cluster: &str, endpoint: Endpoint) -> bool {
        let found = self.find(stable(cluster.as_bytes())).ok().and_then(|at| self.clusters.get(at));
        found.is_some_and(|(_, endpoints)| endpoints & bit(endpoint) != 0)
    }

    /// Notes that its server has sent it. Returns whether that is new.
    pub fn learn(&mut self, cluster: &str, endpoint: Endpoint) -> bool {
        let hash = stable(cluster.as_bytes());
        match self.find(hash) {
            Ok(at) => self.clusters.get_mut(at).is_some_and(|(_, endpoints)| {
                let before = *endpoints;
                *endpoints |= bit(endpoint);
                *endpoints != before
            }),
            Err(_) if self.clusters.len() >= MAX_CLUSTERS => false,
            Err(at) => {
                self.clusters.insert(at, (hash, bit(endpoint)));
                true
            }
        }
    }

    fn find(&self, hash: u64) -> Result<usize, usize> {
        self.clusters.binary_search_by_key(&hash, |(hash, _)| *hash)
    }
}

/// The number of clusters, and for each the hash of its name, and a bit for each endpoint.
impl SharedRecord for StreamEnds {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        out.number(self.clusters.len() as u64);
        for (hash, endpoints) in &self.clusters {
            out.u64(*hash);
            out.u16(*endpoints);
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let length = input.number()?;
        let clusters = input.list(length, MAX_CLUSTERS, |input| Some((input.u64()?, input.u16()?)))?;
        clusters.is_sorted_by(|(one, _), (next, _)| one < next).then_some(StreamEnds { clusters })
    }
}

/// Unreadable bytes are an empty table, which is soon learned again.
impl Forgettable for StreamEnds {}

fn bit(endpoint: Endpoint) -> u16 {
    1 << match endpoint {
        Endpoint::ChatCompletions => 0,
        Endpoint::Completions => 1,
        Endpoint::Embeddings => 2,
        Endpoint::Responses => 3,
        Endpoint::Messages => 4,
        Endpoint::OllamaChat => 5,
        Endpoint::OllamaGenerate => 6,
        Endpoint::OllamaEmbed => 7,
        Endpoint::GenerateContent => 8,
        Endpoint::StreamGenerateContent => 9,
        Endpoint::Further(further) if further.makes_images() => 13,
        Endpoint::Further(_) => 10,
        Endpoint::Converse => 11,
        Endpoint::ConverseStream => 12,
    }
}
