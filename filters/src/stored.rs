//! The ids that upstreams store for their clients, shared by all workers (see [`sluice::stored`]).

use sluice::codec::{Changed, SharedRecord};
use sluice::exchange::Exchange;
use sluice::routing::Route;
use sluice::stored::{Keeper, Part, StoredId};
use sluice::wire_names::stored_part;

use crate::host::{self, shared_data};

/// The cluster that stores an id, and the model that made it.
pub fn find(id: StoredId) -> Option<(Keeper, String)> {
    let part = Part::parse(&shared_data::read(&stored_part(id.part()))?)?;
    part.find(id, host::now()).map(|(keeper, model)| (keeper, model.to_owned()))
}

/// The current upstream has answered with this response id, and stores it.
pub fn keep(exchange: &Exchange, id: &str) {
    let time = exchange.routed().map(Route::table).and_then(|table| table.remembers_responses());
    let (Some(time), Some(keeper)) = (time, exchange.as_keeper()) else {
        return;
    };
    let now = host::now();
    for id in exchange.stores(id) {
        shared_data::update(&stored_part(id.part()), |part: &mut Part| {
            part.add(id, keeper, exchange.model_name(), now.saturating_add(time), now);
            Changed::Write
        });
    }
}
