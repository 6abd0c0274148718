//! From method and path to the requested operation.

use hyper::{Method, Uri};

use crate::problem::{Dialect, Problem};

/// The operation, with the names in the path.
#[derive(Debug, PartialEq, Eq)]
pub enum Operation {
    Chat,
    Completions,
    Embeddings,
    Responses,
    /// Speech as a text.
    Speech,
    /// Images from other images.
    Pictures,
    ListModels,
    AzureChat {
        deployment: String,
    },
    Messages,
    OllamaChat,
    OllamaGenerate,
    OllamaEmbed,
    OllamaTags,
    Tokenize,
    CountTokens,
    Generate {
        model: String,
        delivery: Delivery,
    },
    BatchEmbed {
        model: String,
    },
    Converse {
        model: String,
        stream: bool,
    },
}

/// Gemini's three kinds of answers; the path decides, not the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Whole,
    Sse,
    Array,
}

/// A request's dialect is known even if its operation is not: the error depends on it.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    pub dialect: Dialect,
    pub operation: Result<Operation, Problem>,
}

impl Route {
    pub fn of(method: &Method, uri: &Uri) -> Self {
        let path = uri.path();
        let operation = match operation(path, uri.query().unwrap_or_default()) {
            None => Err(Problem::no_such_route(method.as_str(), path)),
            Some(operation) if *method != operation.method() => Err(Problem::wrong_method(method.as_str())),
            Some(operation) => Ok(operation),
        };
        Self { dialect: dialect(path), operation }
    }
}

impl Operation {
    fn method(&self) -> Method {
        match self {
            Operation::ListModels | Operation::OllamaTags => Method::GET,
            Operation::Chat
            | Operation::Completions
            | Operation::Embeddings
            | Operation::Responses
            | Operation::Speech
            | Operation::Pictures
            | Operation::AzureChat { .. }
            | Operation::Messages
            | Operation::OllamaChat
            | Operation::OllamaGenerate
            | Operation::OllamaEmbed
            | Operation::Tokenize
            | Operation::CountTokens
            | Operation::Converse { .. }
            | Operation::BatchEmbed { .. }
            | Operation::Generate { .. } => Method::POST,
        }
    }
}

fn dialect(path: &str) -> Dialect {
    let prefixes = [
        ("/v1/messages", Dialect::Anthropic),
        ("/openai/", Dialect::Azure),
        ("/api/", Dialect::Ollama),
        ("/v1beta/", Dialect::Gemini),
        ("/model/", Dialect::Converse),
    ];
    let found = prefixes.iter().find(|(prefix, _)| path.starts_with(prefix));
    found.map_or(Dialect::OpenAi, |(_, dialect)| *dialect)
}

fn operation(path: &str, query: &str) -> Option<Operation> {
    // Azure's v1 API
    let own = path.strip_prefix("/openai").filter(|rest| rest.starts_with("/v1/")).unwrap_or(path);
    match own {
        "/v1/chat/completions" => Some(Operation::Chat),
        "/v1/completions" => Some(Operation::Completions),
        "/v1/embeddings" => Some(Operation::Embeddings),
        "/v1/responses" => Some(Operation::Responses),
        "/v1/audio/transcriptions" | "/v1/audio/translations" => Some(Operation::Speech),
        "/v1/images/edits" | "/v1/images/variations" => Some(Operation::Pictures),
        "/v1/models" => Some(Operation::ListModels),
        "/v1/messages" => Some(Operation::Messages),
        "/api/chat" => Some(Operation::OllamaChat),
        "/api/generate" => Some(Operation::OllamaGenerate),
        "/api/embed" => Some(Operation::OllamaEmbed),
        "/api/tags" => Some(Operation::OllamaTags),
        "/tokenize" => Some(Operation::Tokenize),
        "/extras/tokenize/count" => Some(Operation::CountTokens),
        _ => azure_chat(path, query).or_else(|| generate(path, query)).or_else(|| converse(path)),
    }
}

/// Azure answers 404 without an `api-version`.
fn azure_chat(path: &str, query: &str) -> Option<Operation> {
    let deployment = path.strip_prefix("/openai/deployments/")?.strip_suffix("/chat/completions")?;
    let versioned = query.split('&').any(|pair| pair.starts_with("api-version="));
    let named = !deployment.is_empty() && !deployment.contains('/');
    (versioned && named).then(|| Operation::AzureChat { deployment: deployment.to_owned() })
}

fn generate(path: &str, query: &str) -> Option<Operation> {
    let (model, action) = path.strip_prefix("/v1beta/models/")?.rsplit_once(':')?;
    if action == "batchEmbedContents" {
        return Some(Operation::BatchEmbed { model: model.to_owned() });
    }
    let sse = query.split('&').any(|pair| pair == "alt=sse");
    let delivery = match (action, sse) {
        ("generateContent", _) => Delivery::Whole,
        ("streamGenerateContent", true) => Delivery::Sse,
        ("streamGenerateContent", false) => Delivery::Array,
        _ => return None,
    };
    Some(Operation::Generate { model: model.to_owned(), delivery })
}

/// The model's id is percent-encoded: it may be an ARN.
fn converse(path: &str) -> Option<Operation> {
    let (model, action) = path.strip_prefix("/model/")?.split_once('/')?;
    let stream = match action {
        "converse" => false,
        "converse-stream" => true,
        _ => return None,
    };
    Some(Operation::Converse { model: unescaped(model)?, stream })
}

/// Decodes `%XX`; `None` if a `%` is alone, or the bytes are not UTF-8.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_names() {
        let azure = Operation::AzureChat { deployment: "gpt-4o".into() };
        let gemini = |delivery| Operation::Generate { model: "g:1".into(), delivery };
        let cases = [
            ("/openai/deployments/gpt-4o/chat/completions?api-version=1", Some(azure)),
            ("/openai/deployments/gpt-4o/chat/completions", None),
            ("/openai/deployments//chat/completions?api-version=1", None),
            ("/openai/v1/chat/completions", Some(Operation::Chat)),
            ("/openai/v1beta/models/g:1:generateContent", None),
            ("/v1beta/models/g:1:generateContent", Some(gemini(Delivery::Whole))),
            ("/v1beta/models/g:1:streamGenerateContent?alt=sse", Some(gemini(Delivery::Sse))),
            ("/v1beta/models/g:1:streamGenerateContent", Some(gemini(Delivery::Array))),
            ("/v1beta/models/g:1:somethingElse", None),
            ("/model/a%3Ab%2F1/converse", Some(Operation::Converse { model: "a:b/1".into(), stream: false })),
            ("/model/m/converse-stream", Some(Operation::Converse { model: "m".into(), stream: true })),
            ("/model/m%/converse", None),
            ("/model/m/invoke", None),
        ];
        for (uri, want) in cases {
            let route = Route::of(&Method::POST, &Uri::from_static(uri));
            assert_eq!(route.operation.ok(), want, "{uri}");
        }
    }
}
