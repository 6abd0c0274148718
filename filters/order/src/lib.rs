//! Lays the functions of a WebAssembly module out in the order in which they run.
//!
//! V8 places the machine code of functions in the order of the module. Where those that one request runs stand side by
//! side, the processor finds more of them in its caches.

mod layout;
mod module;
mod record;

pub use layout::in_order;
pub use module::{Module, Unreadable};
pub use record::recording;
