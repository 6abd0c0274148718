use std::time::Duration;

use sluice::config::Object;
use sluice::endpoint::{Dialect, Endpoint, Further};
use sluice::forwarding::Forwarded;
use sluice::health::Policy;
use sluice::routing::{by_name, Budget, BudgetBalance, Member, Model, Retry, Table, Target, TargetSet, Upstream};
use sluice::usage::Metering;

pub fn upstream(name: &str, dialects: &[Dialect]) -> Upstream {
    Upstream {
        name: name.into(),
        cluster: name.into(),
        dialects: dialects.to_vec(),
        host: None,
        base_path: None,
        query: None,
        credential: None,
        headers: Vec::new(),
        forwarded: Forwarded::default(),
        include_usage: true,
        translate: true,
        responses_api: true,
        usage: Metering::default(),
        ejection: Policy::default(),
        strict_end: None,
        counts_in_flight: false,
        prices: Default::default(),
    }
}

/// A model with one target for each weight; target i is at upstream i.
pub fn model(name: &str, aliases: &[&str], weights: &[u32], upstreams: &[Upstream]) -> Model {
    let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    let targets = (0..weights.len()).map(|upstream| Target { upstream, model: None, price: None }).collect();
    let members: Vec<Member> = weights.iter().map(|weight| Member { weight: *weight, ..Member::default() }).collect();
    let strategy = (by_name("weighted").unwrap().build)(&Object::empty("strategy"), &members).unwrap();
    Model::new(name.into(), aliases, targets, strategy, Retry::default(), upstreams)
}

#[test]
fn each_dialect_has_its_targets() {
    use Dialect::{Anthropic, Gemini, Ollama, OpenAi};
    let upstreams = [upstream("a", &[OpenAi]), upstream("b", &[Anthropic]), upstream("c", &[OpenAi, Ollama])];
    let model = model("m", &[], &[1, 1, 1], &upstreams);
    let cases = [(OpenAi, vec![0, 2]), (Anthropic, vec![1]), (Ollama, vec![2]), (Gemini, vec![])];
    for (dialect, want) in cases {
        assert_eq!(model.speaking(dialect).iter().collect::<Vec<_>>(), want, "{dialect:?}");
    }
    assert_eq!(model.dialects().collect::<Vec<_>>(), [OpenAi, Anthropic, Ollama]);
}

#[test]
fn responses_go_to_upstreams_that_serve_them() {
    use Dialect::{Anthropic, OpenAi};
    let chat_alone = Upstream { responses_api: false, ..upstream("b", &[OpenAi]) };
    let untranslated = Upstream { translate: false, ..chat_alone.clone() };
    let upstreams = [upstream("a", &[OpenAi]), chat_alone, upstream("c", &[Anthropic]), untranslated];
    let model = model("m", &[], &[1, 1, 1, 1], &upstreams);
    let targets = |set: TargetSet| set.iter().collect::<Vec<_>>();
    assert_eq!(targets(model.serving(Endpoint::Responses)), [0]);
    assert_eq!(targets(model.translating(Endpoint::Responses)), [1, 2]);
    assert_eq!(targets(model.serving(Endpoint::ChatCompletions)), [0, 1, 3]);
    assert_eq!(targets(model.translating(Endpoint::ChatCompletions)), [2]);
}

#[test]
fn names() {
    let upstreams = vec![upstream("a", &[Dialect::OpenAi])];
    let mut table = Table::new(upstreams.clone());
    for (name, aliases) in [("gpt-4o", &["best"][..]), ("gpt-*", &[]), ("gpt-4*", &["llama-*"]), ("gpt-4o-mini", &[])] {
        table.add(model(name, aliases, &[1], &upstreams)).unwrap();
    }
    let cases = [
        ("gpt-4o", Some(0)),
        ("best", Some(0)),
        ("gpt-3.5", Some(1)),
        ("gpt-", Some(1)),
        ("gpt-4.1", Some(2)),
        ("gpt-4o-mini", Some(3)),
        ("gpt-4o-mini-2024", Some(2)),
        ("llama-3", Some(2)),
        ("gpt", None),
        ("GPT-4o", None),
        ("", None),
        ("*", None),
    ];
    for (name, want) in cases {
        assert_eq!(table.find(name), want, "{name}");
    }
    for (name, aliases, taken) in [
        ("best", &[][..], "best"),
        ("gpt-*", &[], "gpt-*"),
        ("new", &["gpt-4o"], "gpt-4o"),
        ("twice", &["twice"], "twice"),
    ] {
        assert_eq!(table.add(model(name, aliases, &[1], &upstreams)), Err(taken.to_owned()), "{name}");
    }
}

#[test]
fn upstream_paths() {
    use Endpoint::{ChatCompletions, Embeddings, GenerateContent, Messages, OllamaChat, StreamGenerateContent};
    let azure = Some("/openai/deployments/{model}");
    let version = Some("api-version=2024-10-21");
    let cases = [
        (ChatCompletions, None, None, "/v1/chat/completions", "/v1/chat/completions"),
        (ChatCompletions, None, None, "/v1/chat/completions?a=1", "/v1/chat/completions?a=1"),
        (ChatCompletions, None, None, "/v1/chat/completions?", "/v1/chat/completions?"),
        (ChatCompletions, Some(""), None, "/v1/chat/completions", "/chat/completions"),
        (ChatCompletions, Some("/api/v3"), None, "/v1/chat/completions", "/api/v3/chat/completions"),
        (
            ChatCompletions,
            azure,
            version,
            "/v1/chat/completions",
            "/openai/deployments/a%2Fb/chat/completions?api-version=2024-10-21",
        ),
        (
            Embeddings,
            azure,
            version,
            "/v1/embeddings?x=1",
            "/openai/deployments/a%2Fb/embeddings?api-version=2024-10-21&x=1",
        ),
        (Messages, None, Some("beta=true"), "/v1/messages", "/v1/messages?beta=true"),
        (Endpoint::Further(Further::Rerank), None, Some("a=1"), "/v2/rerank", "/v2/rerank?a=1"),
        (Endpoint::Further(Further::Rerank), Some("/cohere/v2"), None, "/v2/rerank", "/cohere/v2/rerank"),
        (Endpoint::Further(Further::Rerank), Some("/cohere/v2"), None, "/v1/rerank", "/cohere/v2/rerank"),
        (OllamaChat, None, None, "/api/chat", "/api/chat"),
        (OllamaChat, Some("/ollama/api"), None, "/api/chat", "/ollama/api/chat"),
        (GenerateContent, None, None, "/v1beta/models/g:generateContent", "/v1beta/models/a%2Fb:generateContent"),
        (
            StreamGenerateContent,
            Some("/v1"),
            None,
            "/v1beta/models/x%3Ay:streamGenerateContent?alt=sse",
            "/v1/models/a%2Fb:streamGenerateContent?alt=sse",
        ),
        (Endpoint::Converse, None, None, "/model/model/converse", "/model/a%2Fb/converse"),
        (
            Endpoint::ConverseStream,
            Some("/bedrock/model"),
            Some("a=1"),
            "/model/model/converse-stream",
            "/bedrock/model/a%2Fb/converse-stream?a=1",
        ),
    ];
    for (endpoint, base_path, query, path, want) in cases {
        let mut upstream = upstream("u", &[endpoint.dialect()]);
        upstream.base_path = base_path.map(str::to_owned);
        upstream.query = query.map(str::to_owned);
        assert_eq!(upstream.path(endpoint, path, "a/b"), want, "{path} with {base_path:?}");
    }
}

#[test]
fn retry_budget() {
    let at = Duration::from_secs;
    let balance = BudgetBalance::new(Budget { percent: 10, min_per_second: 2 });
    assert!(balance.withdraw(at(1)) && balance.withdraw(at(1)) && !balance.withdraw(at(1)), "a second's reserve");
    assert!(balance.withdraw(at(2)) && balance.withdraw(at(2)) && !balance.withdraw(at(2)), "another second's");
    (0..10).for_each(|_| balance.deposit());
    assert!(balance.withdraw(at(2)) && !balance.withdraw(at(2)), "ten requests");
    let balance = BudgetBalance::new(Budget { percent: 0, min_per_second: 1 });
    assert!(balance.withdraw(at(1)));
    let late = (0..100).filter(|_| balance.withdraw(at(100_000))).count();
    assert!(late <= 20, "{late}: a long rest saves up no more than the cap");
    assert!(!balance.withdraw(at(5)), "a clock that goes backwards");
}
