//! The ledger of a fleet: what each request has used, for good, and how much is left of the limits that several Envoys
//! share. One process beside them, and none is needed without it.
//!
//! tonic and prost speak gRPC, axum HTTP on the same port; rusqlite brings SQLite along, and postgres is the client that
//! most others are built on. Of all of them only what is used is compiled.

mod day;
mod import;
mod keeper;
mod limits;
mod metrics;
pub mod proto;
mod record;
mod server;
mod store;
mod usage;

pub use import::{import, Imported};
pub use limits::{Decision, Full, Limits};
pub use record::{NoRecord, Record, Subject, Sums};
pub use server::serve;
pub use store::{open, Counter, Failed, Revocation, Rollup, Span, Store};
pub use usage::{Form, Query, Table};
