use sluice::endpoint::Endpoint;
use sluice::guard::stream::{Limits, Mode, Unchecked};
use sluice::usage::{Framing, MAX_EVENT};

use super::{content, delta, guard, released, run, text, window, written, Verdict, NOW};

#[test]
fn memory_is_bounded() {
    let limits = Limits { held: 10_000, event: MAX_EVENT, ..Limits::default() };
    for unchecked in [Unchecked::Pass, Unchecked::Block] {
        let mut guard = window(Limits { unchecked, ..limits });
        let mut shown = Vec::new();
        for _ in 0..1000 {
            shown.extend(guard.chunk(delta("abcdefgh").as_bytes(), false, NOW));
            assert!(guard.held() < 40_000, "{}", guard.held());
        }
        assert!(guard.is_unchecked());
        assert_eq!(guard.is_blocked(), unchecked == Unchecked::Block);
        let passed = content(&shown).len();
        assert!(
            if unchecked == Unchecked::Block { passed == 0 } else { passed > 7000 },
            "{passed}: the last ones wait again"
        );
        let large = vec![b'x'; MAX_EVENT / 4];
        for _ in 0..20 {
            guard.chunk(&large, false, NOW);
            assert!(guard.held() <= MAX_EVENT + large.len());
        }
        let last = guard.chunk(b"\n\n", true, NOW);
        match unchecked {
            Unchecked::Block => assert_eq!(text(&last), "data: [DONE]\n\n"),
            Unchecked::Pass => assert!(last.ends_with(b"xx\n\n") && last.len() < 100 << 10, "{}", last.len()),
        }
        assert!(guard.is_finished());
    }
    let mut large_text = guard(Endpoint::ChatCompletions, Framing::Sse, Mode::Final);
    let large = delta(&"abcdefghijklmnop.".repeat(6 * MAX_EVENT / 17 + 1));
    let shown = run(&mut large_text, &[delta("a").as_bytes(), large.as_bytes(), delta("b").as_bytes()], released);
    assert_eq!(content(&shown).len(), large.len() - delta("").len() + 2);
    assert!(!large_text.is_unchecked());
    let mut many = window(limits);
    for choice in 0..5000 {
        many.chunk(format!("data: {{\"choices\":[{{\"index\":{choice},\"text\":\"a\"}}]}}\n\n").as_bytes(), false, NOW);
    }
    assert!(many.held() < 20_000);
}

#[test]
fn the_end_of_a_blocked_answer() {
    use Endpoint::{
        ChatCompletions, Completions, Messages, OllamaChat, OllamaGenerate, Responses, StreamGenerateContent,
    };
    let filtered = |index: u32| {
        format!(
            r#"data: {{"created":1,"id":"c","model":"m","object":"o","choices":[{{"index":{index},"delta":{{}},"logprobs":null,"finish_reason":"content_filter"}}]}}"#
        )
    };
    let chat = |rest: &str| format!(r#"data: {{"id":"c","object":"o","created":1,"model":"m",{rest}}}"#);
    let role = chat(
        r#""choices":[{"index":0,"delta":{"role":"assistant"}},{"index":1,"delta":{}},{"index":2,"delta":{},"finish_reason":"stop"}]"#,
    );
    let bad = chat(r#""choices":[{"index":0,"delta":{"content":"bad"}}]"#);
    let usage = chat(r#""choices":[],"usage":{"prompt_tokens":1}"#);
    let done = "data: [DONE]".to_owned();
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"status\":\"in_progress\",\"incomplete_details\":null,\"output\":[],\"usage\":null}}";
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],\"usage\":{\"output_tokens\":1}}}";
    let block = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}";
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}";
    let cases: Vec<(&str, Endpoint, Vec<String>, Vec<String>)> = vec![
        ("chat", ChatCompletions, vec![role.clone(), bad.clone(), usage.clone(), done.clone()], vec![role.clone(), filtered(0), filtered(1), usage.clone(), done.clone()]),
        ("chat, cut", ChatCompletions, vec![role.clone(), bad.clone()], vec![role.clone(), filtered(0), filtered(1), done.clone()]),
        ("completions", Completions, vec![chat(r#""choices":[{"index":0,"text":"bad"}]"#), done.clone()],
            vec![r#"data: {"created":1,"id":"c","model":"m","object":"o","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"content_filter"}]}"#.into(), done.clone()]),
        ("responses", Responses, vec![created.into(), r#"data: {"type":"response.output_text.delta","sequence_number":1,"delta":"bad"}"#.into(), r#"data: {"type":"response.completed","response":{"output":[]}}"#.into()],
            vec![created.into(), "event: response.incomplete\ndata: {\"type\":\"response.incomplete\",\"sequence_number\":1,\"response\":{\"id\":\"r\",\"output\":[],\"status\":\"incomplete\",\"error\":null,\"incomplete_details\":{\"reason\":\"content_filter\"}}}".into()]),
        ("Anthropic", Messages, vec![start.into(), block.into(), "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"bad\"}}".into(), r#"data: {"type":"content_block_stop","index":0}"#.into(), r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#.into(), stop.into()],
            vec![start.into(), block.into(), "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}".into(), "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":7}}".into(), stop.into()]),
        ("Ollama chat", OllamaChat, vec![r#"{"model":"m","created_at":"t","message":{"content":"bad"},"done":false}"#.into(), r#"{"model":"m","created_at":"u","done":true}"#.into()],
            vec![r#"{"created_at":"u","model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"content_filter"}"#.into()]),
        ("Ollama generate", OllamaGenerate, vec![r#"{"model":"m","response":"bad","done":false}"#.into()],
            vec![r#"{"model":"m","response":"","done":true,"done_reason":"content_filter"}"#.into()]),
        ("Gemini", StreamGenerateContent, vec![r#"data: {"candidates":[{"content":{"parts":[{"text":"bad"}]}}],"modelVersion":"m","usageMetadata":{"promptTokenCount":1}}"#.into()],
            vec![r#"data: {"modelVersion":"m","usageMetadata":{"promptTokenCount":1},"candidates":[{"finishReason":"SAFETY","index":0}]}"#.into()]),
    ];
    for (name, endpoint, events, want) in cases {
        let framing = if events[0].starts_with('{') { Framing::Ndjson } else { Framing::Sse };
        let join = |events: &[String]| written(framing, &events.iter().map(String::as_str).collect::<Vec<_>>(), "\n");
        let mut guard = guard(endpoint, framing, Mode::Window);
        let shown = run(&mut guard, &[join(&events).as_bytes()], |_| Verdict::Block);
        assert_eq!(text(&shown), join(&want), "{name}");
        assert!(guard.block().is_empty(), "{name}: once");
    }

    // the rest comes after the end
    let mut late = window(Limits { window: 1, ..Limits::default() });
    let bad = chat(r#""choices":[{"index":0,"delta":{"content":"bad."}}]"#) + "\n\n";
    assert!(late.chunk(bad.as_bytes(), false, NOW).is_empty());
    assert!(late.ready().is_some());
    assert_eq!(text(&late.block()), filtered(0) + "\n\n");
    assert!(late.is_blocked());
    assert!(late.chunk(bad.as_bytes(), false, NOW).is_empty());
    assert!(late.ready().is_none());
    assert_eq!(text(&late.chunk(usage.as_bytes(), false, NOW)), "");
    assert_eq!(text(&late.chunk(b"\n\n", false, NOW)), usage + "\n\n");
    assert_eq!(text(&late.chunk(b"data: [DONE]\n\n", false, NOW)), "data: [DONE]\n\n");
    assert!(late.chunk(b"", true, NOW).is_empty());
    assert!(late.is_finished());
}
