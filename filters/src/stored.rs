//! The ids that upstreams store for their clients, shared by all workers (see [`sluice::stored`]).

use sluice::codec::{Changed, SharedRecord};
use sluice::exchange::Exchange;
use sluice::routing::Route;
use sluice::stored::{StoredId, StoringCluster, TablePart};
use sluice::wire_names::stored_part;

use crate::host::{self, shared_data};

/// The cluster that stores an id, and the model that made it.
pub fn find(id: StoredId) -> Option<(StoringCluster, String)> {
    let part = TablePart::parse(&shared_data::read(&stored_part(id.part()))?)?;
    part.find(id, host::now()).map(|(storing_cluster, model)| (storing_cluster, model.to_owned()))
}

/// The current upstream has answered with this response id, and stores it.
pub fn keep(exchange: &Exchange, id: &str) {
    let time = exchange.routed().map(Route::table).and_then(|table| table.remembers_responses());
    let (Some(time), Some(storing_cluster)) = (time, exchange.storing_cluster()) else {
        return;
    };
    let now = host::now();
    for id in exchange.stores(id) {
        shared_data::update(&stored_part(id.part()), |part: &mut TablePart| {
            part.add(id, storing_cluster, exchange.model_name(), now.saturating_add(time), now);
            Changed::Write
        });
    }
}
