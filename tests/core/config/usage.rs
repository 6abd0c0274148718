use sluice::config::{self, Reports};

use super::refusal;

#[test]
fn reports() {
    let cases = [
        ("", false, false),
        ("{}", false, false),
        (r#"{"access_log":true}"#, true, false),
        (r#"{"access_log":false,"tracing":true}"#, false, true),
        (r#"{"access_log":null,"tracing":null}"#, false, false),
    ];
    for (text, access_log, tracing) in cases {
        assert_eq!(config::usage(text.as_bytes()), Ok(Reports { access_log, tracing, ..Reports::default() }), "{text}");
    }
    let named = config::usage(br#"{"conversation_headers":["X-Conversation-Id","session_id"]}"#).unwrap();
    assert_eq!(named.conversation_headers, ["x-conversation-id", "session_id"]);
    let mistakes = [
        (r#"{"conversation_headers":[]}"#, "usage.conversation_headers: needs 1 to 4 names of headers"),
        (r#"{"conversation_headers":["a b"]}"#, "usage.conversation_headers[0]: is not a header's name"),
        (
            r#"{"conversation_headers":["Authorization"]}"#,
            "usage.conversation_headers[0]: carries credentials, which must not appear in a log; name another header",
        ),
        (r#"{"acces_log":true}"#, r#"usage.acces_log: no such field; did you mean "access_log"?"#),
        (r#"{"tracing":"yes"}"#, "usage.tracing: must be true or false, but is a string"),
        ("[]", "usage: must be an object, but is a list"),
    ];
    for (text, want) in mistakes {
        assert_eq!(refusal(text, config::usage(text.as_bytes())), want, "{text}");
    }
}
