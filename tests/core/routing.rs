use proptest::collection::vec;
use proptest::prelude::*;
use sluice::endpoint::{Dialect, Endpoint};
use sluice::routing::{Model, SmoothWeighted, Table, Target, Tried, Upstream, MAX_TARGETS};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
        include_usage: true,
    }
}

/// A model with one target for each weight, each at the upstream of its index.
pub fn model(name: &str, aliases: &[&str], weights: &[u32], upstreams: &[Upstream]) -> Model {
    let target = |(upstream, weight): (usize, &u32)| Target { upstream, model: None, weight: *weight };
    let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    Model::new(name.into(), aliases, weights.iter().enumerate().map(target).collect(), None, upstreams)
}

#[test]
fn turns() {
    let cases: &[(&[u32], &[usize])] = &[
        (&[1], &[0, 0, 0]),
        (&[1, 1], &[0, 1, 0, 1]),
        (&[3, 1], &[0, 0, 1, 0, 0, 0, 1, 0]),
        (&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0]),
    ];
    for (weights, want) in cases {
        let pool = SmoothWeighted::new(weights);
        let turns: Vec<usize> = want.iter().filter_map(|_| pool.next()).collect();
        assert_eq!(turns, *want, "{weights:?}");
    }
    assert_eq!(SmoothWeighted::new(&[]).next(), None, "no member");
    assert_eq!(SmoothWeighted::new(&[1, 2]).peek(|_| false), None, "none allowed");
}

proptest! {
    #[test]
    fn shares_are_exact(weights in vec(1..20u32, 1..6), start in 0..50usize) {
        let pool = SmoothWeighted::new(&weights);
        let sum: u32 = weights.iter().sum();
        for _ in 0..start {
            pool.next().unwrap();
        }
        let mut picked = vec![0; weights.len()];
        for _ in 0..sum {
            picked[pool.next().unwrap()] += 1;
            pool.peek(|_| true).unwrap(); // looking changes no one's turn
        }
        prop_assert_eq!(picked, weights);
    }

    #[test]
    fn the_largest_weights_do_not_overflow(weights in vec(999_990..=1_000_000u32, 64)) {
        let pool = SmoothWeighted::new(&weights);
        let mut first: Vec<usize> = (0..64).map(|_| pool.next().unwrap()).collect();
        first.sort_unstable();
        prop_assert_eq!(first, (0..64).collect::<Vec<_>>(), "nearly equal weights take turns");
    }

    #[test]
    fn each_target_is_tried_once(weights in vec(1..1000u32, 1..=MAX_TARGETS), warm_up in 0..10usize) {
        let upstreams: Vec<Upstream> = weights.iter().map(|_| upstream("u", &[Dialect::OpenAi])).collect();
        let model = model("m", &[], &weights, &upstreams);
        for _ in 0..warm_up {
            model.first(Dialect::OpenAi).unwrap();
        }
        let mut tried = Tried::default();
        tried.insert(model.first(Dialect::OpenAi).unwrap());
        for _ in 1..weights.len() {
            let another = model.another(Dialect::OpenAi, tried).unwrap();
            prop_assert!(!tried.contains(another), "{} again", another);
            tried.insert(another);
        }
        prop_assert_eq!(model.another(Dialect::OpenAi, tried), None);
    }
}

#[test]
fn retries_do_not_bend_shares() {
    let upstreams = [upstream("a", &[Dialect::OpenAi]), upstream("b", &[Dialect::OpenAi])];
    let model = model("m", &[], &[3, 1], &upstreams);
    let mut firsts = [0; 2];
    for _ in 0..400 {
        let first = model.first(Dialect::OpenAi).unwrap();
        firsts[first] += 1;
        let mut tried = Tried::default();
        tried.insert(first);
        assert_eq!(model.another(Dialect::OpenAi, tried), Some(1 - first));
    }
    assert_eq!(firsts, [300, 100]);
}

#[test]
fn each_dialect_has_its_pool() {
    use Dialect::{Anthropic, Gemini, Ollama, OpenAi};
    let upstreams = [upstream("a", &[OpenAi]), upstream("b", &[Anthropic]), upstream("c", &[OpenAi, Ollama])];
    let model = model("m", &[], &[1, 1, 1], &upstreams);
    let cases = [(OpenAi, vec![0, 2]), (Anthropic, vec![1]), (Ollama, vec![2]), (Gemini, vec![])];
    for (dialect, want) in cases {
        let mut picked: Vec<usize> = (0..want.len()).filter_map(|_| model.first(dialect)).collect();
        picked.sort_unstable();
        assert_eq!(picked, want, "{dialect:?}");
        assert_eq!(model.pool_size(dialect), want.len(), "{dialect:?}");
    }
    assert_eq!(model.first(Gemini), None);
    assert_eq!(model.another(Gemini, Tried::default()), None);
    assert_eq!(model.dialects().collect::<Vec<_>>(), [OpenAi, Anthropic, Ollama]);
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
            "/openai/deployments/a%2Fb/embeddings?x=1&api-version=2024-10-21",
        ),
        (Messages, None, Some("beta=true"), "/v1/messages", "/v1/messages?beta=true"),
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
    ];
    for (endpoint, base_path, query, path, want) in cases {
        let mut upstream = upstream("u", &[endpoint.dialect()]);
        upstream.base_path = base_path.map(str::to_owned);
        upstream.query = query.map(str::to_owned);
        assert_eq!(upstream.path(endpoint, path, "a/b"), want, "{path} with {base_path:?}");
    }
}
