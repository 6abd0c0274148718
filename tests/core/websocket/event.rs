//! What a client's message asks for.

use sluice::websocket::{ClientEvent, Close, Strictness};

fn judge(text: &str, strictness: Strictness) -> Result<Option<ClientEvent>, Close> {
    ClientEvent::judge(text, strictness, &|model| model == "good")
}

#[test]
fn models_in_all_places() {
    let cases = [
        r#"{"model":"bad"}"#,
        r#"{"model":"good","model":"bad"}"#,
        r#"{"model":"bad","model":"good"}"#,
        r#"{"mod\u0065l":"b\u0061d"}"#,
        r#"{"MODEL":"bad"}"#,
        r#"{"session":{"model":"bad"}}"#,
        r#"{"SESSION":{"Model":"bad"}}"#,
        r#"{"response":{"model":"bad"},"response":{"model":"good"}}"#,
        r#"{"\u017fession":{"model":"bad"}}"#,
        r#"{"session":{"audio":{"input":{"transcription":{"model":"bad"}}}}}"#,
        r#"{"session":{"input_audio_transcription":{"model":"bad"}}}"#,
    ];
    for text in cases {
        for strictness in [Strictness::Some, Strictness::Named] {
            let refused = judge(text, strictness).unwrap_err();
            assert_eq!(refused, Close::policy("this key may not use the model bad"), "{text}");
        }
    }
    for text in [r#"{"input":"model"}"#, r#"{"input":[{"model":"bad"}]}"#, r#"{"tools":[{"model":"bad"}]}"#, "{}"] {
        assert!(judge(text, Strictness::Some).unwrap().unwrap().models.is_empty(), "{text}");
    }
}

#[test]
fn strictness() {
    let odd = [
        r#"{"model":1}"#.to_owned(),
        format!(r#"{{{}"x":1}}"#, r#""model":"good","#.repeat(9)),
        format!(r#"{{"model":"{}"}}"#, "x".repeat(2000)),
    ];
    for text in odd {
        assert!(judge(&text, Strictness::Some).is_err() && judge(&text, Strictness::All).is_ok(), "{text}");
    }
    for text in ["", "1", "[]", "{", r#"{"a":1} {}"#, "{'a':1}"] {
        assert!(judge(text, Strictness::Some).is_err() && judge(text, Strictness::Named).is_err(), "{text}");
        assert_eq!(judge(text, Strictness::All), Ok(None), "{text}");
    }
    let create = r#"{"type":"response.create"}"#;
    assert!(judge(create, Strictness::Named).is_err());
    assert!(judge(create, Strictness::Some).unwrap().unwrap().creates);
    let named = r#"{"type":"response.create","model":"good","input":"Hello"}"#;
    assert_eq!(judge(named, Strictness::Named).unwrap().unwrap().models, ["good"]);
    assert!(!judge(r#"{"type":"response.cancel"}"#, Strictness::Named).unwrap().unwrap().creates);
}
