//! The ledger of a fleet: it stores each request's usage permanently, and counts the limits that several Envoys share.
//! It is one optional process beside the Envoys.
//!
//! tonic and prost speak gRPC, axum speaks HTTP on the same port; rusqlite includes SQLite, and postgres is the usual
//! synchronous client. Only the needed features are compiled.

mod day;
mod import;
mod limits;
mod metrics;
pub mod proto;
mod record;
mod revocation;
mod server;
mod store;
mod store_thread;
mod usage;
mod windows;

pub use import::{import, Imported};
pub use limits::{Decision, Full, Limits};
pub use record::{NoRecord, Record, Sums, UsageKey};
pub use revocation::RevokedId;
pub use server::serve;
pub use store::{open, Counter, Failed, Revocation, RevocationEdit, Rollup, Span, Store};
pub use usage::{Query, ReportFormat, Table};
pub use windows::windows;
