//! The patterns' precision and recall, for known false positives and false negatives of recognisers.

mod personal;
mod technical;

use sluice::guard::pii::{Entity, Patterns};

use personal::PERSONAL;
use technical::TECHNICAL;

/// An entity, examples of it, and at least fifty texts that only look like it.
struct Examples {
    entity: Entity,
    real: &'static [&'static str],
    alike: &'static [&'static str],
}

#[test]
fn precision_and_recall() {
    let mut wrong = Vec::new();
    for Examples { entity, real, alike } in PERSONAL.iter().chain(TECHNICAL) {
        assert!(alike.len() >= 50, "{}", entity.name());
        let patterns = Patterns::new(&[*entity], &[]).unwrap();
        let found = |text: &&&str| !patterns.find(text).is_empty();
        let (right, taken): (Vec<_>, Vec<_>) =
            (real.iter().filter(found).collect(), alike.iter().filter(found).collect());
        let precision = 100 * right.len() / (right.len() + taken.len()).max(1);
        println!("{}: precision {precision} %, recall {} %", entity.name(), 100 * right.len() / real.len());
        wrong.extend(taken.into_iter().map(|text| (entity.name(), "taken", *text)));
        wrong.extend(real.iter().filter(|text| !found(text)).map(|text| (entity.name(), "missed", *text)));
    }
    assert_eq!(wrong, []);
}
