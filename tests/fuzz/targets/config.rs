//! Any bytes from Envoy are accepted or refused, and nothing prints a secret.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::config;

const SECRET: &str = "do not print this one, of 32 bytes";

fuzz_target!(|bytes: &[u8]| {
    let quotes_it = String::from_utf8_lossy(bytes).contains(SECRET);
    let environment = |_: &str| Some(SECRET.to_owned());
    let printed = match config::router(bytes, &environment) {
        Ok(table) => {
            for model in table.models() {
                assert!(table.find(&model.name).is_some(), "{} is not found", model.name);
                assert!(model.dialects().all(|dialect| !model.speaking(dialect).is_empty()));
            }
            format!("{table:?}")
        }
        Err(error) => error.to_string(),
    };
    assert!(quotes_it || !printed.contains(SECRET), "{printed}");
    let printed = match config::auth(bytes, &environment) {
        Ok(auth) => format!("{auth:?}"),
        Err(error) => error.to_string(),
    };
    assert!(quotes_it || !printed.contains(SECRET), "{printed}");
    let _ = config::none("attempt", bytes);
});
