//! What upstreams store for their clients, and which of them, as all workers know it (see [`sluice::stored`]).

use sluice::contract::stored_part;
use sluice::exchange::Exchange;
use sluice::routing::Route;
use sluice::stored::{Keeper, Part, StoredId};

use crate::host;

/// How often what another worker was faster with is tried again at once.
const MAX_TRIES: usize = 20;

/// Which cluster stores what an id names, and the model that made it.
pub fn find(id: StoredId) -> Option<(Keeper, String)> {
    let (bytes, _) = host::shared(&stored_part(id.part()))?;
    let part = Part::decode(&bytes);
    part.find(id, host::now()).map(|(keeper, model)| (keeper, model.to_owned()))
}

/// The current upstream has answered with a response of this id, and stores it.
pub fn keep(exchange: &Exchange, id: &str) {
    let time = exchange.routed().map(Route::table).and_then(|table| table.remembers_responses());
    let (Some(time), Some(keeper)) = (time, exchange.as_keeper()) else {
        return;
    };
    let now = host::now();
    for id in exchange.stores(id) {
        let key = stored_part(id.part());
        for _ in 0..MAX_TRIES {
            let (bytes, version) = host::shared(&key).unwrap_or((Vec::new(), host::ABSENT));
            let mut part = Part::decode(&bytes);
            part.add(id, keeper, exchange.model_name(), now.saturating_add(time), now);
            if host::set_shared(&key, &part.encode(), version) {
                break;
            }
        }
    }
}
