//! Virtual models: finds the kind of a request's prompt, and gives the request the model of that kind.
//!
//! | file | what |
//! |---|---|
//! | `choosing` | the steps of a request until its kind is known |
//! | `calls` | a request's call to the service that tells kinds |
//! | `examples` | the vectors of the examples, which this worker keeps |
//! | `remembered` | this worker's earlier choices, and all workers' conversations |

mod calls;
mod choosing;
mod examples;
mod remembered;

#[cfg(test)]
pub use calls::MAX_CALLS;
pub use choosing::{choose, go_on, Chosen, Pending};

/// A call has been answered, or has failed: then there are no headers.
pub fn answered(call: u32, headers: usize, size: usize) {
    calls::answered(call, headers, size);
    examples::answered(call, headers, size);
}

/// Does the work that waits for time. Called on each tick.
pub fn work() {
    examples::work();
}
