use sluice::endpoint::Endpoint;
use sluice::parsed_request::{read, ParsedRequest, UsageOption, MAX_MODEL_NAME};

fn chat(body: &[u8]) -> ParsedRequest {
    read(Endpoint::ChatCompletions, None, body).unwrap()
}

#[test]
fn refusals() {
    let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(MAX_MODEL_NAME + 1));
    let deep = format!(r#"{{"model":"m","x":{}}}"#, "[".repeat(200));
    let often = format!("{{{}}}", [r#""model":"m""#; 10].join(","));
    let cases: &[(&str, &[u8], Option<&str>, &str, &str)] = &[
        ("empty", b"", None, "invalid_json", "The request body is empty; a JSON object is expected."),
        ("blank", b" \n", None, "invalid_json", "The request body is not valid JSON: the JSON ends too early."),
        (
            "a word",
            b"hello",
            None,
            "invalid_json",
            "The request body is not valid JSON: unexpected character at byte 0.",
        ),
        ("an array", b"[]", None, "invalid_json", "The request body must be a JSON object."),
        ("null", b"null", None, "invalid_json", "The request body must be a JSON object."),
        (
            "not UTF-8",
            b"{\"model\":\"m\",\"x\":\"\xff\"}",
            None,
            "invalid_json",
            "The request body is not valid UTF-8.",
        ),
        (
            // RFC 8259, 8.1 lets a parser refuse it, and many do, so not all upstreams would accept it
            "a BOM",
            b"\xef\xbb\xbf{\"model\":\"m\"}",
            None,
            "invalid_json",
            "The request body is not valid JSON: unexpected character at byte 0.",
        ),
        (
            "cut",
            br#"{"model":"m""#,
            None,
            "invalid_json",
            "The request body is not valid JSON: the JSON ends too early.",
        ),
        (
            "trailing bytes",
            br#"{"model":"m"} {}"#,
            None,
            "invalid_json",
            "The request body is not valid JSON: unexpected character at byte 14.",
        ),
        (
            "a NUL after it",
            b"{\"model\":\"m\"}\0",
            None,
            "invalid_json",
            "The request body is not valid JSON: unexpected character at byte 13.",
        ),
        (
            "too deep",
            deep.as_bytes(),
            None,
            "invalid_json",
            "The request body is not valid JSON: nested deeper than 128 levels.",
        ),
        (
            "no model",
            br#"{"input":"m"}"#,
            Some("model"),
            "missing_required_parameter",
            "`model` is missing: name the model to use.",
        ),
        (
            "a model further down",
            br#"{"x":{"model":"m"}}"#,
            Some("model"),
            "missing_required_parameter",
            "`model` is missing: name the model to use.",
        ),
        ("model null", br#"{"model":null}"#, Some("model"), "invalid_type", "`model` must be a string."),
        ("model a number", br#"{"model":4}"#, Some("model"), "invalid_type", "`model` must be a string."),
        ("model an object", br#"{"model":{}}"#, Some("model"), "invalid_type", "`model` must be a string."),
        ("model an array", br#"{"model":["m"]}"#, Some("model"), "invalid_type", "`model` must be a string."),
        (
            "two models",
            br#"{"model":"m","model":4}"#,
            Some("model"),
            "ambiguous_parameter",
            "`model` is in the body twice, with different values: send it once.",
        ),
        ("model empty", br#"{"model":""}"#, Some("model"), "invalid_value", "`model` is empty."),
        ("model too long", long.as_bytes(), Some("model"), "invalid_value", "`model` is too long."),
        (
            "model with a line break",
            br#"{"model":"a\nb"}"#,
            Some("model"),
            "invalid_value",
            "`model` contains control characters.",
        ),
        (
            "model ten times",
            often.as_bytes(),
            Some("model"),
            "ambiguous_parameter",
            "`model` is in the body too often: send it once.",
        ),
        (
            "a model for readers without case",
            br#"{"model":"m","MODEL":"m"}"#,
            Some("model"),
            "ambiguous_parameter",
            "`MODEL` is not `model`, but some servers read it as that: use the exact name.",
        ),
        (
            "Gemini's two spellings",
            br#"{"model":"m","generationConfig":{},"generation_config":{}}"#,
            Some("generation_config"),
            "ambiguous_parameter",
            "`generationConfig` and `generation_config` mean the same: send one of them.",
        ),
        (
            "stream a string",
            br#"{"model":"m","stream":"true"}"#,
            Some("stream"),
            "invalid_type",
            "`stream` must be true, false or null.",
        ),
        (
            "stream a number",
            br#"{"stream":1}"#,
            Some("stream"),
            "invalid_type",
            "`stream` must be true, false or null.",
        ),
    ];
    for (name, body, param, code, message) in cases {
        let error = read(Endpoint::ChatCompletions, None, body).expect_err(name);
        assert_eq!((error.status, error.param, error.code), (400, *param, *code), "{name}");
        assert_eq!(error.message, *message, "{name}");
    }
}

#[test]
fn models() {
    let longest = "m".repeat(MAX_MODEL_NAME);
    let with_longest = format!(r#"{{"model":"{longest}"}}"#);
    let cases = [
        ("plain", r#"{"model":"gpt-4o"}"#, "gpt-4o", r#""gpt-4o""#),
        ("white space", " {\n \"model\" :\t\"m\" \n} \r\n", "m", r#""m""#),
        ("an escaped key", r#"{"mod\u0065l":"m"}"#, "m", r#""m""#),
        ("an escaped value", r#"{"model":"gpt\u002d4\/o"}"#, "gpt-4/o", r#""gpt\u002d4\/o""#),
        ("once more", r#"{"model":"b","x":1,"model":"b"}"#, "b", r#""b""#),
        ("once plain, once escaped", r#"{"mode\u006c":"\u0062","model":"b"}"#, "b", r#""\u0062""#),
        ("as a value, and deeper", r#"{"x":"model","y":{"model":"a"},"model":"b"}"#, "b", r#""b""#),
        ("not ASCII", r#"{"model":"modèle"}"#, "modèle", r#""modèle""#),
        ("half a surrogate", r#"{"model":"m\ud800"}"#, "m\u{fffd}", r#""m\ud800""#),
        ("the longest", with_longest.as_str(), longest.as_str(), &with_longest[9..with_longest.len() - 1]),
    ];
    for (name, body, model, span) in cases {
        let parsed = chat(body.as_bytes());
        assert_eq!(parsed.model, model, "{name}");
        assert_eq!(parsed.layout.model.map(|span| &body[span]), Some(span), "{name}");
        assert_eq!(parsed.layout.length, body.len(), "{name}");
        assert_eq!(&body[..parsed.layout.first_field], &body[..=body.find('{').unwrap()], "{name}");
    }
}

#[test]
fn streams() {
    use Endpoint::{
        ChatCompletions, Completions, Embeddings, GenerateContent, Messages, OllamaChat, OllamaEmbed, OllamaGenerate,
        Responses, StreamGenerateContent,
    };
    // without the field, null, false, true
    let cases = [
        (ChatCompletions, [false, false, false, true]),
        (Completions, [false, false, false, true]),
        (Responses, [false, false, false, true]),
        (Messages, [false, false, false, true]),
        (OllamaChat, [true, true, false, true]),
        (OllamaGenerate, [true, true, false, true]),
        (Embeddings, [false; 4]),
        (OllamaEmbed, [false; 4]),
        (GenerateContent, [false; 4]),
        (StreamGenerateContent, [true; 4]),
    ];
    for (endpoint, wants) in cases {
        for (field, want) in ["", r#","stream":null"#, r#","stream":false"#, r#","stream":true"#].iter().zip(wants) {
            let body = format!(r#"{{"model":"m"{field}}}"#);
            let parsed = read(endpoint, None, body.as_bytes()).unwrap();
            assert_eq!((parsed.endpoint, parsed.stream), (endpoint, want), "{endpoint:?} {field}");
        }
    }
    assert!(!chat(br#"{"model":"m","x":{"stream":true}}"#).stream, "only at the top");
}

#[test]
fn the_path_names_the_model() {
    let read = |name: &str, body: &[u8]| read(Endpoint::GenerateContent, Some(name.into()), body);
    for body in [r#"{"contents":[]}"#, r#"{"model":"gemini-2.5-pro"}"#, r#"{"model":"models/gemini-2.5-pro"}"#] {
        let parsed = read("gemini-2.5-pro", body.as_bytes()).unwrap();
        assert_eq!((parsed.model.as_str(), parsed.named_in_path), ("gemini-2.5-pro", true), "{body}");
    }
    for (body, code) in [
        (r#"{"model":"other"}"#, "ambiguous_parameter"),
        (r#"{"model":"models/other"}"#, "ambiguous_parameter"),
        (r#"{"model":""}"#, "ambiguous_parameter"),
        (r#"{"model":null}"#, "invalid_type"),
    ] {
        let error = read("gemini-2.5-pro", body.as_bytes()).expect_err(body);
        assert_eq!((error.status, error.param, error.code), (400, Some("model"), code), "{body}");
    }
    for (name, model) in [("none", ""), ("control characters", "a\rb")] {
        let error = read(model, b"{}").expect_err(name);
        assert_eq!((error.status, error.param, error.code), (400, Some("model"), "invalid_value"), "{name}");
    }
    assert!(read("m", b"[]").is_err(), "the body is checked all the same");
}

#[test]
fn usage_options() {
    let text = |body: &str, option: &UsageOption| match option {
        UsageOption::Absent => "absent".to_owned(),
        UsageOption::NoObject(span) => format!("no object: {}", &body[span.clone()]),
        UsageOption::Unset { first_field, empty } => format!("unset: {} {empty}", &body[*first_field..]),
        UsageOption::Declined(span) => format!("declined: {}", &body[span.clone()]),
        UsageOption::Asked => "asked".to_owned(),
    };
    let cases = [
        (r#""x":1"#, "absent"),
        (r#""x":{"stream_options":{"include_usage":true}}"#, "absent"),
        (r#""stream_options":null"#, "no object: null"),
        (r#""stream_options": [1] "#, "no object: [1]"),
        (r#""stream_options":{}"#, "unset: }} true"),
        (r#""stream_options": {"a":1}"#, r#"unset: "a":1}} false"#),
        (r#""stream_options":{"include_usage":false}"#, "declined: false"),
        (r#""stream_options":{"include_usage": null }"#, "declined: null"),
        (r#""stream_options":{"include_usage":"true"}"#, "declined: \"true\""),
        (r#""stream_options":{"include_usage":true}"#, "asked"),
        (r#""stream\u005foptions":{"include\u005fusage":true}"#, "asked"),
        (r#""stream_options":{"include_usage":true,"include_usage":true}"#, "asked"),
    ];
    for (fields, want) in cases {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        assert_eq!(text(&body, &chat(body.as_bytes()).layout.usage_option), want, "{fields}");
    }
}

#[test]
fn temperatures() {
    let cases = [
        (r#""temperature":0.7"#, Some(700)),
        (r#""temperature":2"#, Some(2000)),
        (r#""options":{"temperature":0}"#, Some(0)),
        (r#""generationConfig":{"temperature":1e-1}"#, Some(100)),
        (r#""temperature":-1"#, None),
        (r#""temperature":1e99"#, None),
        (r#""temperature":"hot""#, None),
        (r#""stream_options":{"temperature":1}"#, None),
    ];
    for (fields, want) in cases {
        let body = format!(r#"{{"model":"m","messages":[],{fields}}}"#);
        assert_eq!(chat(body.as_bytes()).temperature, want, "{fields}");
    }
}

#[test]
fn output_limits() {
    let huge = format!(r#""max_tokens":{},"n":{}"#, u64::MAX, u64::MAX);
    let cases: [(&str, Option<u64>); 27] = [
        (r#""x":1"#, None),
        (r#""max_tokens":100"#, Some(100)),
        (r#""max_completion_tokens":100"#, Some(100)),
        (r#""max_output_tokens":100"#, Some(100)),
        (r#""max\u005ftokens":100"#, Some(100)),
        (r#""max_tokens":100,"n":3"#, Some(300)),
        (r#""n":3,"max_tokens":100"#, Some(300)),
        (r#""n":3"#, None),
        (r#""max_tokens":100,"n":0"#, Some(100)),
        (r#""max_tokens":100,"n":-3"#, Some(100)),
        (r#""max_tokens":1e3"#, Some(1000)),
        (r#""max_tokens":100.0"#, Some(100)),
        (r#""options":{"num_predict":100}"#, Some(100)),
        (r#""options":{"num_predict":-1}"#, None),
        (r#""generationConfig":{"maxOutputTokens":100,"candidateCount":2}"#, Some(200)),
        (r#""x":{"max_tokens":100}"#, None),
        (r#""generation_config":{"max_output_tokens":100,"candidate_count":2}"#, Some(200)),
        (r#""max_tokens":100,"best_of":4,"n":2"#, Some(400)),
        // servers disagree on which of several fields counts, so the largest is assumed
        (r#""max_tokens":5,"max_completion_tokens":100"#, Some(100)),
        (r#""max_tokens":5,"n_predict":100"#, Some(100)),
        (r#""max_tokens":100,"options":{"num_predict":5}"#, Some(100)),
        (r#""max_tokens":100,"n":3,"n":3"#, Some(300)),
        // invalid numbers of tokens
        (r#""max_tokens":"100""#, None),
        (r#""max_tokens":null"#, None),
        (r#""max_tokens":-5"#, None),
        (r#""max_tokens":[100],"options":[{"num_predict":7}],"generationConfig":7"#, None),
        (&huge, Some(u64::MAX)),
    ];
    for (fields, want) in cases {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        assert_eq!(chat(body.as_bytes()).output_limit, want, "{fields}");
    }
}

/// Errors name the field in the client's dialect.
#[test]
fn the_field_that_limits_the_output() {
    let cases = [
        (r#""x":1"#, None),
        (r#""max_tokens":null"#, None),
        (r#""max_tokens":-1"#, None),
        (r#""max_tokens":1"#, Some("max_tokens")),
        (r#""max_completion_tokens":1"#, Some("max_completion_tokens")),
        (r#""max_output_tokens":1"#, Some("max_output_tokens")),
        (r#""n_predict":1"#, Some("n_predict")),
        (r#""options":{"num_predict":1}"#, Some("options.num_predict")),
        (r#""generationConfig":{"maxOutputTokens":1}"#, Some("generationConfig.maxOutputTokens")),
        (r#""generation_config":{"max_output_tokens":1}"#, Some("generationConfig.maxOutputTokens")),
        (r#""max_tokens":5,"max_completion_tokens":9"#, Some("max_completion_tokens")),
        (r#""max_completion_tokens":9,"max_tokens":5"#, Some("max_completion_tokens")),
    ];
    for (fields, want) in cases {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        assert_eq!(chat(body.as_bytes()).output_field, want, "{fields}");
    }
}

#[test]
fn data_does_not_count_as_text() {
    let base64 = "iVBORw0KGgo+/".repeat(100_000);
    let (prose, tokens) = ("the quick brown fox ".repeat(1000), "1234,".repeat(10_000));
    let chinese = "\u{4f60}\u{597d}".repeat(10_000);
    // the value of `input`, and the bounds of its estimate
    let cases = [
        ("short", format!(r#""{}""#, "x".repeat(900)), 902, 902),
        ("prose", format!(r#""{prose}""#), 20_002, 20_002),
        ("tokens", format!("[{tokens}1]"), 50_003, 50_003),
        ("no spaces", format!(r#""{chinese}""#), 60_002, 60_002),
        ("an image", format!(r#"[{{"image_url":"data:image/png;base64,{base64}"}}]"#), 0, 2100),
        ("prose and an image", format!(r#"["{prose}",{{"source":{{"data":"{base64}"}}}}]"#), 20_002, 22_100),
    ];
    for (name, value, least, most) in cases {
        let body = format!(r#"{{"model":"m","input":{value}}}"#);
        let frame = body.len() - value.len();
        let length = chat(body.as_bytes()).text_length;
        assert!((least..=most + frame).contains(&length), "{name}: {length} of {}", body.len());
    }
}
