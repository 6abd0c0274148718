//! The services beside the Envoys.

use serde_json::Value;

use super::parts::{one_of, reference, text};

pub(super) fn shared(name: &str) -> Value {
    match name {
        "cluster" => text("the cluster of the service that counts for all Envoys"),
        "timeout" => reference("duration"),
        "on_failure" => one_of(["local", "deny"]),
        _ => text("the namespace of these limits at the service"),
    }
}

pub(super) fn access_log(name: &str) -> Value {
    match name {
        "file" => text("the file to write, instead of standard output"),
        _ => text("the service that gets each record as well, over gRPC: that of `sluice ledger`"),
    }
}

pub(super) fn ledger(name: &str) -> Value {
    match name {
        "cluster" => text("the cluster of `sluice ledger`"),
        "start_timeout" => reference("duration"),
        _ => reference("env"),
    }
}
