//! Orders the functions of a WebAssembly module by the order in which they run.
//!
//! V8 places the machine code of functions in the order of the module. If the functions of a request are next to each
//! other, the processor's caches hold more of them.

mod inlining;
mod layout;
mod module;
mod record;

pub use layout::in_order;
pub use module::{Module, Unreadable};
pub use record::recording;
