use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::codec::SharedRecord;
use sluice::exchange::{Exchange, Original};
use sluice::keys::{Identity, Role};
use sluice::pattern::Patterns;
use sluice::totals::{
    day_of, part_of, place_of, By, Caller, Destination, Query, Recent, Report, ReportFormat, Sums, Totals, MAX_CALLERS,
    MAX_DAYS, MAX_LABELLINGS, MAX_LINES, MAX_PLACES, MAX_ROWS,
};
use sluice::usage::{TokenUsage, UsageSource};

const TODAY: u32 = 20_001;

fn sums(requests: u64, input: u64) -> Sums {
    Sums { requests, input, ..Sums::default() }
}

fn caller(key: &str, team: &str) -> Caller {
    Caller::new(key, &[("team".to_owned(), team.to_owned())])
}

fn bare(key: &str) -> Caller {
    Caller::new(key, &[])
}

/// The rows of a report: name, requests, input.
fn lines(report: &Report) -> Value {
    let report: Value = serde_json::from_str(&report.write()).unwrap();
    let name = report["by"].as_str().unwrap();
    let data = report["data"].as_array().unwrap().iter();
    data.map(|line| json!([line[name], line["requests"], line["input_tokens"]])).collect()
}

fn some() -> [Totals; 2] {
    let [mut old, mut new] = [Totals::new(20_000), Totals::new(TODAY)];
    old.add(&caller("alice", "x"), true, &Destination::new("gpt-4o", "a"), &sums(1, 10));
    new.add(&caller("alice", "y"), true, &Destination::new("gpt-4o", "b"), &sums(2, 20));
    new.add(&bare("=bob\""), true, &Destination::new("llama", "b"), &sums(4, 40));
    [old, new]
}

fn report(by: By, form: ReportFormat, only: Option<&str>, parts: &[Totals]) -> Report {
    let mut report = Report::new(Query { by, form }, only, TODAY);
    parts.iter().for_each(|totals| report.add(totals));
    report
}

#[test]
fn one_request() {
    let tokens = TokenUsage { input: 9, output: 4, cached_input: 3, reasoning_output: 2, ..TokenUsage::default() };
    let used =
        Sums { requests: 1, input: 9, output: 4, cached_input: 3, reasoning_output: 2, microusd: 7, ..Sums::default() };
    let cases = [
        (Some((tokens, UsageSource::Reported)), used),
        (Some((tokens, UsageSource::Counted)), used),
        (Some((tokens, UsageSource::Partial)), Sums { incomplete: 1, ..used }),
        (Some((tokens, UsageSource::Estimated)), Sums { incomplete: 1, ..used }),
        (
            Some((TokenUsage::default(), UsageSource::Missing)),
            Sums { requests: 1, microusd: 7, incomplete: 1, ..Sums::default() },
        ),
        (None, sums(1, 0)),
    ];
    for (usage, want) in cases {
        assert_eq!(Sums::of(usage, 7, None), want, "{usage:?}");
    }
    let hit = Sums { requests: 1, cache_hits: 1, saved_input: 9, saved_output: 4, ..Sums::default() };
    assert_eq!(Sums::of(None, 0, Some((9, 4))), hit);
}

/// The same caller's requests of a day are one row; other labels, callers and days have their own.
#[test]
fn recent_requests() {
    let exchange = |key: &str, team: &str| {
        let mut identity = Identity::new(key, Role::User, Patterns::any());
        identity.labels.push(("team".to_owned(), team.to_owned()));
        Exchange::new(Some(Rc::new(identity)), Original::default())
    };
    let midnight = Duration::from_secs(24 * 60 * 60 * u64::from(TODAY));
    let mut recent = Recent::default();
    for (key, team, now) in [
        ("alice", "x", midnight),
        ("alice", "x", midnight + Duration::from_secs(1)),
        ("alice", "y", midnight),
        ("bob", "x", midnight),
        ("alice", "x", midnight - Duration::from_secs(1)),
    ] {
        recent.count(&exchange(key, team), now);
    }
    let mut totals = Totals::new(TODAY);
    let (today, yesterday): (Vec<_>, Vec<_>) = recent.drain().partition(|(_, totals)| totals.day() == TODAY);
    assert_eq!((today.len(), yesterday.len(), recent.is_empty()), (3, 1, true));
    for (part, new) in &today {
        let callers: Vec<_> = new.iter().map(|(caller, _, _)| part_of(&caller.key)).collect();
        assert_eq!(callers, [*part]);
        totals.merge(new);
    }
    let rows: Vec<_> = totals.iter().map(|(caller, _, sums)| (caller.clone(), sums.requests)).collect();
    assert_eq!(rows, [(caller("alice", "x"), 2), (caller("alice", "y"), 1), (caller("bob", "x"), 1)]);
    assert!(!recent.is_full());
    (0..100).for_each(|number| recent.count(&exchange(&format!("key-{number}"), "x"), midnight));
    assert!(recent.is_full());
}

#[test]
fn reports() {
    let label = |name: &str| By::Label(name.to_owned());
    let cases = [
        (By::Key, None, json!([["=bob\"", 4, 40], ["alice", 3, 30]])),
        (By::Model, None, json!([["gpt-4o", 3, 30], ["llama", 4, 40]])),
        (By::Cluster, None, json!([["a", 1, 10], ["b", 6, 60]])),
        (By::Day, None, json!([["2024-10-04", 1, 10], ["2024-10-05", 6, 60]])),
        (label("team"), None, json!([["none", 4, 40], ["x", 1, 10], ["y", 2, 20]])),
        (label("env"), None, json!([["none", 7, 70]])),
        (By::Cluster, Some("alice"), json!([["a", 1, 10], ["b", 2, 20]])),
        (label("team"), Some("alice"), json!([["x", 1, 10], ["y", 2, 20]])),
        (By::Key, Some("nobody"), json!([])),
    ];
    for (by, only, want) in cases {
        assert_eq!(lines(&report(by.clone(), ReportFormat::Json, only, &some())), want, "{by:?} {only:?}");
    }
    let csv = |by| report(by, ReportFormat::Csv, None, &some()).write();
    let by_key = csv(By::Key);
    let found: Vec<&str> = by_key.split("\r\n").collect();
    assert_eq!(found[1..], ["\"'=bob\"\"\",4,40,0,0,0,0,0,0,0,0", "\"alice\",3,30,0,0,0,0,0,0,0,0", ""]);
    assert!(csv(label("te\"am")).starts_with("\"label:te\"\"am\",requests,"), "it is the client's");
}

#[test]
fn queries() {
    let cases = [
        ("/gateway/usage", Ok((By::Key, ReportFormat::Json))),
        ("/gateway/usage?", Ok((By::Key, ReportFormat::Json))),
        ("/gateway/usage?format=csv&by=model&_=1", Ok((By::Model, ReportFormat::Csv))),
        ("/gateway/usage?by=label:team", Ok((By::Label("team".to_owned()), ReportFormat::Json))),
        ("/gateway/usage?by=label%3Ateam", Ok((By::Label("team".to_owned()), ReportFormat::Json))),
        ("/gateway/usage?by=label:", Err(Some("by"))),
        ("/gateway/usage?by=label", Err(Some("by"))),
        ("/gateway/usage?by=", Err(Some("by"))),
        ("/gateway/usage?by", Err(Some("by"))),
        ("/gateway/usage?format=xml", Err(Some("format"))),
    ];
    for (path, want) in cases {
        let found = Query::read(path).map(|query| (query.by, query.form)).map_err(|error| error.param);
        assert_eq!(found, want, "{path}");
    }
}

#[test]
fn keys_have_separate_rows() {
    let mut totals = Totals::new(TODAY);
    for number in 0..10 * MAX_ROWS {
        // one after another, each with more names than allowed
        let key = format!("greedy-{}", number / 2000);
        totals.add(&bare(&key), false, &Destination::new(&format!("m-{number}"), "c"), &sums(1, 1));
    }
    for number in 0..2 * MAX_CALLERS {
        totals.add(&bare(&format!("issued-{number}")), false, &Destination::new("m", "c"), &sums(1, 1));
        totals.add(&caller(&format!("configured-{number}"), "t"), true, &Destination::new("m", "c"), &sums(1, 1));
    }
    let total = |wanted: &dyn Fn(&Caller, &Destination) -> bool| {
        let rows = totals.iter().filter(|(caller, place, _)| wanted(caller, place));
        rows.fold((0, 0), |(rows, requests), (.., sums)| (rows + 1, requests + sums.requests))
    };
    assert_eq!(total(&|_, _| true).1, 10 * MAX_ROWS as u64 + 4 * MAX_CALLERS as u64, "nothing is lost");
    let greedy = |caller: &Caller| caller.key.starts_with("greedy-0");
    assert_eq!(total(&|caller, _| greedy(caller)), (1 + MAX_PLACES, 2000));
    assert_eq!(total(&|caller, place| greedy(caller) && place.model == "other"), (1, 2000 - MAX_PLACES as u64));
    let configured = 2 * MAX_CALLERS;
    assert_eq!(total(&|caller, _| caller.key.starts_with("configured-")), (configured, configured as u64));
    let (others, beyond) = total(&|caller, _| caller.key == "other");
    assert!(others == 1 && beyond > 0 && beyond <= configured as u64, "issued keys share what is left");
    assert!(total(&|_, _| true).0 <= MAX_ROWS + 3 * configured + 100);
}

#[test]
fn labels_of_a_key_are_bounded() {
    let mut totals = Totals::new(TODAY);
    for number in 0..3 * MAX_LABELLINGS {
        totals.add(&caller("k", &format!("team-{number}")), false, &Destination::new("m", "c"), &sums(1, 1));
    }
    let of_none: u64 = totals.iter().filter(|(caller, ..)| caller.labels.is_empty()).map(|(.., s)| s.requests).sum();
    assert_eq!((totals.iter().count(), of_none), (MAX_LABELLINGS + 1, 2 * MAX_LABELLINGS as u64));
}

#[test]
fn names_are_cut() {
    let long = "é".repeat(300);
    assert_eq!((bare(&long).key.len(), Destination::new(&long, &long).model.len()), (256, 256));
    assert_eq!(part_of(&long), part_of(&bare(&long).key));
}

/// Every day has its own rows: however many days and keys there are, no day is dropped or counted as `other`.
#[test]
fn all_days_are_kept_at_full_size() {
    let (keys, models) = (MAX_CALLERS, MAX_ROWS / MAX_CALLERS);
    let mut shared: Vec<Option<Vec<u8>>> = vec![None; MAX_DAYS as usize];
    // two more than are kept, so the first two are dropped
    for day in TODAY - MAX_DAYS - 1..=TODAY {
        let mut totals = Totals::new(day);
        for (key, model) in (0..keys).flat_map(|key| (0..models).map(move |model| (key, model))) {
            let place = Destination::new(&format!("model-{model}"), "cluster");
            totals.add(&caller(&format!("key-{key}"), &format!("team-{}", key % 10)), false, &place, &sums(1, 100));
        }
        shared[place_of(day) as usize] = Some(totals.encode());
    }
    let largest = shared.iter().flatten().map(Vec::len).max().unwrap();
    let read = || shared.iter().flatten().map(|bytes| Totals::parse(bytes).unwrap());
    for (by, names) in [(By::Key, keys), (By::Day, MAX_DAYS as usize), (By::Label("team".to_owned()), 10)] {
        let report = report(by.clone(), ReportFormat::Json, None, &read().collect::<Vec<_>>());
        let lines = lines(&report);
        let lines = lines.as_array().unwrap();
        let each = (MAX_DAYS as usize * keys * models / names) as u64;
        assert_eq!(lines.len(), names, "{by:?}");
        assert!(lines.iter().all(|line| line[0] != "other" && line[1] == each && line[2] == 100 * each), "{by:?}");
    }
    println!("{} rows a day and part: {largest} bytes at most", keys * models);
    assert!(largest < 256 * 1024, "{largest}");
}

#[test]
fn old_days_are_not_reported() {
    let of = |day| {
        let mut totals = Totals::new(day);
        totals.add(&bare("a"), true, &Destination::new("m", "c"), &sums(1, 1));
        totals
    };
    // the first day's rows have not been reused
    let parts = [of(TODAY - MAX_DAYS), of(TODAY - MAX_DAYS + 1), of(TODAY)];
    assert_eq!(lines(&report(By::Key, ReportFormat::Json, None, &parts)), json!([["a", 2, 2]]));
    assert_eq!(day_of(Duration::from_secs(86_400 * 5 + 7)), 5);
    assert_eq!(place_of(TODAY), place_of(TODAY - MAX_DAYS));
}

#[test]
fn reports_are_bounded() {
    let parts: Vec<Totals> = (0..12)
        .map(|part| {
            let mut totals = Totals::new(TODAY);
            for number in 0..5000 {
                totals.add(&bare(&format!("{part}-{number}")), true, &Destination::new("m", "c"), &sums(1, 1));
            }
            totals
        })
        .collect();
    let lines = lines(&report(By::Key, ReportFormat::Json, None, &parts));
    let other = lines.as_array().unwrap().iter().find(|line| line[0] == "other").unwrap();
    assert_eq!((lines.as_array().unwrap().len(), &other[1]), (MAX_LINES + 1, &json!(12 * 5000 - MAX_LINES)));
}

proptest! {
    #[test]
    fn round_trip(rows in prop::collection::vec((prop::sample::select(vec!["", "a", "b", "ab"]), prop::sample::select(vec!["", "x", "y"]), any::<[u64; 2]>()), 0..40)) {
        let mut totals = Totals::new(7);
        for (name, team, [requests, input]) in rows {
            totals.add(&caller(name, team), true, &Destination::new(name, "c"), &sums(requests, input));
        }
        let bytes = totals.encode();
        for cut in 0..bytes.len() {
            let _ = Totals::parse(&bytes[..cut]);
        }
        prop_assert_eq!(Totals::parse(&bytes), Some(totals));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Totals::parse(&bytes);
    }
}
