//! The forms in which models write placeholders back, in the stream of every dialect, at every cut.

use sluice::guard::pii::{Entity, Patterns, Vault};
use sluice::guard::rewriting::Restoring;
use sluice::guard::stream::{Limits, Mode, StreamGuard};

use serde_json::Value;
use sluice::usage::Framing;

use super::{Dialect, DIALECTS, NOW};

/// What the model writes, and what the client reads.
const FORMS: &[(&str, &str)] = &[
    ("To <EMAIL_ADDRESS_1>.", "To jo@example.com."),
    (r"To \u003cEMAIL_ADDRESS_1\u003e.", "To jo@example.com."),
    (r#"{"to":"\u003cEMAIL_ADDRESS_1\u003e"}"#, r#"{"to":"jo@example.com"}"#),
    (r"To \\u003cEMAIL_ADDRESS_1\\u003e.", "To jo@example.com."),
    (r#"{"to":"{\"a\":\"\\u003cEMAIL_ADDRESS_1\\u003e\"}"}"#, r#"{"to":"{\"a\":\"jo@example.com\"}"}"#),
    ("To &lt;EMAIL_ADDRESS_1&gt;.", "To jo@example.com."),
    (r#"{"html":"<p>&lt;EMAIL_ADDRESS_1&gt;</p>"}"#, r#"{"html":"<p>jo@example.com</p>"}"#),
    ("https://x/?to=%3CEMAIL_ADDRESS_1%3E&a", "https://x/?to=jo%40example.com&a"),
    (r#"{"url":"https://x/?to=%3cEMAIL_ADDRESS_1%3e"}"#, r#"{"url":"https://x/?to=jo%40example.com"}"#),
    (r"To \<EMAIL_ADDRESS_1\>.", "To jo@example.com."),
    (r"To \<EMAIL\_ADDRESS\_1\>.", "To jo@example.com."),
    ("To <email_address_1>.", "To jo@example.com."),
    ("To <Email_Address_1>.", "To jo@example.com."),
    ("To < EMAIL_ADDRESS_1 >.", "To jo@example.com."),
    ("To <EMAIL ADDRESS 1>.", "To jo@example.com."),
    ("To <EMAIL_ADDRESS_1 or", "To jo@example.com or"),
    ("To EMAIL_ADDRESS_1>.", "To jo@example.com."),
    ("To [EMAIL_ADDRESS_1].", "To [jo@example.com]."),
    ("To ＜EMAIL_ADDRESS_1＞.", "To jo@example.com."),
];

/// A stream of these fragments.
fn written(dialect: &Dialect, fragments: &[&str]) -> String {
    let events = fragments.iter().map(|text| (dialect.event)(text)).chain([(dialect.end)()]);
    let one = |event: Value| match dialect.framing {
        Framing::Sse => format!("data: {event}\n\n"),
        Framing::Ndjson | Framing::Json | Framing::EventStream => format!("{event}\n"),
    };
    events.map(one).collect()
}

/// The client's text.
fn heard(dialect: &Dialect, stream: &str) -> String {
    let events = stream.lines().filter(|line| !line.is_empty()).map(|line| line.trim_start_matches("data: "));
    let text = |event: &str| -> Option<String> {
        let event: Value = serde_json::from_str(event).unwrap();
        event.pointer(dialect.place)?.as_str().map(str::to_owned)
    };
    events.filter_map(text).collect()
}

#[test]
fn in_every_dialect() {
    let mut vault = Vault::default();
    vault.hide("jo@example.com", &Patterns::new(Entity::ALL, &[]).unwrap().find("jo@example.com")).unwrap();
    for dialect in DIALECTS {
        let shown = |fragments: &[&str]| {
            let guard = StreamGuard::new(dialect.endpoint, dialect.framing, Mode::Pass, Limits::default());
            let mut guard = guard.with_rewrite(Box::new(Restoring::new(vault.clone())));
            let out = guard.chunk(written(dialect, fragments).as_bytes(), true, NOW);
            heard(dialect, std::str::from_utf8(&out).unwrap())
        };
        for (text, want) in FORMS {
            for (at, _) in text.char_indices() {
                let (one, other) = text.split_at(at);
                assert_eq!(shown(&[one, other]), *want, "{} cut at {at}", dialect.place);
            }
            let single: Vec<&str> = text.split_inclusive(|_: char| true).collect();
            assert_eq!(shown(&single), *want, "{}, one character at a time", dialect.place);
        }
    }
}
