use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{json, Map, Value};
use sluice::endpoint::Endpoint;
use sluice::parsed_request::{read, ParsedRequest};
use sluice::rewrite::{injects_usage, BodyChanged, BodyRewrite};

use crate::generate::{chunks, json as any_json, text};

fn chat(body: &str) -> ParsedRequest {
    read(Endpoint::ChatCompletions, None, body.as_bytes()).unwrap()
}

/// Passes a body through in chunks; the last one with `end`.
fn pass(mut rewrite: BodyRewrite, chunks: &[&[u8]]) -> Result<String, BodyChanged> {
    let mut out = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        match rewrite.chunk(chunk, index + 1 == chunks.len())? {
            Some(replaced) => out.extend_from_slice(&replaced),
            None => out.extend_from_slice(chunk),
        }
    }
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn splices() {
    // the target's model is `t`
    let cases = [
        ("another name", r#"{ "model" : "m" , "x":1}"#, r#"{ "model" : "t" , "x":1}"#),
        ("the same name", r#"{"model":"t"}"#, r#"{"model":"t"}"#),
        ("the same name, escaped", r#"{"model":"\u0074"}"#, r#"{"model":"\u0074"}"#),
        ("after another's", r#"{"a":[1,{"model":"m"}],"model":"m"}"#, r#"{"a":[1,{"model":"m"}],"model":"t"}"#),
        ("an escaped field", r#"{"mod\u0065l":"m"}"#, r#"{"mod\u0065l":"t"}"#),
        ("an escaped name", r#"{"model":"m\u002dn"}"#, r#"{"model":"t"}"#),
        (
            "tabs and line ends",
            " \t{ \"model\" :\t\"m\" , \"n\": 1 }\r\n ",
            " \t{ \"model\" :\t\"t\" , \"n\": 1 }\r\n ",
        ),
        ("numbers", r#"{"a":1.0e+2,"b":-0,"c":1E400,"model":"m"}"#, r#"{"a":1.0e+2,"b":-0,"c":1E400,"model":"t"}"#),
        (
            "the word in texts",
            r#"{"model":"m","s":"ü\u00fc\/\"model\":🦀","\"model\"":"m"}"#,
            r#"{"model":"t","s":"ü\u00fc\/\"model\":🦀","\"model\"":"m"}"#,
        ),
        ("once of several", r#"{"model":"a" , "model" : "a","model":"\u0061" }"#, r#"{"model":"t" }"#),
        (
            "what is repeated",
            r#"{"model":"t","n":1, "n" : 1 ,"x":2,"n":1,"tools":[{}],"tools":[{}],"y":[{"n":1,"n":2}]}"#,
            r#"{"model":"t","n":1 ,"x":2,"tools":[{}],"y":[{"n":1,"n":2}]}"#,
        ),
        ("no stream, no usage", r#"{"model":"t","stream":false}"#, r#"{"model":"t","stream":false}"#),
        (
            "no options",
            r#"{"model":"m","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"t","stream":true}"#,
        ),
        (
            "white space in front",
            " {\n\"stream\":true,\"model\":\"t\"}\n",
            " {\"stream_options\":{\"include_usage\":true},\n\"stream\":true,\"model\":\"t\"}\n",
        ),
        (
            "null for options",
            r#"{"stream":true,"stream_options":null,"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"t"}"#,
        ),
        (
            "empty options",
            r#"{"stream":true,"stream_options":{ },"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true },"model":"t"}"#,
        ),
        (
            "other options",
            r#"{"model":"m","stream":true,"stream_options":{"x":[]}}"#,
            r#"{"model":"t","stream":true,"stream_options":{"include_usage":true,"x":[]}}"#,
        ),
        (
            "declined",
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":false}}"#,
            r#"{"model":"t","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            "asked",
            r#"{"model":"t","stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"model":"t","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            "declined twice",
            r#"{"model":"t","stream":true,"stream_options":{"include_usage":0,"include_usage":0},"stream_options":{"include_usage":0,"include_usage":0}}"#,
            r#"{"model":"t","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
    ];
    for (name, body, want) in cases {
        let rewrite = BodyRewrite::plan(&chat(body), "t", true);
        assert_eq!(rewrite.length(), want.len(), "{name}: length");
        assert_eq!(rewrite.is_identity(), body == want, "{name}: identity");
        let bytes = body.as_bytes();
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(pass(rewrite.clone(), &[head, tail]).as_deref(), Ok(want), "{name}: split at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).chain([&[][..]]).collect();
        assert_eq!(pass(rewrite, &single).as_deref(), Ok(want), "{name}: byte by byte");
    }
}

#[test]
fn the_model_is_written_as_json() {
    let body = r#"{"model":"m"}"#;
    let rewrite = BodyRewrite::plan(&chat(body), "a\"\\é", false);
    assert_eq!(pass(rewrite, &[body.as_bytes()]).as_deref(), Ok(r#"{"model":"a\"\\é"}"#));
}

#[test]
fn a_model_in_path_and_body_is_renamed() {
    for (body, want) in
        [(r#"{"model":"m"}"#, r#"{"model":"t"}"#), (r#"{"model":"models/m"}"#, r#"{"model":"models/t"}"#), ("{}", "{}")]
    {
        let parsed = read(Endpoint::GenerateContent, Some("m".into()), body.as_bytes()).unwrap();
        let rewrite = BodyRewrite::plan(&parsed, "t", false);
        assert_eq!(pass(rewrite, &[body.as_bytes()]).as_deref(), Ok(want), "{body}");
    }
}

#[test]
fn usage_is_only_requested_where_supported() {
    let body = r#"{"model":"m","stream":true}"#;
    for (endpoint, want) in [
        (Endpoint::ChatCompletions, true),
        (Endpoint::Completions, true),
        (Endpoint::Responses, false),
        (Endpoint::Messages, false),
        (Endpoint::OllamaChat, false),
        (Endpoint::StreamGenerateContent, false),
    ] {
        let parsed = read(endpoint, None, body.as_bytes()).unwrap();
        assert_eq!(injects_usage(&parsed), want, "{endpoint:?}");
        assert_eq!(BodyRewrite::plan(&parsed, "m", true).is_identity(), !want, "{endpoint:?}");
        assert!(BodyRewrite::plan(&parsed, "m", false).is_identity(), "{endpoint:?}: not wanted");
    }
}

#[test]
fn a_changed_body_is_refused() {
    let body = br#"{"model":"m"}"#;
    let parsed = read(Endpoint::ChatCompletions, None, body).unwrap();
    for (name, target) in [("identity", "m"), ("rewritten", "t")] {
        let plan = BodyRewrite::plan(&parsed, target, false);
        assert_eq!(pass(plan.clone(), &[b"{}"]), Err(BodyChanged), "{name}: shorter");
        assert_eq!(pass(plan.clone(), &[&body[..3], b""]), Err(BodyChanged), "{name}: cut");
        assert_eq!(pass(plan.clone(), &[body, b" "]), Err(BodyChanged), "{name}: longer by a chunk");
        assert_eq!(plan.clone().chunk(&[&body[..], b" "].concat(), false), Err(BodyChanged), "{name}: longer");
        assert!(pass(plan, &[body, b"", b""]).is_ok(), "{name}: the same");
    }
}

/// The fields of a request body with arbitrary values.
fn body() -> impl Strategy<Value = (Vec<(String, Value)>, bool)> {
    let options = prop_oneof![
        Just(None),
        Just(Some(json!({}))),
        any::<bool>().prop_map(|include| Some(json!({ "include_usage": include }))),
        any_json().prop_map(Some),
    ];
    let others = vec((text().prop_map(|name| format!("x{name}")), any_json()), 0..4);
    (others, text(), any::<bool>(), options, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(mut fields, model, stream, options, place, pretty)| {
            let model: String = model.chars().filter(|c| !c.is_control()).collect();
            let at = place.index(fields.len() + 1);
            fields.insert(at, ("model".into(), format!("m{model}").into()));
            fields.insert(at, ("stream".into(), stream.into()));
            fields.extend(options.map(|options| ("stream_options".to_owned(), options)));
            (fields, pretty)
        },
    )
}

/// Writes fields in order, which serde_json's maps do not.
fn write(fields: &[(String, Value)], pretty: bool) -> String {
    let (colon, comma) = if pretty { (" : ", " ,\n\t") } else { (":", ",") };
    let field = |(name, value): &(String, Value)| format!("{}{colon}{value}", Value::from(name.as_str()));
    format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(comma))
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn nothing_else_changes((fields, pretty) in body(), target in text(), lengths in vec(0..24usize, 0..12)) {
        let body = write(&fields, pretty);
        let mut want: Map<String, Value> = serde_json::from_str(&body).unwrap();
        let asked = want.get("stream_options").is_some_and(|options| options["include_usage"] == true);
        if want["stream"] == true && !asked {
            let options = want.entry("stream_options").or_insert(Value::Null);
            match options {
                Value::Object(options) => drop(options.insert("include_usage".into(), true.into())),
                other => *other = json!({ "include_usage": true }),
            }
        }
        want["model"] = target.as_str().into();

        let rewrite = BodyRewrite::plan(&chat(&body), &target, true);
        let length = rewrite.length();
        let rewritten = pass(rewrite, &chunks(body.as_bytes(), &lengths)).unwrap();
        prop_assert_eq!(rewritten.len(), length);
        prop_assert_eq!(&serde_json::from_str::<Value>(&rewritten).unwrap(), &Value::Object(want));
        // the text between the changes is identical
        for (name, value) in fields.iter().filter(|(name, _)| name.starts_with('x')) {
            let field = write(&[(name.clone(), value.clone())], pretty);
            let field = field.trim_matches(['{', '}']);
            prop_assert!(rewritten.contains(field), "{} in {}", field, &rewritten);
        }
    }
}
