use sluice::codec::{Forgettable, SharedRecord};
use sluice::health::Health;

use super::at;

#[test]
fn unknown_records() {
    let mut health = Health::default();
    let _ = health.eject(None, at(1));
    let bytes = health.encode();
    let with = |index: usize, value| {
        let mut bytes = bytes.to_vec();
        bytes[index] = value;
        bytes
    };
    assert_eq!(Health::decode(&bytes), health);
    for (name, bytes) in [
        ("nothing", vec![]),
        ("cut", bytes[..bytes.len() - 1].to_vec()),
        ("longer", [&bytes[..], &[0]].concat()),
        ("another version", with(0, 2)),
        ("another reason", with(1, 7)),
    ] {
        assert_eq!(Health::decode(&bytes), Health::default(), "{name}");
    }
}
