//! What an Envoy learns from the ledger, and tells it.

use std::time::Duration;

use sluice::codec::{Changed, SharedRecord};
use sluice::fleet::{
    write_windows, Changes, Progress, Readiness, RevocationChange, Unsent, Windows, MAX_CHANGES, MAX_SUBJECTS,
};
use sluice::keys::{Revocation, Revocations, RevokeError};
use sluice::limits::{Amounts, LimitRecord, Limited, Limits, PastUsage, Subject, UsageEstimate};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const TIMEOUT: Duration = Duration::from_secs(2);

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn one_worker_asks_at_a_time() {
    let mut progress = Progress::default();
    assert!(progress.claim(NOW, TIMEOUT));
    assert!(!progress.claim(NOW + TIMEOUT - at(1), TIMEOUT));
    assert!(progress.claim(NOW + TIMEOUT, TIMEOUT), "the first one has crashed");
    progress.put_off(NOW + DAY);
    assert!(progress.claim(NOW, TIMEOUT), "the clock was set back");
}

#[test]
fn the_wait_begins_with_the_first_question_or_request() {
    let mut progress = Progress::default();
    assert!(!progress.give_up(TIMEOUT, NOW + DAY), "nobody waits");
    assert_eq!(progress.rest(TIMEOUT, NOW), TIMEOUT);
    assert_eq!(progress.begin(NOW), Changed::Write);
    assert_eq!(progress.begin(NOW + at(500)), Changed::Keep);
    assert_eq!(progress.rest(TIMEOUT, NOW + at(500)), at(1500));
    assert_eq!(progress.rest(TIMEOUT, NOW + DAY), Duration::ZERO);
    assert!(!progress.is_over() && progress.give_up(TIMEOUT, NOW + TIMEOUT) && progress.is_over());
    assert!(!progress.give_up(TIMEOUT, NOW + DAY), "once");
    assert!(!progress.seeded(NOW + TIMEOUT), "it is too late for the usage");
    assert_eq!(progress.stage(), (Readiness::Alone, NOW + TIMEOUT));
    assert_eq!(progress.begin(NOW + DAY), Changed::Keep);
}

#[test]
fn a_clock_set_back_ends_the_wait() {
    let mut progress = Progress::default();
    progress.begin(NOW);
    assert!(progress.give_up(TIMEOUT, NOW - HOUR));
}

#[test]
fn progress_is_shared() {
    let mut progress = Progress::default();
    progress.begin(NOW);
    progress.learned("a-process", 7);
    assert!(progress.seeded(NOW + at(3)));
    progress.put_off(NOW + HOUR);
    let read = Progress::parse(&progress.encode()).unwrap();
    assert_eq!(read, progress);
    assert_eq!((read.known(), read.stage()), (("a-process", 7), (Readiness::Seeded, NOW + at(3))));
    progress.learned(&"x".repeat(65), 8);
    assert_eq!(progress.known(), ("a-process", 7), "no process has such a name");
}

#[test]
fn changes_apply_in_order_and_do_not_undo_what_happened_here() {
    let revoked = |ids: &Revocations, id: &str| ids.is_revoked(id, None, NOW);
    let text = br#"{"instance":"a","last":9,"more":true,"changes":[
        {"id":"one","revocation":{"at":1,"before":null,"until":null}},{"id":"two","revocation":{"until":1}},
        {"id":"three","revocation":null},{"id":"four","revocation":null},{"id":"five","revocation":{}},
        {"id":"five","revocation":null}]}"#;
    let changes = Changes::read(text).unwrap();
    assert_eq!((changes.instance.as_str(), changes.last, changes.more), ("a", 9, true));
    let (mut ids, mut unsent) = (Revocations::default(), Unsent::default());
    for id in ["three", "four"] {
        ids.revoke(id, Revocation::default()).unwrap();
    }
    assert!(unsent.add(RevocationChange::new("four", Some(Revocation::default()), NOW)));
    assert_eq!(changes.apply(&mut ids, &unsent, NOW), Ok(()));
    let found = ["one", "two", "three", "four", "five"].map(|id| revoked(&ids, id));
    assert_eq!(found, [true, false, false, true, false]);
}

#[test]
fn too_many_revoked_ids_do_not_keep_out_the_others() {
    let mut ids = Revocations::default();
    for number in 1..Revocations::MAX {
        ids.revoke(&number.to_string(), Revocation::default()).unwrap();
    }
    let text = br#"{"instance":"a","last":9,"changes":[{"id":"x","revocation":{}},{"id":"y","revocation":{}},{"id":"1","revocation":null}]}"#;
    let result = Changes::read(text).unwrap().apply(&mut ids, &Unsent::default(), NOW);
    assert_eq!(result, Err(RevokeError::TooMany));
    assert!(ids.is_revoked("x", None, NOW) && !ids.is_revoked("1", None, NOW));
}

#[test]
fn answers_that_are_none() {
    let many = format!(
        r#"{{"instance":"a","last":9,"changes":[{}]}}"#,
        vec![r#"{"id":"a","revocation":null}"#; MAX_CHANGES + 1].join(",")
    );
    for text in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"instance":"a","last":1}"#,
        r#"{"instance":"a","last":-1,"changes":[]}"#,
        r#"{"instance":"a","last":1,"changes":[{"id":7}]}"#,
        r#"{"instance":"a","last":1,"changes":[{"id":"a","revocation":{"before":"now"}}]}"#,
        &many,
    ] {
        assert!(Changes::read(text.as_bytes()).is_none(), "{text}");
    }
}

#[test]
fn unsent_changes() {
    let revocation = Revocation { before: Some(NOW), until: None };
    let change = |id: &str, revocation, millis| RevocationChange::new(id, revocation, NOW + at(millis));
    let mut unsent = Unsent::default();
    assert!(unsent.is_empty());
    for (index, id) in ["a", "b", "a"].iter().enumerate() {
        let revocation = (index != 2).then_some(revocation);
        assert!(unsent.add(change(id, revocation, index as u64)));
    }
    assert!(!unsent.revokes("a") && unsent.revokes("b"), "the later change says what holds");
    assert_eq!(unsent.due(TIMEOUT, NOW + at(1999)), None);
    let first = unsent.due(TIMEOUT, NOW + at(2002)).unwrap().clone();
    assert_eq!(first, change("a", None, 2));
    assert_eq!(Unsent::parse(&unsent.encode()), Some(unsent.clone()));
    unsent.remove(&change("a", None, 1));
    assert_eq!(unsent.len(), 2, "an earlier change was told, not this one");
    unsent.remove(&first);
    assert_eq!(unsent.len(), 1);
    for number in 1..Unsent::MAX {
        assert!(unsent.add(change(&number.to_string(), None, 5)));
    }
    assert!(!unsent.add(change("one more", None, 5)), "full");
    assert!(unsent.add(change("b", None, 5)), "a known id takes no room");
}

fn amounts(tokens: u64, microusd: u64) -> Amounts {
    Amounts { requests: 1, tokens, microusd }
}

/// Usage of so many hours ago; of the last hours it is of this month, too.
fn past(entries: &[(u64, u64, u64)]) -> PastUsage {
    let mut past = PastUsage::default();
    for (hours, tokens, microusd) in entries {
        let then = NOW - HOUR * u32::try_from(*hours).unwrap();
        past.add_hour(NOW, then, amounts(*tokens, *microusd));
        past.add_month(NOW, amounts(*tokens, *microusd));
    }
    past
}

#[test]
fn windows_begin_with_past_usage_and_slide() {
    let record = LimitRecord::begun(past(&[(0, 1, 10), (5, 20, 200), (23, 300, 0), (24, 4000, 7)]), NOW);
    let used =
        |now| [Limited::RequestsPerDay, Limited::TokensPerDay, Limited::CostPerDay].map(|what| record.used(what, now));
    let of_month = |now| {
        [Limited::RequestsPerMonth, Limited::TokensPerMonth, Limited::CostPerMonth].map(|what| record.used(what, now))
    };
    assert_eq!(used(NOW), [3, 321, 210]);
    assert_eq!(used(NOW + HOUR), [2, 21, 210], "the oldest hour has slid out");
    assert_eq!(of_month(NOW), [4, 4321, 217]);
    assert_eq!(of_month(NOW + DAY * 16), [4, 4321, 217]);
    assert_eq!(of_month(NOW + DAY * 17), [0, 0, 0], "another month has begun");
    assert_eq!(record.used(Limited::TokensPerMinute, NOW), 0);
}

#[test]
fn the_rest_of_a_limit_is_admitted() {
    let limits = Limits { tokens_per_day: Some(1000), requests_per_minute: Some(5), ..Limits::default() };
    let mut record = LimitRecord::begun(past(&[(2, 600, 0)]), NOW);
    let estimate = UsageEstimate { prompt: 100, output: 0, microusd: 0, vm: 1 };
    let admitted = (0..10).filter(|_| record.admit(&limits, estimate, NOW + at(5)).is_ok()).count();
    assert_eq!(admitted, 4);
    assert_eq!(record.used(Limited::TokensPerMonth, NOW), 0, "what is not limited is not counted");
}

#[test]
fn windows_are_read_as_written() {
    let label = Subject::Label("team".into(), "a".into());
    let subjects = [Subject::All, Subject::Key("alice".into()), Subject::Model("gpt-4o".into()), label];
    let usage: Vec<_> = subjects.iter().cloned().map(|subject| (subject, past(&[(1, 2, 3), (30, 4, 5)]))).collect();
    let bytes = write_windows(NOW, &usage);
    let windows = Windows::read(&bytes).unwrap();
    assert_eq!(windows.left_out, 0);
    let records: Vec<(Subject, LimitRecord)> =
        usage.into_iter().map(|(subject, past)| (subject, LimitRecord::begun(past, NOW))).collect();
    assert_eq!(windows.iter().collect::<Vec<_>>(), records);
    for end in 0..bytes.len() {
        assert!(Windows::read(&bytes[..end]).is_none(), "cut after {end}");
    }
    assert!(Windows::read(&[&bytes[..], b"?"].concat()).is_none());
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 0x55;
        if let Some(windows) = Windows::read(&changed) {
            windows.iter().for_each(drop); // whatever it says, it can be used
        }
    }
}

#[test]
fn an_answer_is_bounded() {
    let many: Vec<_> =
        (0..MAX_SUBJECTS + 3).map(|number| (Subject::Key(number.to_string().into()), past(&[(0, 1, 1)]))).collect();
    let windows = write_windows(NOW, &many);
    let windows = Windows::read(&windows).unwrap();
    assert_eq!((windows.iter().count(), windows.left_out), (MAX_SUBJECTS, 3));
    let long: Vec<_> = many.iter().map(|(_, past)| (Subject::Key("x".repeat(1000).into()), past.clone())).collect();
    let bytes = write_windows(NOW, &long);
    assert!(bytes.len() <= sluice::fleet::MAX_ANSWER);
    let windows = Windows::read(&bytes).unwrap();
    assert_eq!(windows.iter().count() as u64 + windows.left_out, long.len() as u64);
}
