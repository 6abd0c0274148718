//! The providers that a short file can name, with their addresses and settings.

/// A provider, as an upstream's `provider` names it.
pub(crate) struct Provider {
    pub(crate) name: &'static str,
    /// Its address. `{resource}`, `{region}` and `{project}` in it, and in `base_path`, are fields of the upstream.
    pub(crate) url: &'static str,
    /// Replaces `/v1`, `/api` or `/v1beta`; empty for the usual one.
    pub(crate) base_path: &'static str,
    pub(crate) dialects: &'static [&'static str],
    /// The environment variable with its key; empty if it needs none.
    pub(crate) variable: &'static str,
    /// The header for the key, if it is not the dialect's usual one.
    pub(crate) header: &'static str,
    /// Headers that it requires.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Whether it accepts `stream_options`. A provider that does not reports a stream's usage anyway.
    pub(crate) include_usage: bool,
}

const HOSTED: Provider = Provider {
    name: "",
    url: "",
    base_path: "",
    dialects: &["openai"],
    variable: "",
    header: "",
    headers: &[],
    include_usage: true,
};

/// By name. Source: the providers' own references, as of 2026.
pub(crate) const PROVIDERS: &[Provider] = &[
    Provider { name: "openai", url: "https://api.openai.com", variable: "OPENAI_API_KEY", ..HOSTED },
    // the v1 API, whose `model` is the deployment's name; it needs no api-version
    Provider {
        name: "azure",
        url: "https://{resource}.openai.azure.com",
        base_path: "/openai/v1",
        variable: "AZURE_OPENAI_API_KEY",
        header: "api-key",
        ..HOSTED
    },
    Provider {
        name: "anthropic",
        url: "https://api.anthropic.com",
        dialects: &["anthropic"],
        variable: "ANTHROPIC_API_KEY",
        headers: &[("anthropic-version", "2023-06-01")],
        ..HOSTED
    },
    Provider {
        name: "gemini",
        url: "https://generativelanguage.googleapis.com",
        dialects: &["gemini"],
        variable: "GEMINI_API_KEY",
        ..HOSTED
    },
    // Amazon Bedrock's OpenAI-compatible API, with a Bedrock API key
    Provider {
        name: "bedrock",
        url: "https://bedrock-runtime.{region}.amazonaws.com",
        base_path: "/openai/v1",
        variable: "AWS_BEARER_TOKEN_BEDROCK",
        ..HOSTED
    },
    // Bedrock's own API, for models that have no other
    Provider {
        name: "bedrock-converse",
        url: "https://bedrock-runtime.{region}.amazonaws.com",
        dialects: &["converse"],
        variable: "AWS_BEARER_TOKEN_BEDROCK",
        ..HOSTED
    },
    // Vertex AI's OpenAI-compatible API; the variable has an access token, which lasts an hour
    Provider {
        name: "vertex",
        url: "https://{region}-aiplatform.googleapis.com",
        base_path: "/v1/projects/{project}/locations/{region}/endpoints/openapi",
        variable: "VERTEX_ACCESS_TOKEN",
        ..HOSTED
    },
    // refuses unknown fields
    Provider {
        name: "mistral",
        url: "https://api.mistral.ai",
        variable: "MISTRAL_API_KEY",
        include_usage: false,
        ..HOSTED
    },
    Provider { name: "groq", url: "https://api.groq.com", base_path: "/openai/v1", variable: "GROQ_API_KEY", ..HOSTED },
    Provider { name: "deepseek", url: "https://api.deepseek.com", variable: "DEEPSEEK_API_KEY", ..HOSTED },
    Provider {
        name: "openrouter",
        url: "https://openrouter.ai",
        base_path: "/api/v1",
        variable: "OPENROUTER_API_KEY",
        ..HOSTED
    },
    Provider { name: "together", url: "https://api.together.xyz", variable: "TOGETHER_API_KEY", ..HOSTED },
    Provider {
        name: "fireworks",
        url: "https://api.fireworks.ai",
        base_path: "/inference/v1",
        variable: "FIREWORKS_API_KEY",
        ..HOSTED
    },
    Provider { name: "xai", url: "https://api.x.ai", variable: "XAI_API_KEY", ..HOSTED },
    Provider {
        name: "cohere",
        url: "https://api.cohere.ai",
        base_path: "/compatibility/v1",
        variable: "COHERE_API_KEY",
        ..HOSTED
    },
    Provider { name: "ollama", url: "http://127.0.0.1:11434", dialects: &["openai", "ollama"], ..HOSTED },
    Provider { name: "vllm", url: "http://127.0.0.1:8000", ..HOSTED },
    Provider { name: "llamacpp", url: "http://127.0.0.1:8080", ..HOSTED },
    Provider { name: "lmstudio", url: "http://127.0.0.1:1234", ..HOSTED },
    Provider { name: "sglang", url: "http://127.0.0.1:30000", ..HOSTED },
    Provider { name: "tgi", url: "http://127.0.0.1:8080", ..HOSTED },
];
