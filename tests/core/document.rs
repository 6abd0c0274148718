//! What counts as a valid answer to a JSON request, for each endpoint.

use proptest::prelude::*;
use sluice::endpoint::{Endpoint, Further};
use sluice::response_gate::Document::{self, Answer, Broken, Error};

use Endpoint::{
    ChatCompletions, Completions, Embeddings, GenerateContent, Messages, OllamaChat, OllamaEmbed, OllamaGenerate,
    Responses,
};

const CHAT: &str = r#"{"id":"x","choices":[{"index":0,"message":{"content":"Yes"},"finish_reason":"stop"}]}"#;

#[test]
fn answers_of_each_endpoint() {
    let answers = [
        (ChatCompletions, CHAT),
        (Completions, r#"{"choices":[{"text":"Yes"}]}"#),
        (Embeddings, r#"{"object":"list","data":[{"embedding":[0.5]}]}"#),
        (Endpoint::Further(Further::Moderations), r#"{"id":"m","results":[]}"#),
        (Endpoint::Further(Further::CountTokens), r#"{"input_tokens":1}"#),
        (Responses, r#"{"object":"response","status":"completed","error":null,"output":[{"type":"message"}]}"#),
        (Messages, r#"{"type":"message","content":[{"type":"text","text":"Yes"}]}"#),
        (OllamaChat, r#"{"message":{"content":"Yes"},"done":true}"#),
        (OllamaGenerate, r#"{"response":"Yes","done":true}"#),
        (OllamaEmbed, r#"{"embeddings":[[0.5]]}"#),
        (GenerateContent, r#"{"candidates":[{"content":{}}]}"#),
    ];
    for (endpoint, answer) in answers {
        for (other, _) in answers {
            let same = endpoint == other
                || matches!((endpoint, other), (ChatCompletions | Completions, ChatCompletions | Completions))
                || matches!((endpoint, other), (OllamaChat | OllamaGenerate, OllamaChat | OllamaGenerate));
            let want = if same { Answer } else { Broken };
            assert_eq!(Document::judge(other, answer.as_bytes()), want, "{endpoint:?}'s answer for {other:?}");
        }
    }
}

#[test]
fn real_servers() {
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"index\":0}]}\n\n";
    let finish = "data: {\"choices\":[{\"delta\":{},\"index\":0,\"finish_reason\":\"stop\"}]}\n\n";
    let cases: Vec<(&str, Endpoint, String, Document)> = vec![
        ("ranks", Endpoint::Further(Further::Rerank), r#"{"results":[{"index":0}]}"#.into(), Answer),
        ("Voyage's ranks", Endpoint::Further(Further::Rerank), r#"{"data":[{"index":0}]}"#.into(), Answer),
        ("nothing", ChatCompletions, String::new(), Broken),
        ("white space", ChatCompletions, " \r\n".into(), Broken),
        ("a byte order mark", ChatCompletions, format!("\u{feff}{CHAT}"), Answer),
        ("line ends around it", ChatCompletions, format!("\n{CHAT}\r\n"), Answer),
        ("the end of a stream after it", ChatCompletions, format!("{CHAT}\ndata: [DONE]\n\n"), Answer),
        ("the same without a space", ChatCompletions, format!("{CHAT}data:[DONE]"), Answer),
        ("another text after it", ChatCompletions, format!("{CHAT}{CHAT}"), Broken),
        ("a web page", ChatCompletions, "<html></html>".into(), Broken),
        ("words", ChatCompletions, "Internal Server Error".into(), Broken),
        ("half of it", ChatCompletions, CHAT[..40].into(), Broken),
        ("a number", ChatCompletions, "5".into(), Broken),
        ("null", ChatCompletions, "null".into(), Broken),
        ("an empty object", ChatCompletions, "{}".into(), Broken),
        ("no choices", ChatCompletions, r#"{"choices":null}"#.into(), Broken),
        ("none of the choices", ChatCompletions, r#"{"choices":[],"usage":{}}"#.into(), Answer),
        ("a list", ChatCompletions, format!("[{CHAT}]"), Answer),
        ("too deep", ChatCompletions, "[".repeat(500), Answer),
        ("OpenAI's error", ChatCompletions, r#"{"error":{"message":"m","code":null}}"#.into(), Error),
        ("an error in a word", ChatCompletions, r#"{"error":"m"}"#.into(), Error),
        ("an error beside choices", ChatCompletions, r#"{"choices":[],"error":{"code":502}}"#.into(), Error),
        ("an error in a choice", ChatCompletions, r#"{"choices":[{"error":{"code":502},"finish_reason":"error"}]}"#.into(), Error),
        ("a choice without an error", ChatCompletions, r#"{"choices":[{"error":null}]}"#.into(), Answer),
        ("an error that is null", ChatCompletions, CHAT.replace("{\"id\"", "{\"error\":null,\"id\""), Answer),
        ("vLLM's flat error", ChatCompletions, r#"{"object":"error","message":"m","code":400}"#.into(), Error),
        ("Anthropic's error", Messages, r#"{"type":"error","error":{"type":"overloaded_error"}}"#.into(), Error),
        ("Gemini's error in a list", GenerateContent, "[{\"error\":{\"code\":503}}\n]".into(), Error),
        ("a blocked prompt", GenerateContent, r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#.into(), Answer),
        ("a response that failed", Responses, r#"{"status":"failed","error":{"code":"server_error"},"output":[]}"#.into(), Error),
        ("a response in the background", Responses, r#"{"status":"queued","output":[],"error":null}"#.into(), Answer),
        ("a model that is unloaded", OllamaGenerate, r#"{"model":"m","response":"","done":true}"#.into(), Answer),
        ("Ollama's error", OllamaChat, r#"{"error":"model runner has unexpectedly stopped"}"#.into(), Error),
        ("lines where none were asked for", OllamaChat, "{\"message\":{},\"done\":false}\n{\"done\":true}\n".into(), Answer),
        ("half of the lines", OllamaChat, "{\"message\":{},\"done\":false}\n{\"message\":{}}\n".into(), Broken),
        ("a stream", ChatCompletions, format!("{stream}{finish}data: [DONE]\n\n"), Answer),
        ("a stream without its last word", ChatCompletions, format!("{stream}{finish}"), Answer),
        ("a stream without a reason", ChatCompletions, format!(": ping\n\n{stream}data: [DONE]\n\n"), Answer),
        ("a stream that is cut", ChatCompletions, stream.into(), Broken),
        ("a stream of nothing", ChatCompletions, "data: [DONE]\n\n".into(), Broken),
        ("a stream cut in an event", ChatCompletions, format!("{stream}{}", &finish[..30]), Broken),
        ("a stream that fails", ChatCompletions, format!("{stream}data: {{\"error\":{{}}}}\n\n"), Error),
        ("an error as a stream", ChatCompletions, "data: {\"error\":{}}\n\n".into(), Error),
        ("Anthropic's stream", Messages, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".into(), Answer),
    ];
    for (name, endpoint, body, want) in cases {
        assert_eq!(Document::judge(endpoint, body.as_bytes()), want, "{name}");
    }
}

proptest! {
    #[test]
    fn a_cut_answer_is_invalid(at in 0..CHAT.len()) {
        prop_assert_eq!(Document::judge(ChatCompletions, &CHAT.as_bytes()[..at]), Broken);
    }

    #[test]
    fn any_bytes_are_judged(body in prop::collection::vec(any::<u8>(), 0..200)) {
        Document::judge(ChatCompletions, &body);
        Document::judge(OllamaChat, &body);
    }
}
