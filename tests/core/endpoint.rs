use sluice::endpoint::{classify, is_anthropic_path, Dialect, Endpoint, Further, RequestTarget};
use sluice::uri::{join_queries, percent_decode, percent_encode, without_keys, without_query};

#[test]
fn calls() {
    use RequestTarget::{Body, Path, Unknown, WrongMethod};
    let path = |endpoint, model: &str| Path(endpoint, model.to_owned());
    let stored = |id: &str| RequestTarget::Stored(id.to_owned());
    let cases = [
        ("POST", "/v1/chat/completions", Body(Endpoint::ChatCompletions)),
        ("POST", "/v1/chat/completions?api-version=2024-10-21", Body(Endpoint::ChatCompletions)),
        ("POST", "/v1/chat/completions?", Body(Endpoint::ChatCompletions)),
        ("POST", "/v1/completions", Body(Endpoint::Completions)),
        ("POST", "/v1/embeddings", Body(Endpoint::Embeddings)),
        ("POST", "/v1/responses", Body(Endpoint::Responses)),
        ("POST", "/v1/messages", Body(Endpoint::Messages)),
        ("POST", "/api/chat", Body(Endpoint::OllamaChat)),
        ("POST", "/api/generate", Body(Endpoint::OllamaGenerate)),
        ("POST", "/api/embed", Body(Endpoint::OllamaEmbed)),
        ("POST", "/v1/chat/completions/", Unknown),
        ("POST", "//v1/chat/completions", Unknown),
        ("POST", "/v1/chat/completion", Unknown),
        ("POST", "/v1/fine_tuning/jobs", Unknown),
        ("POST", "/V1/chat/completions", Unknown),
        ("POST", "/v1/chat%2Fcompletions", Unknown),
        ("POST", "/v1/messages/count_tokens", Body(Endpoint::Further(Further::CountTokens))),
        ("POST", "/v1/moderations", Body(Endpoint::Further(Further::Moderations))),
        ("POST", "/v1/images/generations", Body(Endpoint::Further(Further::Images))),
        ("POST", "/tokenize", Body(Endpoint::Further(Further::Tokenize))),
        ("POST", "/extras/tokenize/count", Body(Endpoint::Further(Further::TokenCount))),
        ("POST", "/v1/images/edits", Body(Endpoint::Further(Further::ImageEdits))),
        ("POST", "/v1/images/variations", Body(Endpoint::Further(Further::ImageVariations))),
        ("POST", "/v1/audio/transcriptions", Body(Endpoint::Further(Further::Transcriptions))),
        ("POST", "/v1/audio/translations", Body(Endpoint::Further(Further::Translations))),
        ("POST", "/v1/audio/speech", Body(Endpoint::Further(Further::Speech))),
        ("POST", "/v1/rerank", Body(Endpoint::Further(Further::Rerank))),
        ("POST", "/v2/rerank?x=1", Body(Endpoint::Further(Further::Rerank))),
        ("POST", "/v1/responses/input_tokens", Body(Endpoint::Further(Further::InputTokens))),
        ("POST", "/api/show", Body(Endpoint::Further(Further::OllamaShow))),
        ("POST", "/api/embeddings", Body(Endpoint::Further(Further::OllamaEmbeddings))),
        ("GET", "/v1/moderations", WrongMethod("POST")),
        ("POST", "/v1/images", Unknown),
        ("GET", "/v1/responses/resp_1", stored("resp_1")),
        ("GET", "/v1/responses/resp_1?stream=true", stored("resp_1")),
        ("DELETE", "/v1/responses/resp_1", stored("resp_1")),
        ("POST", "/v1/responses/resp_1/cancel", stored("resp_1")),
        ("GET", "/v1/responses/resp_1/input_items?limit=2", stored("resp_1")),
        ("POST", "/v1/responses/resp_1", WrongMethod("GET, DELETE")),
        ("GET", "/v1/responses/resp_1/cancel", WrongMethod("POST")),
        ("DELETE", "/v1/responses/resp_1/input_items", WrongMethod("GET")),
        ("GET", "/v1/responses/input_tokens", WrongMethod("POST")),
        ("GET", "/v1/responses/", Unknown),
        ("GET", "/v1/responses/..", Unknown),
        ("GET", "/v1/responses/a%2Fb", Unknown),
        ("GET", "/v1/responses/a/b", Unknown),
        ("GET", "/v1/responses/a/cancel/", Unknown),
        ("GET", "/v1/responses//input_items", Unknown),
        ("POST", "/", Unknown),
        ("POST", "", Unknown),
        ("POST", "?x=/v1/embeddings", Unknown),
        ("GET", "/nowhere", Unknown),
        ("GET", "/favicon.ico", Unknown),
        ("DELETE", "/v1/embeddings", WrongMethod("POST")),
        ("GET", "/v1/embeddings", WrongMethod("POST")),
        ("post", "/v1/embeddings", WrongMethod("POST")),
        ("GET", "/v1beta/models/g:generateContent", WrongMethod("POST")),
        ("POST", "/v1beta/models/gemini-2.5-pro:generateContent", path(Endpoint::GenerateContent, "gemini-2.5-pro")),
        ("POST", "/v1beta/models/g:streamGenerateContent?alt=sse&key=k", path(Endpoint::StreamGenerateContent, "g")),
        ("POST", "/v1beta/models/a%2Fb%3Ac:generateContent", path(Endpoint::GenerateContent, "a/b:c")),
        ("POST", "/v1beta/models/a:b:generateContent", path(Endpoint::GenerateContent, "a:b")),
        ("POST", "/v1beta/models/a+b:generateContent", path(Endpoint::GenerateContent, "a+b")),
        ("POST", "/v1beta/models/a%2gb%:generateContent", path(Endpoint::GenerateContent, "a%2gb%")),
        ("POST", "/v1beta/models/:generateContent", path(Endpoint::GenerateContent, "")),
        ("POST", "/v1beta/models/g:countTokens", Unknown),
        ("POST", "/v1beta/models/g:generateContent/", Unknown),
        ("POST", "/v1beta/models/g", Unknown),
        ("POST", "/v1/models/g:generateContent", RequestTarget::WrongMethod("GET")),
    ];
    for (method, path, want) in cases {
        assert_eq!(classify(method, path, "/gateway"), want, "{method} {path}");
    }
}

#[test]
fn the_key_parameter_is_removed() {
    let cases = [
        ("/p", "/p"),
        ("/p?", "/p?"),
        ("/p?alt=sse", "/p?alt=sse"),
        ("/p?key=secret", "/p"),
        ("/p?key=secret&alt=sse", "/p?alt=sse"),
        ("/p?alt=sse&key=secret", "/p?alt=sse"),
        ("/p?a=1&key=secret&b=2", "/p?a=1&b=2"),
        ("/p?key=secret&key=again", "/p"),
        ("/p?key", "/p"),
        ("/p?key=", "/p"),
        ("/p?key=a=b", "/p"),
        ("/p?keys=1&monkey=2", "/p?keys=1&monkey=2"),
        ("/p?KEY=s&Key=s&%6bey=s&%4B%65%79=s&k%65y=s&a=1", "/p?a=1"),
        ("/p?api_key=s&api-key=s&apikey=s&ApiKey=s&api%5Fkey=s&x-api-key=s&x-goog-api-key=s&a=1", "/p?a=1"),
        ("/p?access_token=s&access-token=s&ACCESS%5fTOKEN=s&oauth_token=s&subscription-key=s&a=1", "/p?a=1"),
        ("/p?%256bey=1&page_token=2", "/p?%256bey=1&page_token=2"),
        ("/p?x=key=1", "/p?x=key=1"),
        ("/p?a+b=%20&key=s", "/p?a+b=%20"),
        ("/p?&&key=s", "/p?&"),
        ("/key=1", "/key=1"),
    ];
    for (path, want) in cases {
        assert_eq!(without_keys(path), want, "{path}");
    }
}

#[test]
fn queries() {
    for (path, want) in [("/a", "/a"), ("/a?", "/a"), ("/a?b?c", "/a"), ("?b", ""), ("", "")] {
        assert_eq!(without_query(path), want, "{path}");
    }
}

#[test]
fn percent_escapes() {
    let cases = [
        ("plain-1.5_~", "plain-1.5_~"),
        ("a/b:c", "a%2Fb%3Ac"),
        ("a b+c", "a%20b%2Bc"),
        ("100%", "100%25"),
        ("é😀", "%C3%A9%F0%9F%98%80"),
        ("?#&", "%3F%23%26"),
    ];
    for (plain, escaped) in cases {
        assert_eq!(percent_encode(plain), escaped, "{plain}");
        assert_eq!(percent_decode(escaped), plain, "{escaped}");
    }
    for (escaped, want) in [("%2f%2F", "//"), ("%", "%"), ("%2", "%2"), ("%zz", "%zz"), ("%%41", "%A"), ("+", "+")] {
        assert_eq!(percent_decode(escaped), want, "{escaped}");
    }
    assert_eq!(percent_decode("%ff"), "\u{fffd}", "what is no UTF-8");
}

#[test]
fn anthropic_paths() {
    let cases = [
        ("/v1/messages", true),
        ("/v1/messages?beta=true", true),
        ("/v1/messages/count_tokens", true),
        ("/v1/messagesx", false),
        ("/v1/chat/completions", false),
        ("/?/v1/messages", false),
    ];
    for (path, want) in cases {
        assert_eq!(is_anthropic_path(path), want, "{path}");
    }
}

#[test]
fn dialects() {
    for (index, dialect) in Dialect::ALL.into_iter().enumerate() {
        assert_eq!(dialect.index(), index, "{dialect:?}");
        assert!(dialect.base_path().starts_with('/'), "{dialect:?}");
    }
    let cases = [
        (Endpoint::Responses, Dialect::OpenAi),
        (Endpoint::Messages, Dialect::Anthropic),
        (Endpoint::OllamaEmbed, Dialect::Ollama),
        (Endpoint::StreamGenerateContent, Dialect::Gemini),
        (Endpoint::ConverseStream, Dialect::Converse),
    ];
    for (endpoint, want) in cases {
        assert_eq!(endpoint.dialect(), want, "{endpoint:?}");
    }
}

/// The operator's query comes first, and the client's values of its parameters are left out.
#[test]
fn queries_of_operator_and_client() {
    let cases = [
        ("", "", ""),
        ("v=1", "", "v=1"),
        ("", "a=b", "a=b"),
        ("v=1", "a=b&c", "v=1&a=b&c"),
        ("v=1&w", "w=2&V=3&%76=4&vv=5", "v=1&w&vv=5"),
        ("v=1", "&&a", "v=1&a"),
        ("v=1&v=2", "v=3", "v=1&v=2"),
    ];
    for (operators, clients, want) in cases {
        assert_eq!(join_queries(operators, clients), want, "{operators} and {clients}");
    }
}
