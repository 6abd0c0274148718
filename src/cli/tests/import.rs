//! `sluice import`: the output is a short file without errors, and everything without a counterpart gets a note.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use assert_cmd::Command;

fn sluice(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
    command.args(arguments).write_stdin(input).env_remove("NOT_SET").env("MASTER", "sk-demo-user");
    let output = command.env("AZURE_BASE", "https://res-1.openai.azure.com/").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A LiteLLM configuration, the output, and the notes.
const CASES: &[(&str, &[&str], &[&str])] = &[
    (
        "model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: os.environ/CLAUDE_KEY}
general_settings: {master_key: os.environ/MASTER}
",
        &[
            "hash: \"sha256:2eef5086bc46e9a6cf033ddad8631eedd994162bf646ed5efdb88f4d6daa2e3c\"",
            "  openai: {provider: openai}\n",
            "  anthropic: {provider: anthropic, credential: {env: CLAUDE_KEY}}\n",
            "  - name: gpt-4o\n    targets:\n      - {upstream: openai}\n",
            "      - {upstream: anthropic, model: claude-sonnet-4-5}\n",
        ],
        &[],
    ),
    (
        "model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o-eu, api_base: os.environ/AZURE_BASE, api_key: os.environ/AZURE_EU, api_version: '2024-10-21', rpm: 6}
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o-us, api_base: 'https://res-2.openai.azure.com', api_key: os.environ/AZURE_US, rpm: 9}
router_settings: {routing_strategy: least-busy, num_retries: 2, timeout: 30, allowed_fails: 3, cooldown_time: 30}
",
        &[
            "azure: {provider: azure, resource: res-1, credential: {env: AZURE_EU, header: api-key}}",
            "azure-2: {provider: azure, resource: res-2, credential: {env: AZURE_US, header: api-key}}",
            "strategy: least_used",
            "limits: {requests_per_minute: 15}",
            "retry: {max_attempts: 3, per_try_timeout: {stream: 30s, json: 30s}}",
            "ejection: {consecutive_failures: 4, time: 30s, max_time: 300s}",
            "{upstream: azure-2, model: gpt-4o-us}",
        ],
        &["line 3: api_version is left out", "rpm, tpm and max_budget are limits of the whole model here", "there is no master_key"],
    ),
    (
        "model_list:
  - {model_name: small, litellm_params: {model: groq/llama-3.1-8b-instant}}
  - {model_name: large, litellm_params: {model: gpt-4o}}
  - {model_name: long, litellm_params: {model: gemini/gemini-2.5-pro}}
litellm_settings:
  fallbacks: [{small: [large, huge]}]
  context_window_fallbacks: [{small: [long]}]
  default_fallbacks: [large]
  drop_params: true
router_settings:
  model_group_alias: {tiny: small, gone: nothing}
",
        &[
            "{upstream: groq, model: llama-3.1-8b-instant}",
            "- name: small\n    aliases: [tiny]\n    fallbacks: [large]\n    context_length_fallback: long\n",
            "- name: long\n    fallbacks: [large]\n",
            "groq: {provider: groq}",
            "gemini: {provider: gemini}",
        ],
        &["litellm_settings.drop_params has no counterpart", "\"huge\", which is not in model_list", "alias \"gone\" of \"nothing\""],
    ),
    (
        "model_list:
  - model_name: m
    litellm_params: {model: openai/local-model, api_base: 'http://127.0.0.1:8000/v1', api_key: sk-1234567890, weight: 2, temperature: 0.1}
    model_info: {input_cost_per_token: 0.0000025, output_cost_per_token: 1e-5, mode: chat}
  - model_name: m
    litellm_params: {model: hosted_vllm/llama, api_base: 'http://127.0.0.1:8001'}
",
        &[
            "openai: {provider: openai, url: \"http://127.0.0.1:8000/v1\", credential: {env: UPSTREAM_API_KEY}}",
            "vllm: {provider: vllm, url: \"http://127.0.0.1:8001\"}",
            "{upstream: openai, model: local-model, weight: 2}",
            "price: {input: 2.5, output: 10}",
        ],
        &["litellm_params.temperature has no counterpart", "a key was in the file, and is not copied"],
    ),
    (
        "model_list:
  - {model_name: a, litellm_params: {model: bedrock/openai.gpt-oss-120b-1:0, aws_region_name: eu-central-1, order: 1}}
  - {model_name: a, litellm_params: {model: vertex_ai/gemini-2.5-flash, vertex_project: p-1, vertex_location: europe-west4, order: 2}}
  - {model_name: b, litellm_params: {model: sagemaker/x}}
  - {model_name: 'openai/*', litellm_params: {model: 'openai/*'}}
router_settings: {routing_strategy: cost-based-routing, redis_host: r, redis_port: 6379}
general_settings: {master_key: os.environ/NOT_SET, database_url: os.environ/DB}
",
        &[
            "bedrock: {provider: bedrock, region: eu-central-1}",
            "vertex: {provider: vertex, project: p-1, region: europe-west4}",
            "strategy: priority",
            "{upstream: bedrock, model: \"openai.gpt-oss-120b-1:0\", tier: 1}",
            "{upstream: vertex, model: google/gemini-2.5-flash, tier: 2}",
        ],
        &[
            "b: the provider of \"sagemaker/x\" is unknown",
            "openai/*: the name that clients send is passed on",
            "cost-based-routing has no counterpart",
            "router_settings.redis_host has no counterpart",
            "general_settings.database_url has no counterpart",
            "NOT_SET is not set here",
            "with a Bedrock API key",
        ],
    ),
    (
        "model_list:
  - {model_name: '*', litellm_params: {model: '*'}}
  - {model_name: m, litellm_params: {model: mistral/mistral-small-latest, tpm: 1000, rpm: 10, timeout: 20, stream_timeout: 5}}
  - {model_name: t, litellm_params: {model: together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo}}
  - {model_name: f, litellm_params: {model: fireworks_ai/accounts/fireworks/models/qwen3}}
  - {model_name: o, litellm_params: {model: ollama_chat/llama3.2, api_base: 'http://localhost:11434'}}
  - {model_name: r, litellm_params: {model: openrouter/anthropic/claude-sonnet-4.5}}
  - {model_name: x, litellm_params: {model: xai/grok-4}}
  - {model_name: d, litellm_params: {model: deepseek/deepseek-chat}}
  - {model_name: c, litellm_params: {model: command-r-plus}}
",
        &[
            "- name: \"*\"\n    targets:\n      - {upstream: openai}\n",
            "mistral: {provider: mistral}",
            "limits: {requests_per_minute: 10, tokens_per_minute: 1000}",
            "retry: {per_try_timeout: {stream: 5s, json: 20s}}",
            "model: meta-llama/Llama-3.3-70B-Instruct-Turbo}",
            "model: accounts/fireworks/models/qwen3}",
            "ollama: {provider: ollama, url: \"http://localhost:11434\"}",
            "model: anthropic/claude-sonnet-4.5}",
            "cohere: {provider: cohere}",
        ],
        &[],
    ),
    // what is a deployment's there and the model's here: nothing is dropped without a note
    (
        "model_list:
  - {model_name: m, litellm_params: {model: openai/a, rpm: 6, tpm: 100, weight: 0.5, timeout: 10, api_version: x, aws_region_name: y, vertex_project: z}}
  - {model_name: m, litellm_params: {model: groq/b, weight: 0.25, timeout: 20, rpm: 1k}, model_info: {mode: chat, input_cost_per_token: 1e-6}}
  - {model_name: n, litellm_params: {model: openai/n, rpm: 0, order: 2, api_base: 'http://127.0.0.1:1/v1', base_url: 'http://127.0.0.1:2', api_key: 7}}
  - {model_name: n, litellm_params: {model: vertex_ai/n, vertex_project: os.environ/NOT_SET, rpm: 0}}
litellm_settings: {num_retries: 1, set_verbose: true, cooldown_time: 0, context_window_fallbacks: [{m: [n, o]}], default_fallbacks: [gone]}
router_settings: {num_retries: 4, routing_strategy: least-busy, fallbacks: [{m: [{model: n}]}, n], model_group_alias: {a: {model: m, hidden: true}}, timeout: soon}
",
        &[
            "{upstream: openai, model: a, weight: 50}",
            "{upstream: groq, model: b, weight: 25}",
            "tier: 2}",
            "project: my-project, region: us-central1",
            "{upstream: vertex, tier: 3}",
            "max_attempts: 5",
            "aliases: [a]",
        ],
        &[
            "line 2: m: rpm is left out, since not all of its 2 deployments have one, and a limit here is one of the whole model; if you want one: limits: {requests_per_minute: 6}",
            "line 2: m: tpm is left out",
            "line 3: rpm is no number",
            "line 4: n: rpm: 0 is left out",
            "m: all deployments get the timeout of this one",
            "api_version is left out: openai has no use for it",
            "aws_region_name is left out",
            "vertex_project is left out",
            "model_info.mode has no counterpart",
            "m: a price for input or for output alone",
            "base_url is left out: api_base is used",
            "api_key is no text",
            "vertex_project cannot be read here, so my-project stands for it",
            "litellm_settings.set_verbose has no counterpart",
            "cooldown_time: 0 is left out",
            "line 6: fallbacks name \"o\"",
            "default_fallbacks name \"gone\"",
            "router_settings.num_retries replaces an earlier value",
            "n: `order` makes it `priority`",
            "only a list of models' names is read here",
            "fallbacks is read as a list such as",
            "model_group_alias.a.hidden has no counterpart",
            "timeout is no number",
        ],
    ),
    (
        "model_list: [{model_name: m, litellm_params: {model: openai/m}}]\nrouter_settings: {model_group_alias: {n: m}}\n",
        &["aliases: [\"n\"]\n    targets:\n      - {upstream: openai, model: m}\n"], // not the alias
        &["\n1 note; see"],
    ),
    // budgets: of the proxy, of models and of tags
    (
        "model_list:
  - {model_name: m, litellm_params: {model: openai/gpt-4o, max_budget: 2.5, budget_duration: 1d}}
  - {model_name: m, litellm_params: {model: groq/llama-3.1-8b-instant, max_budget: 0.5, budget_duration: 24h}}
  - {model_name: n, litellm_params: {model: openai/gpt-4o, max_budget: 100, budget_duration: 1mo, rpm: 5}}
  - {model_name: o, litellm_params: {model: openai/gpt-4o, max_budget: 1, budget_duration: 1d}}
  - {model_name: o, litellm_params: {model: groq/llama-3.1-8b-instant}}
  - {model_name: p, litellm_params: {model: openai/gpt-4o, max_budget: 1}}
  - {model_name: q, litellm_params: {model: openai/gpt-4o, max_budget: 0, budget_duration: 1d}}
litellm_settings:
  max_budget: 500
  budget_duration: 30d
  tag_budget_config:
    'product:chat-bot': {max_budget: 10, budget_duration: 1d}
    other: {max_budget: 1, budget_duration: 7d, alert: true}
  default_team_settings: [{team_id: a, max_budget: 100}]
  max_internal_user_budget: 10
router_settings:
  provider_budget_config: {openai: {budget_limit: 100, time_period: 1d}}
",
        &[
            "- name: m\n    limits: {cost_per_day: 3}\n",
            "- name: \"n\"\n    limits: {requests_per_minute: 5, cost_per_month: 100}\n",
            "\nlimits: {cost_per_month: 500}\n",
            "\nlabel_limits:\n  - {label: tag, value: \"product:chat-bot\", limits: {cost_per_day: 10}}\n",
        ],
        &[
            "line 5: o: max_budget is left out, since not all deployments have one",
            "line 7: p: a budget that starts anew at no time has no counterpart",
            "line 8: q: max_budget: 0 is left out",
            "the budget's 30d become the calendar's month",
            "tag_budget_config.other: the budget of $1 for 7d is left out",
            "tag_budget_config.other.alert has no counterpart",
            "tags become labels of keys",
            "litellm_settings.default_team_settings: budgets of new keys",
            "litellm_settings.max_internal_user_budget: budgets of new keys",
            "provider_budget_config.openai: the budget of $100 for 1d is left out",
        ],
    ),
];

#[test]
fn litellm() {
    for (text, wanted, told) in CASES {
        let (code, out, notes) = sluice(&["import", "litellm", "-"], text);
        assert_eq!(code, 0, "{notes}");
        for part in *wanted {
            assert!(out.contains(part), "no {part:?} in\n{out}\n{notes}");
        }
        for part in *told {
            assert!(notes.contains(part), "no {part:?} in\n{notes}");
        }
        assert!(!out.contains("sk-"), "no key is copied: {out}");
        let (code, found, _) = sluice(&["check", "-"], &out);
        assert_eq!(code, 0, "{found}\n{out}");
    }
}

#[test]
fn nothing_to_import() {
    for text in ["model_list: []", "a: 1", "model_list: [{model_name: a}]", "model_list: ["] {
        let (code, out, error) = sluice(&["import", "litellm", "-"], text);
        assert_eq!((code, out.as_str()), (1, ""), "{text}");
        assert!(error.contains("model_list") || error.contains("not YAML"), "{error}");
    }
}
