//! Records are imported once.

use sluice_ledger::{import, Imported, NoRecord, Record, Span, Sums};

use super::{line, Kept};

/// 2026-11-27 and the first of that month, in days since the epoch.
const DAY: i64 = 20_784;
const MONTH: i64 = 20_758;

#[test]
fn lines() {
    let record = Record::of_line(&line("one", "2026-11-27", r#""label_team":"a","label_app":"b","#)).unwrap();
    assert_eq!((record.id.as_str(), record.status), ("one", 200));
    assert_eq!(record.at, DAY * 86_400_000 + 36_000_500);
    assert_eq!((record.subject.key.as_str(), record.subject.upstream_model.as_str()), ("alice", "gpt-4o"));
    assert_eq!(record.subject.labels, r#"{"app":"b","team":"a"}"#, "in the order of their names");
    let sums = Sums { requests: 1, input_tokens: 10, output_tokens: 5, cost_microusd: 7, ..Sums::default() };
    assert_eq!(record.sums, sums);
    let served = Record::of_line(&line("two", "2026-11-27", r#""upstream_model":"gpt-4o-2026","#)).unwrap();
    assert_eq!(served.subject.upstream_model, "gpt-4o-2026");
    let failed = Record::of_line(&line("two", "2026-11-27", r#""error":"interrupted","#)).unwrap();
    assert_eq!(failed.sums.errors, 1);
}

#[test]
fn lines_that_are_none() {
    let none = [r#"{"start_time":"2026-11-27T10:00:00Z","request_id":"x","status":404}"#, "{}", "", " \n"];
    for text in none {
        assert_eq!(Record::of_line(text), Err(NoRecord::NoUsage), "{text}");
    }
    let half = line("one", "2026-11-27", "");
    let no_time = line("one", "2026-11-32", "");
    let no_id = line("", "2026-11-27", "");
    for text in [&half[..half.len() - 1], "?", "[1", &no_time, &no_id] {
        assert_eq!(Record::of_line(text), Err(NoRecord::Malformed), "{text}");
    }
}

/// A line that is too long is skipped up to its end.
#[test]
fn long_lines() {
    let mut kept = Kept::new("long");
    let [one, other] = ["one", "two"].map(|id| line(id, "2026-11-27", "") + "\n");
    let log = "x".repeat(500_000) + &one + &other + &"y".repeat(70_000);
    let imported = import(&mut std::io::BufReader::new(log.as_bytes()), kept.store.as_mut()).unwrap();
    assert_eq!(imported, Imported { new: 1, known: 0, without_usage: 0, cut_off: 0, malformed: 2 });
}

#[test]
fn each_request_counts_once() {
    let mut kept = Kept::new("once");
    let log: String = ["one", "two", "one", "three"].map(|id| line(id, "2026-11-27", "") + "\n").concat() + "half a li";
    let imported = import(&mut log.as_bytes(), kept.store.as_mut()).unwrap();
    assert_eq!(imported, Imported { new: 3, known: 1, without_usage: 0, cut_off: 0, malformed: 1 });
    kept.again();
    let imported = import(&mut log.as_bytes(), kept.store.as_mut()).unwrap();
    assert_eq!((imported.new, imported.known), (0, 4), "the same file once more");
    for (span, first) in [(Span::Day, DAY), (Span::Month, MONTH)] {
        let rollups = kept.store.rollups(span, first, first + 1).unwrap();
        assert_eq!(rollups.len(), 1);
        assert_eq!((rollups[0].first, rollups[0].sums.requests, rollups[0].sums.cost_microusd), (first, 3, 21));
    }
    assert_eq!(kept.store.rollups(Span::Day, DAY + 1, DAY + 2).unwrap(), []);
}

/// A killed Envoy leaves half a line, and the next one continues there. Wherever the first line is cut, the second is
/// imported.
#[test]
fn a_line_behind_half_a_line() {
    let cut = line("cut", "2026-11-27", r#""label_team":"ü","#);
    let whole = line("whole", "2026-11-27", "") + "\n";
    let refused = r#"{"start_time":"2026-11-27T10:00:00Z","request_id":"x","status":404}"#.to_owned() + "\n";
    let mut kept = Kept::new("cut");
    for end in 1..cut.len() {
        let half = cut.as_bytes().get(..end).unwrap();
        let log = [half, whole.as_bytes(), half, refused.as_bytes()].concat();
        let imported = import(&mut log.as_slice(), kept.store.as_mut()).unwrap();
        let new = usize::from(end == 1);
        assert_eq!(imported, Imported { new, known: 1 - new, without_usage: 1, cut_off: 2, malformed: 0 }, "{end}");
    }
    let mut kept = Kept::new("uncut");
    let imported = import(&mut (cut + &whole).as_bytes(), kept.store.as_mut()).unwrap();
    assert_eq!(imported, Imported { new: 2, ..Imported::default() }, "only the end of the line is missing");
}

/// A line with many beginnings takes no long time.
#[test]
fn many_beginnings() {
    let mut kept = Kept::new("beginnings");
    let nested = "{\"a\":".repeat(10_000) + "\n";
    let log = nested.repeat(5);
    let imported = import(&mut log.as_bytes(), kept.store.as_mut()).unwrap();
    assert_eq!(imported, Imported { malformed: 5, ..Imported::default() });
}

#[test]
fn what_the_cache_answers_is_a_request_without_tokens() {
    let line = |result: &str| {
        format!(
            r#"{{"start_time":"2026-11-27T10:00:00Z","request_id":"{result}","status":200,"sluice":{{"key":"alice","model":"gpt-4o","cluster":"none","attempts":0,"cache":"{result}","cache_age_s":3,"saved_input_tokens":10,"saved_output_tokens":5}}}}"#
        )
    };
    let hit = Sums { cache_hits: 1, saved_input_tokens: 10, saved_output_tokens: 5, requests: 1, ..Sums::default() };
    assert_eq!(Record::of_line(&line("hit")).unwrap().sums, hit);
    assert_eq!(Record::of_line(&line("miss")).unwrap().sums.cache_hits, 0);
    let mut kept = Kept::new("hits");
    import(&mut line("hit").as_bytes(), kept.store.as_mut()).unwrap();
    assert_eq!(kept.store.rollups(Span::Day, DAY, DAY + 1).unwrap()[0].sums, hit);
}

/// The tables as the first version has created them, with one request.
const FIRST_VERSION: &str = "
CREATE TABLE records (
  id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, status INTEGER NOT NULL,
  key TEXT NOT NULL, model TEXT NOT NULL, cluster TEXT NOT NULL, upstream_model TEXT NOT NULL, labels TEXT NOT NULL,
  errors INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  cached_input_tokens INTEGER NOT NULL, cache_write_input_tokens INTEGER NOT NULL,
  reasoning_output_tokens INTEGER NOT NULL, cost_microusd INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE rollups (
  span TEXT NOT NULL, first INTEGER NOT NULL,
  key TEXT NOT NULL, model TEXT NOT NULL, cluster TEXT NOT NULL, upstream_model TEXT NOT NULL, labels TEXT NOT NULL,
  requests INTEGER NOT NULL, errors INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  cached_input_tokens INTEGER NOT NULL, cache_write_input_tokens INTEGER NOT NULL,
  reasoning_output_tokens INTEGER NOT NULL, cost_microusd INTEGER NOT NULL,
  PRIMARY KEY (span, first, key, model, cluster, upstream_model, labels)
) WITHOUT ROWID;
INSERT INTO records VALUES ('one', 1795772400000, 200, 'alice', 'gpt-4o', 'a', 'gpt-4o', '{}', 0, 10, 5, 0, 0, 0, 7);
INSERT INTO rollups VALUES ('d', 20784, 'alice', 'gpt-4o', 'a', 'gpt-4o', '{}', 1, 0, 10, 5, 0, 0, 0, 7);
";

#[test]
fn a_file_of_an_earlier_version_goes_on() {
    let mut kept = Kept::new("migration");
    let path = kept.directory.join("ledger.db");
    kept.store = sluice_ledger::open(":memory:").unwrap();
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(kept.directory.join(format!("ledger.db{end}")));
    }
    rusqlite::Connection::open(path).unwrap().execute_batch(FIRST_VERSION).unwrap();
    for _ in 0..2 {
        kept.again();
        let log = line("one", "2026-11-27", "")
            + "\n"
            + &line("two", "2026-11-27", r#""cache":"hit","saved_input_tokens":9,"#);
        import(&mut log.as_bytes(), kept.store.as_mut()).unwrap();
        let rollups = kept.store.rollups(Span::Day, DAY, DAY + 1).unwrap();
        let sums = rollups[0].sums;
        assert_eq!((sums.requests, sums.input_tokens, sums.cache_hits, sums.saved_input_tokens), (2, 20, 1, 9));
    }
}
