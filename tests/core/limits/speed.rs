//! The cost of an admission; only native, because WebAssembly has no clock.

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn an_admission_is_cheap() {
    use std::time::{Duration, Instant};

    use sluice::codec::{Forgettable, SharedRecord};
    use sluice::limits::{LimitRecord, Limits};

    use super::{ask, at, requests, NONE, WIDE};

    let minute = Limits { tokens_per_minute: Some(1 << 40), ..requests(1 << 40) };
    for (name, limits) in [("requests", requests(1 << 40)), ("minute", minute), ("all", WIDE), ("none", NONE)] {
        let mut bytes = Vec::new();
        let mut spent = Vec::new();
        for round in 0..10_000 {
            let now = at(0) + Duration::from_millis(round * 10);
            let begun = Instant::now();
            let mut record = LimitRecord::decode(&bytes);
            record.admit(&limits, ask(100), now).unwrap();
            bytes = record.encode();
            spent.push(begun.elapsed().as_nanos());
        }
        // the median, because other programs use the machine too
        spent.sort_unstable();
        let median = spent[spent.len() / 2];
        println!("{name}: {median} ns per decode, admission and encode; {} bytes", bytes.len());
    }
}
