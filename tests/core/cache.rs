//! The cache: keys, what is kept, and the records in shared data.

use std::time::Duration;

use sluice::cache::{
    as_stream, bucket_of, collect, config_digest, ring, storable, Bucket, CacheKey, CanonicalBody, Entry, Found,
    KeyParts, Placed, StreamForm, Uncacheable, Unstorable, LEASE,
};
use sluice::codec::SharedRecord;
use sluice::endpoint::Endpoint;

fn canonical(body: &str) -> CanonicalBody {
    CanonicalBody::of(body.as_bytes()).unwrap()
}

#[test]
fn what_means_the_same_has_one_digest() {
    for (one, other) in [
        (r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true , null ],\n\"a\": 1 }"),
        (r#"{"a":1}"#, r#"{"a":1.0}"#),
        (r#"{"a":1}"#, r#"{"a":10e-1}"#),
        (r#"{"a":1500}"#, r#"{"a":1.5E+3}"#),
        (r#"{"a":-0.0}"#, r#"{"a":0}"#),
        (r#"{"a":"A\n"}"#, r#"{"a":"\u0041\u000a"}"#),
        (r#"{"a":"/"}"#, r#"{"a":"\/"}"#),
        ("{\"a\":\"\u{1f600}\"}", r#"{"a":"\ud83d\ude00"}"#),
        (r#"{"a":{"x":1,"y":2}}"#, r#"{"\u0061":{"y":2,"x":1}}"#),
        (r#"{"a":1}"#, r#"{"a":1,"stream":true,"stream_options":{},"user":"u","metadata":{"k":"v"},"model":"m"}"#),
    ] {
        assert_eq!(canonical(one).digest, canonical(other).digest, "{one} {other}");
    }
}

#[test]
fn what_differs_has_two() {
    let all = [
        r#"{}"#,
        r#"{"a":1}"#,
        r#"{"a":"1"}"#,
        r#"{"a":-1}"#,
        r#"{"a":10}"#,
        r#"{"a":0.1}"#,
        r#"{"a":9007199254740992}"#,
        r#"{"a":9007199254740993}"#,
        r#"{"a":null}"#,
        r#"{"a":true}"#,
        r#"{"a":false}"#,
        r#"{"a":[1]}"#,
        r#"{"a":[[1]]}"#,
        r#"{"a":[1,1]}"#,
        r#"{"a":[11]}"#,
        r#"{"a":[]}"#,
        r#"{"a":{}}"#,
        r#"{"a":[1,2]}"#,
        r#"{"a":[2,1]}"#,
        r#"{"b":1}"#,
        r#"{"a":1,"b":1}"#,
        r#"{"a":{"user":1}}"#,
        r#"{"a":{"user":2}}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud801"}"#,
        "{\"a\":\"\u{fffd}\"}",
        r#"{"a":"ab","b":""}"#,
        r#"{"a":"a","b":"b"}"#,
    ];
    for (place, one) in all.iter().enumerate() {
        for other in all.iter().skip(place + 1) {
            assert_ne!(canonical(one).digest, canonical(other).digest, "{one} {other}");
        }
    }
}

#[test]
fn what_has_no_canonical_form() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    let wide: String = (0..5000).map(|number| format!("\"{number}\":0,")).collect();
    let wide = format!("{{{}\"z\":0}}", wide);
    for (body, want) in [
        ("", Uncacheable::NotJson),
        ("[]", Uncacheable::NotJson),
        (r#"{"a":1"#, Uncacheable::NotJson),
        (r#"{"a":1} 2"#, Uncacheable::NotJson),
        (r#"{"a":1,"a":1}"#, Uncacheable::Repeated),
        (r#"{"user":1,"us\u0065r":2}"#, Uncacheable::Repeated),
        (r#"{"m":[{"a":1,"b":2,"a":3}]}"#, Uncacheable::Repeated),
        (r#"{"a":1e99999999999999999999}"#, Uncacheable::Number),
        (&deep, Uncacheable::TooComplex),
        (&wide, Uncacheable::TooComplex),
    ] {
        assert_eq!(CanonicalBody::of(body.as_bytes()), Err(want), "{:.60}", body);
    }
}

#[test]
fn what_is_repeatable() {
    let said = |body: &str| canonical(body).repeatable;
    for (body, cold, tools, kept) in [
        (r#"{"temperature":0}"#, true, false, false),
        (r#"{"temperature":0.0}"#, true, false, false),
        (r#"{"temperature":0.1}"#, false, false, false),
        (r#"{"temperature":"0"}"#, false, false, false),
        (r#"{}"#, false, false, false),
        (r#"{"options":{"temperature":0}}"#, true, false, false),
        (r#"{"generationConfig":{"temperature":0}}"#, true, false, false),
        (r#"{"other":{"temperature":0}}"#, false, false, false),
        (r#"{"tools":[]}"#, false, false, false),
        (r#"{"tools":[{}]}"#, false, true, false),
        (r#"{"messages":[{"role":"tool","content":"x"}]}"#, false, true, false),
        (r#"{"messages":[{"role":"user","content":[{"type":"tool_result"}]}]}"#, false, true, false),
        (r#"{"messages":[{"role":"user","content":"{\"role\":\"tool\"}"}]}"#, false, false, false),
        (r#"{"input":[{"type":"function_call_output"}]}"#, false, true, false),
        (r#"{"input":[{"type":"output_text"}]}"#, false, false, false),
        (r#"{"contents":[{"parts":[{"functionResponse":{}}]}]}"#, false, true, false),
        (r#"{"store":true}"#, false, false, true),
        (r#"{"previous_response_id":"r"}"#, false, false, true),
        (r#"{"background":true}"#, false, false, true),
    ] {
        let found = said(body);
        assert_eq!((found.cold, found.tools, found.kept), (cold, tools, kept), "{body}");
    }
}

/// What a key is made of.
pub fn parts<'a>() -> KeyParts<'a> {
    KeyParts {
        key: Some("alice"),
        endpoint: Endpoint::ChatCompletions,
        path: "/v1/chat/completions",
        model: "m",
        config: [1; 16],
        guard: None,
        headers: [None, None],
    }
}

#[test]
fn each_part_changes_the_key() {
    let body = canonical(r#"{"a":1}"#);
    let parts = parts();
    let all = [
        parts.digest(&body),
        parts.digest(&canonical(r#"{"a":2}"#)),
        KeyParts { key: Some("bob"), ..parts }.digest(&body),
        KeyParts { key: None, ..parts }.digest(&body),
        KeyParts { key: Some(""), ..parts }.digest(&body),
        KeyParts { endpoint: Endpoint::Completions, ..parts }.digest(&body),
        KeyParts { path: "/v1/chat/completions?api-version=2", ..parts }.digest(&body),
        KeyParts { model: "n", ..parts }.digest(&body),
        KeyParts { config: [2; 16], ..parts }.digest(&body),
        KeyParts { guard: Some([1; 16]), ..parts }.digest(&body),
        KeyParts { headers: [Some("v"), None], ..parts }.digest(&body),
        KeyParts { headers: [None, Some("v")], ..parts }.digest(&body),
    ];
    for (place, one) in all.iter().enumerate() {
        assert!(!all[place + 1..].contains(one), "{place}");
    }
    let gemini = KeyParts { endpoint: Endpoint::GenerateContent, path: "/v1beta/models/m:generateContent", ..parts };
    let path = "/v1beta/models/m:streamGenerateContent?alt=sse";
    let stream = KeyParts { endpoint: Endpoint::StreamGenerateContent, path, ..parts };
    assert_eq!(gemini.digest(&body), stream.digest(&body));
    assert_ne!(config_digest(&[b"ab", b"c"]), config_digest(&[b"a", b"bc"]));
}

const CHAT: &str = concat!(
    r#"data: {"id":"i","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":0,"#,
    r#""delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#,
    "\n\n: ping\n\n",
    r#"data: {"id":"i","created":7,"model":"m","choices":[{"index":0,"delta":{"content":"Hel"}}]}"#,
    "\r\n\r\n",
    r#"data: {"id":"i","created":7,"model":"m","choices":[{"index":0,"delta":{"content":"lo \"x\""}}]}"#,
    "\n\n",
    r#"data: {"id":"i","created":7,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    "\n\n",
    r#"data: {"id":"i","created":7,"model":"m","choices":[],"usage":{"prompt_tokens":1}}"#,
    "\n\ndata: [DONE]\n\n",
);

const CALLS: &str = concat!(
    r#"data: {"id":"i","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":"#,
    r#"{"name":"f","arguments":""}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"i","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"i","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
    "\n\ndata: [DONE]\n\n",
);

const MESSAGE: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"i","type":"message","role":"assistant","model":"m","content":[],"#,
    r#""stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}"#,
    "\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_stop","index":0}"#,
    "\n\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}}"#,
    "\n\n",
    r#"data: {"type":"message_stop"}"#,
    "\n\n",
);

const GEMINI: &str = concat!(
    r#"data: {"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"}}],"usageMetadata":{"a":1}}"#,
    "\n\n",
    r#"data: {"candidates":[{"content":{"parts":[{"text":"lo"}],"role":"model"},"finishReason":"STOP"}],"usageMetadata":{"a":2}}"#,
    "\n\n",
);

const OLLAMA: &str = concat!(
    r#"{"model":"m","message":{"role":"assistant","content":"Hel"},"done":false}"#,
    "\n",
    r#"{"model":"m","message":{"role":"assistant","content":"lo"},"done":false}"#,
    "\n",
    r#"{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","eval_count":2}"#,
    "\n",
);

#[test]
fn streams_become_answers_and_streams_again() {
    for (endpoint, stream, want) in [
        (
            Endpoint::ChatCompletions,
            CHAT,
            concat!(
                r#"{"id":"i","created":7,"model":"m","object":"chat.completion","choices":[{"index":0,"message":"#,
                r#"{"role":"assistant","content":"Hello \"x\""},"logprobs":null,"finish_reason":"stop"}],"#,
                r#""usage":{"prompt_tokens":1}}"#,
            ),
        ),
        (
            Endpoint::Messages,
            MESSAGE,
            concat!(
                r#"{"id":"i","type":"message","role":"assistant","model":"m","stop_reason":"end_turn","#,
                r#""stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":5},"#,
                r#""content":[{"type":"text","text":"Hello"}]}"#,
            ),
        ),
        (
            Endpoint::StreamGenerateContent,
            GEMINI,
            concat!(
                r#"{"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"finishReason":"STOP","#,
                r#""index":0}],"usageMetadata":{"a":2}}"#,
            ),
        ),
        (
            Endpoint::OllamaChat,
            OLLAMA,
            concat!(
                r#"{"model":"m","message":{"role":"assistant","content":"Hello"},"done":true,"done_reason":"stop","#,
                r#""eval_count":2}"#,
            ),
        ),
    ] {
        let answer = collect(endpoint, stream.as_bytes().to_vec(), None).unwrap();
        assert_eq!(std::str::from_utf8(&answer).unwrap(), want);
        assert_eq!(storable(endpoint, &answer, false), Ok(()));
        // what a stream of it says is the same again
        let form = StreamForm { include_usage: true, events: true };
        let written = as_stream(endpoint, &answer, form).unwrap();
        let again = collect(endpoint, written, None).unwrap();
        let [one, other]: [serde_json::Value; 2] = [answer, again].map(|json| serde_json::from_slice(&json).unwrap());
        assert_eq!(one, other);
    }
}

#[test]
fn cut_streams_are_no_answers() {
    for (endpoint, stream) in [
        (Endpoint::ChatCompletions, CHAT),
        (Endpoint::Messages, MESSAGE),
        (Endpoint::StreamGenerateContent, GEMINI),
        (Endpoint::OllamaChat, OLLAMA),
    ] {
        let whole = stream.trim_end().len();
        for end in 0..whole {
            let collected = collect(endpoint, stream.as_bytes()[..end].to_vec(), None);
            let kept = collected.and_then(|answer| storable(endpoint, &answer, true));
            assert!(kept.is_err(), "{endpoint:?} {}", &stream[..end]);
        }
    }
}

#[test]
fn what_may_be_kept() {
    let chat = |choice: &str| format!(r#"{{"choices":[{choice}]}}"#);
    let plain = |reason: &str| chat(&format!(r#"{{"message":{{"content":"x"}},"finish_reason":"{reason}"}}"#));
    let message = |reason: &str| format!(r#"{{"content":[{{"type":"text"}}],"stop_reason":"{reason}"}}"#);
    let gemini = |reason: &str| format!(r#"{{"candidates":[{{"finishReason":"{reason}"}}]}}"#);
    let calls = String::from_utf8(collect(Endpoint::ChatCompletions, CALLS.into(), None).unwrap()).unwrap();
    for (endpoint, body, want) in [
        (Endpoint::ChatCompletions, plain("stop"), Ok(())),
        (Endpoint::ChatCompletions, plain("length"), Err(Unstorable::Cut)),
        (Endpoint::ChatCompletions, plain("content_filter"), Err(Unstorable::Refused)),
        (
            Endpoint::ChatCompletions,
            chat(r#"{"message":{"refusal":"no"},"finish_reason":"stop"}"#),
            Err(Unstorable::Refused),
        ),
        (Endpoint::ChatCompletions, calls, Err(Unstorable::Tools)),
        (Endpoint::ChatCompletions, chat(""), Err(Unstorable::Unknown)),
        (Endpoint::ChatCompletions, "{}".into(), Err(Unstorable::Unknown)),
        (Endpoint::ChatCompletions, "no".into(), Err(Unstorable::Unknown)),
        (Endpoint::Messages, message("end_turn"), Ok(())),
        (Endpoint::Messages, message("max_tokens"), Err(Unstorable::Cut)),
        (Endpoint::Messages, message("refusal"), Err(Unstorable::Refused)),
        (Endpoint::Messages, message("tool_use"), Err(Unstorable::Tools)),
        (Endpoint::GenerateContent, gemini("STOP"), Ok(())),
        (Endpoint::GenerateContent, gemini("SAFETY"), Err(Unstorable::Refused)),
        (Endpoint::GenerateContent, r#"{"promptFeedback":{}}"#.into(), Err(Unstorable::Refused)),
        (Endpoint::Responses, r#"{"status":"completed","output":[]}"#.into(), Ok(())),
        (Endpoint::Responses, r#"{"status":"incomplete","output":[]}"#.into(), Err(Unstorable::Cut)),
        (Endpoint::Embeddings, r#"{"data":[]}"#.into(), Ok(())),
        (Endpoint::Embeddings, r#"{"error":{}}"#.into(), Err(Unstorable::Unknown)),
    ] {
        assert_eq!(storable(endpoint, body.as_bytes(), false), want, "{body}");
        let with_tools = if want == Err(Unstorable::Tools) { Ok(()) } else { want };
        assert_eq!(storable(endpoint, body.as_bytes(), true), with_tools, "{body}");
    }
}

fn key(number: u8) -> CacheKey {
    CacheKey([number; 32])
}

#[test]
fn entries_are_found_by_their_own_key_only() {
    let entry = Entry { key: key(1), created: Duration::from_millis(1234), input: 5, output: 6, body: b"{}".to_vec() };
    let bytes = entry.encode();
    assert_eq!(Entry::decode(&bytes, &key(1)), Some(entry.clone()));
    assert_eq!(Entry::decode(&bytes, &key(2)), None);
    for end in 0..bytes.len() - entry.body.len() {
        assert_eq!(Entry::decode(&bytes[..end], &key(1)), None);
    }
    assert_eq!(entry.age(Duration::from_millis(2234)), Duration::from_secs(1));
    assert_eq!(entry.age(Duration::ZERO), Duration::ZERO, "a clock that was set back");
}

#[test]
fn the_ring_notices_what_was_overwritten() {
    let blocks = 8;
    let (first, head) = ring::reserve(b"", 3);
    assert_eq!((first, ring::reserve(&head, 6).0), (0, 3));
    let entry = vec![7; 2 * ring::BLOCK + 1];
    assert_eq!(ring::needed(entry.len()), 3);
    let written: Vec<_> = ring::split(&entry, 6).collect();
    let names: Vec<_> = written.iter().map(|(place, _)| ring::block_name(*place, blocks)).collect();
    assert_eq!(names, ["sluice.cache.block.6", "sluice.cache.block.7", "sluice.cache.block.0"]);
    let read: Vec<u8> = written.iter().flat_map(|(_, block)| ring::part(block, 6).unwrap().to_vec()).collect();
    assert_eq!(read, entry);
    assert_eq!(ring::part(&written[0].1, 14), None, "a lap later");
    assert_eq!(ring::part(b"short", 6), None);
}

#[test]
fn a_bucket_has_entries_and_flights() {
    let (hour, now) = (Duration::from_secs(3600), Duration::from_secs(10_000));
    let placed = |number: u8| Placed { key: [number; 16], position: number.into(), size: 9, created: 10_000_000 };
    let mut bucket = Bucket::default();
    assert_eq!(bucket.find(&key(1), hour, now), Found::Nothing);
    assert_eq!(bucket.take_off(&key(1), 11, now), Some(true));
    assert_eq!(bucket.take_off(&key(1), 12, now), Some(false));
    assert_eq!(bucket.take_off(&key(2), 13, now), Some(true));
    assert_eq!(bucket.find(&key(1), hour, now), Found::Flying);
    assert_eq!(Bucket::parse(&bucket.encode()), Some(bucket.clone()));
    // a worker that has crashed renews nothing
    assert_eq!(bucket.find(&key(1), hour, now + LEASE + Duration::from_secs(1)), Found::Nothing);
    assert!(bucket.renew(11, now + LEASE / 2) && !bucket.renew(99, now));
    assert!(bucket.flies(&key(1), now + LEASE + Duration::from_secs(1)));
    bucket.place(placed(1));
    assert!(bucket.land(11) && !bucket.land(11));
    assert_eq!(bucket.find(&key(1), hour, now), Found::Placed(placed(1)));
    assert_eq!(bucket.find(&key(1), hour, now + hour + Duration::from_secs(1)), Found::Nothing, "too old");
    for number in 2..40 {
        bucket.place(placed(number));
    }
    assert_eq!(bucket.find(&key(1), hour, now), Found::Nothing, "the oldest goes first");
    assert!(bucket.encode().len() < 2048);
    let flown = (0..100).filter(|number| bucket.take_off(&key(100 + number), u64::from(*number) + 100, now).is_some());
    assert_eq!(flown.count(), 31, "one is under way");
    assert!((0..64).contains(&bucket_of(&key(7), 64)));
}
