//! The text endpoints, such as `/builtin/translate`: texts in, answers in the same order out.
//!
//! A request that needs one answer becomes an ordinary chat request ([`Task`]), and its answer gets the endpoint's form. One
//! with several texts becomes several such requests of the gateway to itself ([`Batch`]), each with a token that stands
//! for the caller ([`sign`]).

mod answer;
mod batch;
mod fields;
mod questions;
mod request;
mod token;

/// What is left to do for a request to a text endpoint.
#[derive(Debug)]
pub enum TextWork {
    /// Its answer gets the endpoint's form.
    Answer(Task),
    /// Its texts are sent one by one.
    Several(Box<Batch>),
}

pub use answer::Task;
pub use batch::{Batch, MAX_RESULTS};
pub use request::{read, TextRequest};
pub use token::{sign, verify, TOKEN_TIME};
