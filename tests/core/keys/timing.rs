//! Whether the time of a refusal reveals the right key; only native, because WebAssembly has no clock.

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::hint::black_box;
    use std::time::Instant;

    use sluice::keys::{KeyHash, KeyRing};

    use super::super::{identity, NOW};

    const RIGHT: &str = "sk-5f1c2a9be07d4836a1b2c3d4e5f60718";
    const WRONG_KEYS: usize = 50_000;
    /// Above this value two means differ by more than chance (the usual bound for timing leaks).
    const BOUND: f64 = 4.5;

    /// A wrong key that shares this many first characters with the right one.
    fn wrong(shared: usize, number: usize) -> String {
        let other = RIGHT.chars().skip(shared).enumerate();
        let changed = other.map(|(place, c)| match (c, (number >> (place % 16)) & 1) {
            ('x', _) => 'y',
            (_, 0) => 'x',
            (_, _) => 'z',
        });
        RIGHT.chars().take(shared).chain(changed).collect()
    }

    /// Welch's t of two samples, without the slowest tenth of each, which was interrupted.
    fn welch(one: &[f64], other: &[f64]) -> f64 {
        let parts = [one, other].map(|sample| {
            let mut sample = sample.to_vec();
            sample.sort_by(f64::total_cmp);
            sample.truncate(sample.len() * 9 / 10);
            let count = sample.len() as f64;
            let mean = sample.iter().sum::<f64>() / count;
            let variance = sample.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
            (mean, variance / count)
        });
        let [(one, of_one), (other, of_other)] = parts;
        (one - other) / (of_one + of_other).sqrt()
    }

    /// The times of refusals, alternating between keys that share no, half, and all but one character with the right
    /// one.
    fn measure() -> [Vec<f64>; 3] {
        let mut ring = KeyRing::default();
        ring.insert(KeyHash::of(RIGHT), identity("one"));
        let shares = [0, RIGHT.len() / 2, RIGHT.len() - 1];
        let mut times = shares.map(|_| Vec::with_capacity(WRONG_KEYS / 3 + 1));
        // the order changes, so that other load on the machine affects all alike
        let classes = (0..WRONG_KEYS).map(|number| (number + number / 3) % 3);
        // made beforehand, because making them changes the caches
        let keys: Vec<_> = classes.enumerate().map(|(number, class)| (class, wrong(shares[class], number))).collect();
        for (class, key) in keys {
            let begun = Instant::now();
            let found = ring.find(black_box(&key), NOW);
            times[class].push(begun.elapsed().as_nanos() as f64);
            assert!(found.is_err(), "{key}");
        }
        assert!(ring.find(RIGHT, NOW).is_ok());
        times
    }

    #[test]
    fn the_shared_prefix_does_not_show() {
        // a leak shows every time, load on the machine does not
        let worst = (0..3).map(|_| {
            let [none, half, most] = measure();
            let statistics = [welch(&none, &half), welch(&none, &most), welch(&half, &most)];
            println!("Welch's t, prefixes of 0, half, all but one characters: {statistics:.2?}");
            statistics.into_iter().map(f64::abs).fold(0.0, f64::max)
        });
        assert!(worst.into_iter().any(|worst| worst < BOUND));
    }
}
