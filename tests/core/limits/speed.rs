//! What an admission costs; natively only, since WebAssembly has no clock.

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn an_admission_is_cheap() {
    use std::time::{Duration, Instant};

    use sluice::limits::{Limits, Record};

    use super::{ask, at, requests, NONE, WIDE};

    let minute = Limits { tokens_per_minute: Some(1 << 40), ..requests(1 << 40) };
    for (name, limits) in [("requests", requests(1 << 40)), ("minute", minute), ("all", WIDE), ("none", NONE)] {
        let mut bytes = Vec::new();
        let rounds = 10_000u32;
        let mut spent = Duration::ZERO;
        for round in 0..rounds {
            let now = at(0) + Duration::from_millis(u64::from(round) * 10);
            let begun = Instant::now();
            let mut record = Record::decode(&bytes);
            record.admit(&limits, ask(100), now).unwrap();
            bytes.clear();
            record.encode_into(&mut bytes);
            spent += begun.elapsed();
        }
        println!("{name}: {} ns per decode, admission and encode; {} bytes", (spent / rounds).as_nanos(), bytes.len());
    }
}
