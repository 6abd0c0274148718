//! The usage that Envoys begin with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice::date::{civil_from_days, Timestamp};
use sluice::fleet::Windows;
use sluice::limits::{Limited, Subject};
use sluice_ledger::{import, windows, Span};

use super::Kept;

const HOUR: u64 = 3600;

/// A request of this many hours ago.
fn line(now: u64, hours: u64, key: &str, model: &str, tokens: u64) -> String {
    let time = Timestamp(Duration::from_secs(now - hours * HOUR));
    format!(
        r#"{{"start_time":"{time}","request_id":"{hours}-{key}-{model}","status":200,"sluice":{{"key":"{key}","model":"{model}","cluster":"a","label_team":"a","attempts":1,"input_tokens":{tokens},"output_tokens":1,"cost_microusd":{tokens}}}}}"#
    ) + "\n"
}

#[test]
fn of_each_key_and_model_and_of_all() {
    let mut kept = Kept::new("windows");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // this month, if it is not its first day
    let (_, _, day) = civil_from_days((now / (24 * HOUR)) as i64);
    let of_month = |hours: u64, amount: u64| if hours / 24 < day.unsigned_abs() - 1 { amount } else { 0 };
    let log = [
        line(now, 0, "alice", "gpt-4o", 10),
        line(now, 0, "alice", "small", 20),
        line(now, 48, "bob", "gpt-4o", 80),
        line(now, 40 * 24, "carol", "gpt-4o", 320),
        line(now, 0, "alice", "none", 1000),
    ];
    import(&mut log.concat().as_bytes(), kept.store.as_mut()).unwrap();
    let bytes = windows(kept.store.as_mut(), now as i64).unwrap();
    let at = Duration::from_secs(now);
    let used = |what| {
        let found = Windows::read(&bytes).unwrap();
        let used: Vec<_> = found.iter().map(|(subject, record)| (subject, record.used(what, at))).collect();
        move |subject: Subject| used.iter().find(|(known, _)| *known == subject).map_or(0, |(_, used)| *used)
    };
    let (day, month, cost, requests) = (
        used(Limited::TokensPerDay),
        used(Limited::TokensPerMonth),
        used(Limited::CostPerDay),
        used(Limited::RequestsPerDay),
    );
    let bobs = of_month(48, 81);
    for (subject, want) in [
        (Subject::All, [32, 32 + bobs, 30, 2]),
        (Subject::Model("gpt-4o".into()), [11, 11 + bobs, 10, 1]),
        (Subject::Model("small".into()), [21, 21, 20, 1]),
        (Subject::Label("team".into(), "a".into()), [32, 32 + bobs, 30, 2]),
        (Subject::Key("alice".into()), [32, 32, 30, 2]),
        (Subject::Key("bob".into()), [0, bobs, 0, 0]),
        (Subject::Key("carol".into()), [0, 0, 0, 0]),
        (Subject::Model("none".into()), [0, 0, 0, 0]),
    ] {
        let found = [&day, &month, &cost, &requests].map(|used| used(subject.clone()));
        assert_eq!(found, want, "{subject:?}");
    }
}

#[test]
fn only_the_last_hours_have_sums_of_their_own() {
    let mut kept = Kept::new("hours");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (old, new) in [(47, 60), (46, 70)] {
        let log = line(now, old, "alice", "m", 1) + &line(now, new, "alice", "m", 1);
        import(&mut log.as_bytes(), kept.store.as_mut()).unwrap();
    }
    assert_eq!(kept.store.rollups(Span::Hour, 0, i64::MAX).unwrap().len(), 2);
}
