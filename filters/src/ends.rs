//! Which servers say that a streamed answer is complete, as all workers have learnt it (see [`sluice::ends`]).

use std::cell::RefCell;

use sluice::contract::STREAM_ENDS;
use sluice::endpoint::Endpoint;
use sluice::ends::Ends;
use sluice::routing::Upstream;

use crate::changes;
use crate::host;

/// How often what another worker was faster with is tried again at once.
const MAX_TRIES: usize = 20;

/// What this worker knows.
#[derive(Default)]
struct Known {
    ends: Ends,
    /// How many changes there had been when that was read.
    seen: Option<u64>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

impl Known {
    fn read(&mut self) -> u32 {
        let (bytes, version) = host::shared(STREAM_ENDS).unwrap_or((Vec::new(), host::ABSENT));
        self.seen = Some(changes::latest());
        self.ends = Ends::decode(&bytes);
        version
    }

    /// Whether a server has said it; asks for what others have learnt where it is not known to.
    fn knows(&mut self, upstream: &Upstream, endpoint: Endpoint) -> bool {
        if !self.ends.knows(&upstream.cluster, endpoint) && self.seen != Some(changes::latest()) {
            self.read();
        }
        self.ends.knows(&upstream.cluster, endpoint)
    }
}

/// Whether a stream of this upstream is cut, if nothing in it says that it is complete.
pub fn are_said(upstream: &Upstream, endpoint: Endpoint) -> bool {
    let learnt = || KNOWN.with_borrow_mut(|known| known.knows(upstream, endpoint));
    upstream.strict_end.unwrap_or_else(learnt)
}

/// A stream of this upstream has said that it is complete.
pub fn learn(upstream: &Upstream, endpoint: Endpoint) {
    if upstream.strict_end.is_some() {
        return;
    }
    KNOWN.with_borrow_mut(|known| {
        if known.knows(upstream, endpoint) {
            return;
        }
        for _ in 0..MAX_TRIES {
            let version = known.read();
            if !known.ends.learn(&upstream.cluster, endpoint) {
                return; // another worker has, or there are too many
            }
            if host::set_shared(STREAM_ENDS, &known.ends.encode(), version) {
                changes::note();
                return;
            }
        }
    });
}
