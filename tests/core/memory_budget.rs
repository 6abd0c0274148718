//! How a VM's memory is divided.

use std::time::Duration;

use sluice::codec::{Forgettable, SharedRecord};
use sluice::memory_budget::{MemoryBudget, Peak, Purpose};

const MIB: usize = 1 << 20;

#[test]
fn sizes_from_the_environment() {
    let cases: [(Option<&str>, Option<&str>, Result<(usize, usize), &str>); 9] = [
        (None, None, Ok((256, 512))),
        (Some("64MiB"), None, Ok((64, 512))),
        (None, Some("2GiB"), Ok((256, 2048))),
        (Some("32768KiB"), Some("8MiB"), Ok((32, 8))),
        (Some("1GiB"), None, Err("SLUICE_MEMORY: must be a size from 32MiB to 768MiB")),
        (Some("1MiB"), None, Err("SLUICE_MEMORY: must be a size from 32MiB to 768MiB")),
        (Some("256"), None, Err("SLUICE_MEMORY: must be a size from 32MiB to 768MiB")),
        (Some(""), None, Err("SLUICE_MEMORY: must be a size from 32MiB to 768MiB")),
        (None, Some("99999999999999GiB"), Err("SLUICE_BODIES: must be a size from 8MiB to 3GiB")),
    ];
    for (memory, bodies, want) in cases {
        let environment = |name: &str| match name {
            "SLUICE_MEMORY" => memory.map(str::to_owned),
            "SLUICE_BODIES" => bodies.map(str::to_owned),
            _ => None,
        };
        let read = MemoryBudget::read(&environment);
        match (read, want) {
            (Ok(budget), Ok(want)) => assert_eq!((budget.memory / MIB, budget.bodies / MIB), want),
            (Err(error), Err(want)) => assert!(error.to_string().starts_with(want), "{error}"),
            (read, want) => panic!("{memory:?} {bodies:?}: {read:?}, not {want:?}"),
        }
    }
}

#[test]
fn small_requests_are_refused_last() {
    let budget = MemoryBudget { memory: 100 * MIB, bodies: 100 * MIB };
    let cases = [
        (0, [100, 75, 75, 50, 50]),
        (49, [51, 26, 26, 1, 1]),
        (50, [50, 25, 25, 0, 0]),
        (75, [25, 0, 0, 0, 0]),
        (100, [0, 0, 0, 0, 0]),
        (1000, [0, 0, 0, 0, 0]),
    ];
    let purposes = [Purpose::Request, Purpose::Body, Purpose::Check, Purpose::Answer, Purpose::Kept];
    for (used, want) in cases {
        assert_eq!(purposes.map(|purpose| budget.room(purpose, used * MIB) / MIB), want, "{used}");
    }
    assert!(budget.most() > budget.memory);
}

#[test]
fn bodies_share_the_budget() {
    let budget = MemoryBudget { memory: 100 * MIB, bodies: 10 * MIB };
    for (under_way, more, want) in
        [(0, 64, true), (2, 8, true), (3, 8, false), (11, 0, false), (1, usize::MAX / MIB, false)]
    {
        assert_eq!(budget.fits_body(under_way * MIB, more * MIB), want, "{under_way} {more}");
    }
}

#[test]
fn the_peak_of_all_vms_is_shown_and_expires() {
    let at = Duration::from_millis;
    let mut peak = Peak::default();
    assert!(peak.report(10, 1, at(1_000_000)).is_some());
    assert_eq!(peak.report(30, 3, at(1_001_000)), None);
    assert_eq!(peak.report(20, 7, at(1_004_999)), None);
    let shown = peak.report(10, 2, at(1_005_000)).unwrap();
    assert_eq!((shown.size, shown.used), (30, 7));
    // the VM with 30 is gone
    let shown = peak.report(11, 2, at(1_011_000)).unwrap();
    assert_eq!((shown.size, shown.used), (11, 2));
    let shown = peak.report(12, 2, at(5)).unwrap(); // the clock has been set back
    assert_eq!(shown.size, 12);
    assert_eq!(Peak::decode(&peak.encode()), peak);
    for bytes in [&b""[..], b"short", &[1; 23]] {
        assert_eq!(Peak::decode(bytes), Peak::default());
    }
}
