//! Decides whether to commit to an answer.
//!
//! Once a byte of an answer has gone to the client, no other target can be tried. Status 200 proves little: a model
//! server that fails during its answer reports that in the body. So a stream's start is held until it is valid
//! ([`FirstEvent`]), and a JSON answer until it is complete and valid ([`Document`]). An error is held until its cause
//! is known ([`Refusal`]), or that a model with a longer context would accept the request
//! ([`is_context_length_exceeded`]).

mod codes;
mod context_length;
mod document;
mod first_event;
mod refusal;
mod words;

pub use context_length::is_context_length_exceeded;
pub use document::Document;
pub use first_event::{Fault, FirstEvent, Gate, MAX_HELD};
pub use refusal::Refusal;
