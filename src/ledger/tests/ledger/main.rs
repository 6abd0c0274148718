//! The ledger without its network: storage, sums and limits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod limits;
mod records;
mod revocations;
mod usage;
mod windows;

use std::path::PathBuf;

use sluice_ledger::{open, Store};

/// A store in its own directory, which is removed with it.
struct Kept {
    store: Box<dyn Store>,
    directory: PathBuf,
}

impl Kept {
    fn new(name: &str) -> Kept {
        let directory = std::env::temp_dir().join(format!("sluice-ledger-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Kept { store: open(directory.join("ledger.db").to_str().unwrap()).unwrap(), directory }
    }

    /// The state after a restart.
    fn again(&mut self) {
        self.store = open(self.directory.join("ledger.db").to_str().unwrap()).unwrap();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A line of the access log: the third call of a day, by Alice.
fn line(id: &str, day: &str, fields: &str) -> String {
    format!(
        r#"{{"start_time":"{day}T10:00:00.5Z","request_id":"{id}","method":"POST","status":200,"details":"via_upstream","flags":"-","sluice":{{"key":"alice","model":"gpt-4o","cluster":"a","attempts":1,{fields}"input_tokens":10,"output_tokens":5,"source":"reported","cost_microusd":7}}}}"#
    )
}
