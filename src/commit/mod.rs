//! Whether an answer is worth committing to.
//!
//! Once a byte of an answer is on its way to the client, no other target can be tried. A status of 200 says
//! little: a model server that fails while it answers says so in the body. So the beginning of a stream is
//! held until it shows that something comes of it ([`FirstEvent`]), a JSON answer until it is all there and shows to be
//! one ([`Document`]); and an error until it says who is to blame ([`Refusal`]), or that a model with a longer context
//! would not make it ([`is_context_length_exceeded`]).

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
