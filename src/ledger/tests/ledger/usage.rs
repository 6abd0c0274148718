//! Queries of the sums, and the answers' formats.

use serde_json::{json, Value};
use sluice_ledger::{import, Query, Table};

use super::{line, Kept};

/// 2026-11-27, in days since the epoch.
const TODAY: i64 = 20_784;

fn kept(name: &str) -> Kept {
    let mut kept = Kept::new(name);
    let team = |name: &str| format!(r#""label_team":"{name}","#);
    let log = [
        line("1", "2026-10-31", &team("a")),
        line("2", "2026-11-01", &team("a")),
        line("3", "2026-11-02", &team("=b,\\\"c")),
        line("4", "2026-11-02", ""),
    ];
    import(&mut log.join("\n").as_bytes(), kept.store.as_mut()).unwrap();
    kept
}

fn ask(kept: &mut Kept, parameters: &[(&str, &str)]) -> Table {
    Query::read(parameters.iter().copied(), TODAY).unwrap().answer(kept.store.as_mut()).unwrap()
}

/// The values of the columns and the number of requests, of each row.
fn rows(table: &Table) -> Value {
    let answer: Value = serde_json::from_str(&table.json()).unwrap();
    let rows = answer["rows"].as_array().unwrap().iter();
    rows.map(|row| {
        let values = row.as_object().unwrap().iter().filter(|(_, value)| value.is_string());
        json!([values.map(|(_, value)| value).collect::<Vec<_>>(), row["requests"]])
    })
    .collect()
}

#[test]
fn sums() {
    let mut kept = kept("sums");
    let mut by = |parameters: &[(&str, &str)]| rows(&ask(&mut kept, parameters));
    assert_eq!(by(&[]), json!([[[], 3]]), "the running month");
    assert_eq!(by(&[("by", "day")]), json!([[["2026-11-01"], 1], [["2026-11-02"], 2]]));
    assert_eq!(by(&[("by", "month"), ("from", "2026-10-01")]), json!([[["2026-10"], 1], [["2026-11"], 3]]));
    assert_eq!(by(&[("by", "label:team")]), json!([[[""], 1], [["=b,\"c"], 1], [["a"], 1]]));
    assert_eq!(by(&[("by", "key"), ("label:team", "a"), ("to", "2026-11-30")]), json!([[["alice"], 2]]));
    assert_eq!(by(&[("by", "key,model"), ("day", "2026-11-01")]), json!([[["alice", "gpt-4o"], 1]]));
    assert_eq!(by(&[("by", "cluster"), ("month", "2026-09")]), json!([]));
}

#[test]
fn whole_months_are_read_from_their_own_sums() {
    let mut kept = kept("months");
    let mut read = |parameters: &[(&str, &str)]| {
        let answer: Value = serde_json::from_str(&ask(&mut kept, parameters).json()).unwrap();
        answer["rows_read"].clone()
    };
    assert_eq!(read(&[("month", "2026-11")]), 3, "three subjects");
    assert_eq!(read(&[("from", "2026-10-01"), ("to", "2026-11-30")]), 4);
    assert_eq!(read(&[("from", "2026-11-02"), ("to", "2026-11-30")]), 2, "by days");
}

#[test]
fn forms() {
    let mut kept = kept("forms");
    let table = ask(&mut kept, &[("by", "label:team")]);
    let csv = table.csv();
    let lines: Vec<_> = csv.lines().collect();
    assert!(lines[0].starts_with("label:team,requests,errors,input_tokens,"));
    assert!(lines[2].starts_with("\"'=b,\"\"c\",1,0,10,5,"), "no formula, and quoted: {}", lines[2]);
    let text = ask(&mut kept, &[("by", "key")]).text();
    let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[1], ["alice", "3", "0", "30", "15", "$0.000021"]);
    assert_eq!(words[2], ["total", "3", "0", "30", "15", "$0.000021"]);
}

#[test]
fn mistakes() {
    let cases = [
        (
            &[("by", "user")][..],
            "by: \"user\" is none of key, model, cluster, upstream_model, label:NAME, day and month",
        ),
        (
            &[("by", "label:")],
            "by: \"label:\" is none of key, model, cluster, upstream_model, label:NAME, day and month",
        ),
        (&[("month", "2026-13")], "month: \"2026-13\" is no month such as 2026-11"),
        (&[("day", "2026-1-1")], "day: \"2026-1-1\" is no day such as 2026-11-27"),
        (&[("day", "2026-11-01"), ("to", "2026-11-02")], "to: give a month, a day, or from and to"),
        (&[("from", "2026-11-03"), ("to", "2026-11-01")], "to: is before from"),
        (&[("format", "xml")], "format: \"xml\" is neither json nor csv"),
        (&[("user", "x")], "user: is no parameter; there is by, month, day, from, to, format and a column's name"),
    ];
    for (parameters, want) in cases {
        assert_eq!(Query::read(parameters.iter().copied(), TODAY), Err(want.to_owned()));
    }
}
