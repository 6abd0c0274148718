//! The text endpoints: several texts of one request are sent to the gateway itself, and answers get the endpoint's form.

mod answer;
mod calls;
mod secret;

pub use answer::{reshaped, Reshaping};
pub use calls::{answered, begin, work};
pub use secret::caller;
