//! The cache: looks for a request's answer before a model server is asked, and keeps the answer afterwards.
//!
//! | file | what |
//! |---|---|
//! | `lookup` | the steps of a request until it has an answer, or goes on |
//! | `memory` | entries and flights in the data that all workers share |
//! | `flights` | this worker's flights, and the requests that wait for others |
//! | `place` | which model's cache it is |
//! | `similar` | those of a request that looks for a similar one |
//! | `services` | calls to Webdis, embeddings, vector databases |
//! | `vectors` | what similar requests are found by |
//! | `hit` | an answer as its client gets it |
//! | `keeping` | an answer on its way to the client, to be kept |

mod flights;
mod hit;
mod keeping;
mod lookup;
mod memory;
mod place;
mod services;
mod similar;
mod vectors;

pub use keeping::Keeping;
pub use lookup::{go_on, look, needs_body, Looked, Pending};
pub use services::answered;

/// Does the work that waits for time. Called on each tick.
pub fn work() {
    flights::work();
    services::work();
}
