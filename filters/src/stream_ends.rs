//! Which servers mark the end of a streamed answer, as learned by all workers (see [`sluice::stream_ends`]).

use std::cell::RefCell;

use sluice::codec::Changed;
use sluice::endpoint::Endpoint;
use sluice::routing::Upstream;
use sluice::stream_ends::StreamEnds;
use sluice::wire_names::STREAM_ENDS;

use crate::data_version;
use crate::host::shared_data;

/// This worker's copy.
#[derive(Default)]
struct LocalCopy {
    ends: StreamEnds,
    /// The data version when it was read.
    seen: Option<u64>,
}

thread_local! {
    static LOCAL: RefCell<LocalCopy> = RefCell::default();
}

impl LocalCopy {
    /// Whether a server marks its end; if this worker does not know, it reads the other workers' knowledge.
    fn knows(&mut self, upstream: &Upstream, endpoint: Endpoint) -> bool {
        if !self.ends.knows(&upstream.cluster, endpoint) && self.seen != Some(data_version::latest()) {
            self.seen = Some(data_version::latest());
            self.ends = shared_data::record(STREAM_ENDS);
        }
        self.ends.knows(&upstream.cluster, endpoint)
    }
}

/// Whether this upstream's stream counts as cut without a last event.
pub fn is_strict(upstream: &Upstream, endpoint: Endpoint) -> bool {
    let learnt = || LOCAL.with_borrow_mut(|known| known.knows(upstream, endpoint));
    upstream.strict_end.unwrap_or_else(learnt)
}

/// A stream of this upstream had its last event.
pub fn learn(upstream: &Upstream, endpoint: Endpoint) {
    if upstream.strict_end.is_some() {
        return;
    }
    LOCAL.with_borrow_mut(|known| {
        if known.knows(upstream, endpoint) {
            return;
        }
        known.seen = Some(data_version::latest());
        let mut is_new = false;
        let ends = shared_data::update(STREAM_ENDS, |ends: &mut StreamEnds| {
            is_new = ends.learn(&upstream.cluster, endpoint); // or another worker has learned it, or there are too many
            Changed::when(is_new)
        });
        if let Some(ends) = ends {
            known.ends = ends;
            if is_new {
                data_version::advance();
            }
        }
    });
}
