//! Which servers say that a streamed answer is complete.
//!
//! Each dialect has a last event that says so (`[DONE]`, a finish reason, `message_stop`, `response.completed`,
//! `done:true`), and many small servers leave it out: there a clean end of the stream is all that a whole answer has. A
//! server that has sent it once sends it always, so that its answer is cut where it is missing.

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};
use crate::endpoint::Endpoint;
use crate::hash::stable;

/// The most clusters that are remembered. What a further one does is not learnt.
pub const MAX_CLUSTERS: usize = 4096;

/// The clusters whose servers have said it, and at which endpoints: shared by all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// By hash, in ascending order.
    clusters: Vec<(u64, u16)>,
}

impl Ends {
    /// Whether a cluster's server has said it at this endpoint.
    ///
    /// ```
    /// use sluice::codec::{Forgettable, SharedRecord};
    /// use sluice::ends::Ends;
    /// use sluice::endpoint::Endpoint;
    ///
    /// let mut ends = Ends::default();
    /// assert!(ends.learn("vllm", Endpoint::ChatCompletions) && !ends.learn("vllm", Endpoint::ChatCompletions));
    /// assert!(ends.knows("vllm", Endpoint::ChatCompletions) && !ends.knows("vllm", Endpoint::Completions));
    /// assert_eq!(Ends::decode(&ends.encode()), ends);
    /// ```
    pub fn knows(&self, cluster: &str, endpoint: Endpoint) -> bool {
        let found = self.find(stable(cluster.as_bytes())).ok().and_then(|at| self.clusters.get(at));
        found.is_some_and(|(_, endpoints)| endpoints & bit(endpoint) != 0)
    }

    /// Its server has said it. Whether that is new.
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

/// How many clusters there are, and for each the hash of its name, and a bit for each endpoint.
impl SharedRecord for Ends {
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
        clusters.is_sorted_by(|(one, _), (next, _)| one < next).then_some(Ends { clusters })
    }
}

/// What cannot be read is forgotten, and soon learnt anew.
impl Forgettable for Ends {}

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
        Endpoint::Further(_) => 10,
        Endpoint::Converse => 11,
        Endpoint::ConverseStream => 12,
    }
}
