//! What the bodies of conversations may be, by the providers' API references (OpenAI's chat completions and responses,
//! Anthropic's messages, Gemini's `generateContent`, Ollama's `docs/api.md`). Where servers of the same dialect take more,
//! more is allowed.

use super::walk::Schema::{Any, Choice, Either, Flag, List, Name, Number, Object, Tagged, Text, Whole};
use super::walk::{Member, Schema};
use crate::endpoint::Endpoint;

/// The schema of an endpoint's bodies; `None` if they are not conversations.
pub(super) fn of(endpoint: Endpoint) -> Option<&'static Schema> {
    Some(match endpoint {
        Endpoint::ChatCompletions => &CHAT,
        Endpoint::Responses => &RESPONSES,
        Endpoint::Messages => &MESSAGES,
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => &GEMINI,
        Endpoint::OllamaChat => &OLLAMA,
        Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::OllamaGenerate
        | Endpoint::OllamaEmbed
        | Endpoint::Converse
        | Endpoint::ConverseStream
        | Endpoint::Further(_) => return None,
    })
}

const ALL: usize = usize::MAX;
const MOST: f64 = f64::MAX;

const fn may(name: &'static str, schema: &'static Schema) -> Member {
    Member { name, schema, required: false }
}

const fn must(name: &'static str, schema: &'static Schema) -> Member {
    Member { name, schema, required: true }
}

static TEXT: Schema = Text;
static NAME: Schema = Name;
static FLAG: Schema = Flag;
static ANY: Schema = Any;
static OBJECT: Schema = Object(&[]);
static OBJECTS: Schema = List(&OBJECT, 0, ALL);
static TEXTS: Schema = List(&TEXT, 0, ALL);
static TEXT_OR_TEXTS: Schema = Either(&[Text, List(&TEXT, 0, ALL)]);
static TEXT_OR_OBJECT: Schema = Either(&[Text, Object(&[])]);
static LIMIT: Schema = Whole(1.0, MOST);
// llama.cpp: -1 is no limit, 0 only reads the prompt
static CHAT_LIMIT: Schema = Whole(-1.0, MOST);
static TO_1: Schema = Number(0.0, 1.0);
static TO_2: Schema = Number(0.0, 2.0);
static PENALTY: Schema = Number(-2.0, 2.0);
static COUNT: Schema = Whole(0.0, MOST);
static INTEGER: Schema = Whole(-MOST, MOST);

// ---- OpenAI's chat completions

static URL: Schema = Either(&[Text, Object(&[Member { name: "url", schema: &TEXT, required: true }])]);
// Mistral: the data alone
static AUDIO: Schema = Either(&[Text, Object(&[must("data", &TEXT), must("format", &TEXT)])]);
static CHAT_PART: Schema = Tagged {
    tag: "type",
    cases: &[
        ("text", &[must("text", &TEXT)]),
        ("image_url", &[must("image_url", &URL)]),
        ("input_audio", &[must("input_audio", &AUDIO)]),
        // Mistral: `file_id` in its place
        ("file", &[may("file", &OBJECT)]),
        ("refusal", &[must("refusal", &TEXT)]),
        ("audio_url", &[must("audio_url", &URL)]),
        ("video_url", &[must("video_url", &URL)]),
    ],
    default: None,
    // servers have parts of their own: `document_url`, `image_embeds`, `video`
    open: true,
};
static CHAT_CONTENT: Schema = Either(&[Text, List(&CHAT_PART, 0, ALL)]);
static CHAT_CALL: Schema = Tagged {
    tag: "type",
    cases: &[
        ("function", &[must("id", &TEXT), must("function", &CALLED)]),
        ("custom", &[must("id", &TEXT), must("custom", &OBJECT)]),
    ],
    // some clients leave it out
    default: Some("function"),
    open: true,
};
static CALLED: Schema = Object(&[must("name", &NAME), may("arguments", &TEXT_OR_OBJECT)]);
static CHAT_CALLS: Schema = List(&CHAT_CALL, 0, ALL);
static CHAT_MESSAGE: Schema = Tagged {
    tag: "role",
    cases: &[
        ("system", &[must("content", &CHAT_CONTENT), may("name", &TEXT)]),
        ("developer", &[must("content", &CHAT_CONTENT), may("name", &TEXT)]),
        ("user", &[must("content", &CHAT_CONTENT), may("name", &TEXT)]),
        ("assistant", &[may("content", &CHAT_CONTENT), may("tool_calls", &CHAT_CALLS), may("name", &TEXT)]),
        ("tool", &[must("content", &CHAT_CONTENT), must("tool_call_id", &TEXT)]),
        ("function", &[must("name", &NAME), may("content", &CHAT_CONTENT)]),
    ],
    default: None,
    open: false,
};
static CHAT_MESSAGES: Schema = List(&CHAT_MESSAGE, 1, ALL);
static FUNCTION: Schema = Object(&[must("name", &NAME), may("description", &TEXT), may("parameters", &OBJECT)]);
static CHAT_TOOL: Schema = Tagged {
    tag: "type",
    cases: &[("function", &[must("function", &FUNCTION)]), ("custom", &[must("custom", &OBJECT)])],
    default: None,
    open: true,
};
static CHAT_TOOLS: Schema = List(&CHAT_TOOL, 0, ALL);
static FORMAT: Schema =
    Tagged { tag: "type", cases: &[("json_schema", &[must("json_schema", &OBJECT)])], default: None, open: true };
static FUNCTIONS: Schema = List(&FUNCTION, 0, ALL);
static TOOL_CHOICE: Schema = Either(&[Choice(&["none", "auto", "required", "any"]), Object(&[])]);
static CHOICES: Schema = Whole(1.0, 128.0);
static TOP_LOGPROBS: Schema = Whole(0.0, 20.0);
static CHAT: Schema = Object(&[
    must("messages", &CHAT_MESSAGES),
    may("temperature", &TO_2),
    may("top_p", &TO_1),
    may("n", &CHOICES),
    may("max_tokens", &CHAT_LIMIT),
    may("max_completion_tokens", &CHAT_LIMIT),
    may("presence_penalty", &PENALTY),
    may("frequency_penalty", &PENALTY),
    may("seed", &INTEGER),
    may("stop", &TEXT_OR_TEXTS),
    may("stream_options", &OBJECT),
    may("tools", &CHAT_TOOLS),
    may("tool_choice", &TOOL_CHOICE),
    may("functions", &FUNCTIONS),
    may("parallel_tool_calls", &FLAG),
    may("response_format", &FORMAT),
    may("logit_bias", &OBJECT),
    may("logprobs", &FLAG),
    may("top_logprobs", &TOP_LOGPROBS),
    may("user", &TEXT),
    may("metadata", &OBJECT),
]);

// ---- OpenAI's responses

static ITEM_CONTENT: Schema = Either(&[Text, List(&ITEM_PART, 0, ALL)]);
static ITEM_PART: Schema = Tagged {
    tag: "type",
    cases: &[("input_text", &[must("text", &TEXT)]), ("output_text", &[must("text", &TEXT)])],
    default: None,
    open: true,
};
static ITEM_ROLE: Schema = Choice(&["user", "assistant", "system", "developer"]);
static ITEM: Schema = Tagged {
    tag: "type",
    cases: &[
        ("message", &[must("role", &ITEM_ROLE), must("content", &ITEM_CONTENT)]),
        ("function_call", &[must("call_id", &TEXT), must("name", &NAME), must("arguments", &TEXT)]),
        ("function_call_output", &[must("call_id", &TEXT), must("output", &ANY)]),
    ],
    default: Some("message"),
    open: true,
};
static INPUT: Schema = Either(&[Text, List(&ITEM, 0, ALL)]);
static RESPONSES_TOOL: Schema = Tagged {
    tag: "type",
    cases: &[("function", &[must("name", &NAME), may("parameters", &OBJECT)])],
    default: None,
    open: true,
};
static RESPONSES_TOOLS: Schema = List(&RESPONSES_TOOL, 0, ALL);
static RESPONSES: Schema = Object(&[
    may("input", &INPUT),
    may("instructions", &TEXT),
    may("temperature", &TO_2),
    may("top_p", &TO_1),
    may("max_output_tokens", &LIMIT),
    may("previous_response_id", &TEXT),
    may("store", &FLAG),
    may("tools", &RESPONSES_TOOLS),
    may("parallel_tool_calls", &FLAG),
    may("reasoning", &OBJECT),
    may("text", &OBJECT),
    may("user", &TEXT),
    may("metadata", &OBJECT),
]);

// ---- Anthropic's messages

static BLOCK: Schema = Tagged {
    tag: "type",
    cases: &[
        ("text", &[must("text", &TEXT)]),
        ("image", &[must("source", &OBJECT)]),
        ("document", &[must("source", &OBJECT)]),
        ("tool_use", &[must("id", &NAME), must("name", &NAME), must("input", &OBJECT)]),
        ("tool_result", &[must("tool_use_id", &NAME), may("content", &RESULT), may("is_error", &FLAG)]),
        ("thinking", &[must("thinking", &TEXT)]),
        ("redacted_thinking", &[must("data", &TEXT)]),
    ],
    default: None,
    // results of the provider's own tools
    open: true,
};
static RESULT: Schema = Either(&[Text, List(&OBJECT, 0, ALL)]);
static BLOCKS: Schema = Either(&[Text, List(&BLOCK, 0, ALL)]);
static SYSTEM: Schema = Either(&[Text, List(&SYSTEM_BLOCK, 0, ALL)]);
static SYSTEM_BLOCK: Schema =
    Tagged { tag: "type", cases: &[("text", &[must("text", &TEXT)])], default: None, open: true };
static MESSAGE: Schema = Tagged {
    tag: "role",
    cases: &[
        ("user", &[must("content", &BLOCKS)]),
        ("assistant", &[must("content", &BLOCKS)]),
        ("system", &[must("content", &BLOCKS)]),
    ],
    default: None,
    open: false,
};
static MESSAGE_LIST: Schema = List(&MESSAGE, 1, ALL);
static MESSAGES_TOOL: Schema = Tagged {
    tag: "type",
    cases: &[("custom", &[must("name", &NAME), may("description", &TEXT), may("input_schema", &OBJECT)])],
    default: Some("custom"),
    // the provider's own tools, and sets of tools, which have no name
    open: true,
};
static MESSAGES_TOOLS: Schema = List(&MESSAGES_TOOL, 0, ALL);
static MESSAGES_CHOICE: Schema = Tagged {
    tag: "type",
    cases: &[("auto", &[]), ("any", &[]), ("none", &[]), ("tool", &[must("name", &NAME)])],
    default: None,
    open: false,
};
static MESSAGES: Schema = Object(&[
    must("messages", &MESSAGE_LIST),
    may("system", &SYSTEM),
    may("max_tokens", &LIMIT),
    may("temperature", &TO_1),
    may("top_p", &TO_1),
    may("top_k", &COUNT),
    may("stop_sequences", &TEXTS),
    may("tools", &MESSAGES_TOOLS),
    may("tool_choice", &MESSAGES_CHOICE),
    may("thinking", &OBJECT),
    may("metadata", &OBJECT),
]);

// ---- Gemini: of a list with one element, the element alone is enough

const ONE_PART: Schema = Object(&[
    may("text", &TEXT),
    may("inlineData", &OBJECT),
    may("fileData", &OBJECT),
    may("functionCall", &NAMED),
    may("functionResponse", &NAMED),
]);
static PART: Schema = ONE_PART;
static NAMED: Schema = Object(&[must("name", &NAME)]);
static PARTS: Schema = Either(&[List(&PART, 0, ALL), ONE_PART]);
static CONTENT_ROLE: Schema = Choice(&["user", "model", "function", "tool", "system"]);
const ONE_CONTENT: Schema = Object(&[may("role", &CONTENT_ROLE), must("parts", &PARTS)]);
static CONTENT: Schema = ONE_CONTENT;
static CONTENTS: Schema = Either(&[List(&CONTENT, 1, ALL), ONE_CONTENT]);
static INSTRUCTION: Schema = Object(&[may("parts", &PARTS)]);
static ONE_OR_MORE: Schema = Either(&[List(&OBJECT, 0, ALL), Object(&[])]);
static CANDIDATES: Schema = Whole(1.0, 8.0);
static GENERATION: Schema = Object(&[
    may("temperature", &TO_2),
    may("topP", &TO_1),
    may("topK", &COUNT),
    may("maxOutputTokens", &LIMIT),
    may("candidateCount", &CANDIDATES),
    may("stopSequences", &TEXT_OR_TEXTS),
]);
static GEMINI: Schema = Object(&[
    must("contents", &CONTENTS),
    may("systemInstruction", &INSTRUCTION),
    may("generationConfig", &GENERATION),
    may("tools", &ONE_OR_MORE),
    may("safetySettings", &ONE_OR_MORE),
]);

// ---- Ollama's chat

static OLLAMA_MEMBERS: [Member; 3] = [may("content", &TEXT), may("images", &TEXTS), may("tool_calls", &OBJECTS)];
static OLLAMA_MESSAGE: Schema = Tagged {
    tag: "role",
    cases: &[
        ("system", &OLLAMA_MEMBERS),
        ("user", &OLLAMA_MEMBERS),
        ("assistant", &OLLAMA_MEMBERS),
        ("tool", &OLLAMA_MEMBERS),
    ],
    default: None,
    open: false,
};
static OLLAMA_MESSAGES: Schema = List(&OLLAMA_MESSAGE, 0, ALL);
static OPTIONS: Schema =
    Object(&[may("temperature", &TO_2), may("top_p", &TO_1), may("top_k", &COUNT), may("num_predict", &INTEGER)]);
static OLLAMA: Schema = Object(&[
    may("messages", &OLLAMA_MESSAGES),
    may("options", &OPTIONS),
    may("tools", &CHAT_TOOLS),
    may("format", &TEXT_OR_OBJECT),
]);
