//! The request: OpenAI's chat completion as Anthropic's message.
//!
//! Sources: OpenAI's API reference (chat/create), Anthropic's (messages, "OpenAI SDK compatibility", extended and
//! adaptive thinking, structured outputs).

use super::messages::Conversation;
use super::tools::{self, Tools};
use crate::error::ApiError;
use crate::translate::chat::ToolChoice;
use crate::translate::claude::{RequestedThinking, Thinking, Version};
use crate::translate::dropped::Dropped;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::translate::{invalid, Notes, Platform, Target, Translated, ONE_JSON_OBJECT};

/// The relevant top-level fields of a request.
struct Fields<'a> {
    messages: Raw<'a>,
    output_limit: Option<u64>,
    temperature: Option<Raw<'a>>,
    top_p: Option<Raw<'a>>,
    top_k: Option<Raw<'a>>,
    stop: Option<Raw<'a>>,
    tools: Option<Raw<'a>>,
    functions: Option<Raw<'a>>,
    tool_choice: Option<Raw<'a>>,
    parallel: Option<Raw<'a>>,
    format: Option<Raw<'a>>,
    effort: Option<Raw<'a>>,
    thinking: Option<Raw<'a>>,
    user: Option<Raw<'a>>,
    service_tier: Option<Raw<'a>>,
    cache_control: Option<Raw<'a>>,
}

/// Translates a request that is known to be a JSON object.
pub fn request(body: &[u8], target: &Target<'_>) -> Result<Translated, ApiError> {
    let body = crate::translate::body(body)?;
    let mut dropped = Dropped::default();
    let fields = Fields::of(body, &mut dropped)?;
    let version = Version::of(target.model);
    let conversation = Conversation::read(fields.messages)?;
    let mut tools = Tools::read(fields.tools, fields.functions, version, &mut dropped)?;
    let mut choice = ToolChoice::read(fields.tool_choice, fields.parallel, !tools.is_empty())?;
    if tools.is_empty() && conversation.has_tools() {
        // called tools must be defined
        tools = Tools::of_history(conversation.tool_names());
        choice = ToolChoice::None;
    }
    let format = Format::read(fields.format, version, &tools, &choice, &mut dropped)?;
    let limit = fields.output_limit;
    let requested = RequestedThinking {
        effort: fields.effort,
        thinking: fields.thinking,
        limit,
        default_limit: target.max_output_tokens,
    };
    let forced = choice.is_forced() || matches!(format, Format::Tool(_));
    let thinking = Thinking::decide(&requested, version, forced, conversation.lacks_thinking(), &mut dropped)?;
    let mut out = Writer::with_capacity(body.json().len() + 1024);
    out.object(|out| {
        match target.platform {
            Platform::Own => out.put_string("model", target.model),
            Platform::Vertex => out.put_string("anthropic_version", "vertex-2023-10-16"),
        }
        out.put_number("max_tokens", thinking.output_limit());
        conversation.write(out, format.instruction());
        sampling(out, &fields, &thinking, version, &mut dropped);
        tools::write(out, &tools, &choice, format.tool());
        thinking.write(out, |out| format.write(out));
        fields.write_rest(out, target, &mut dropped);
    });
    let notes = Notes { json_tool: format.tool().is_some(), ..Notes::default() };
    Ok(Translated { body: out.into_bytes(), dropped, notes })
}

impl<'a> Fields<'a> {
    fn of(body: Raw<'a>, dropped: &mut Dropped) -> Result<Self, ApiError> {
        let names = [
            "messages",
            "max_completion_tokens",
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
            "stop",
            "tools",
            "functions",
            "tool_choice",
            "function_call",
            "parallel_tool_calls",
            "response_format",
            "reasoning_effort",
            "thinking",
            "safety_identifier",
            "user",
            "service_tier",
            "cache_control",
            "n",
            "logprobs",
            "audio",
            "modalities",
        ];
        let found = body.fields_and_rest(names, |name, value| {
            let known = matches!(name, "model" | "stream" | "stream_options");
            if !known && !value.is_nothing() {
                dropped.add(name);
            }
        });
        let [messages, newer_limit, older_limit, temperature, top_p, top_k, stop, tools, functions, tool_choice, function_call, parallel, format, effort, thinking, safety_identifier, user, service_tier, cache_control, n, logprobs, audio, modalities] =
            found;
        crate::translate::refuse_other_answers(n, logprobs, audio, modalities)?;
        Ok(Fields {
            messages: crate::translate::messages(messages)?,
            output_limit: newer_limit.or(older_limit).and_then(Raw::count).filter(|limit| *limit > 0),
            temperature: temperature.filter(|value| value.is_number()),
            top_p: top_p.filter(|value| value.is_number()),
            top_k: top_k.filter(|value| value.is_number()),
            stop,
            tools,
            functions,
            tool_choice: tool_choice.or(function_call),
            parallel,
            format,
            effort,
            thinking: thinking.filter(|value| value.is_object()),
            user: safety_identifier.or(user).filter(|value| value.is_string()),
            service_tier,
            cache_control: cache_control.filter(|value| value.is_object()),
        })
    }

    fn write_rest(&self, out: &mut Writer, target: &Target<'_>, dropped: &mut Dropped) {
        if let Some(user) = self.user {
            out.put_object("metadata", |out| out.put("user_id", user.json()));
        }
        match self.service_tier.and_then(Raw::string).as_deref() {
            // the other tiers mean something else at Anthropic
            Some(tier @ ("auto" | "standard_only")) => out.put_string("service_tier", tier),
            Some(_) => dropped.add("service_tier"),
            None => {}
        }
        if let Some(mark) = self.cache_control {
            out.put("cache_control", mark.json());
        }
        if target.stream {
            out.put("stream", "true");
        }
    }
}

/// Temperature, `top_p`, `top_k` and stop sequences.
fn sampling(out: &mut Writer, fields: &Fields<'_>, thinking: &Thinking<'_>, version: Version, dropped: &mut Dropped) {
    let steered = [("temperature", fields.temperature), ("top_p", fields.top_p), ("top_k", fields.top_k)];
    for (name, value) in steered {
        let Some(value) = value else {
            continue;
        };
        // reasoning models accept none of them; newer ones do not accept the first two together
        let beside = name == "top_p" && fields.temperature.is_some() && version.is_at_least(4, 1);
        if thinking.thinks() || beside {
            dropped.add(name);
        } else if name == "temperature" && value.number().is_some_and(|temperature| temperature > 1.0) {
            out.put(name, "1"); // the maximum, as in Anthropic's own OpenAI endpoint
        } else {
            out.put(name, value.json());
        }
    }
    let mut stops = Writer::default();
    let mut add = |stop: Raw<'_>| {
        // a blank one is refused
        if stop.string().is_some_and(|text| !text.trim().is_empty()) {
            stops.raw(stop.json());
        }
    };
    match fields.stop {
        Some(stop) if stop.is_array() => stop.items(add),
        Some(stop) => add(stop),
        None => {}
    }
    if !stops.is_empty() {
        out.put_array("stop_sequences", |out| out.raw(stops.as_str()));
    }
}

/// The requested format of the answer.
enum Format<'a> {
    /// Text.
    Text,
    /// A JSON object with any fields.
    Object,
    /// JSON with this schema, through the model's own feature.
    Schema(Raw<'a>),
    /// The same for a model without the feature: as the arguments of a tool that it must call.
    Tool(Raw<'a>),
}

impl<'a> Format<'a> {
    fn read(
        format: Option<Raw<'a>>,
        version: Version,
        tools: &Tools<'_>,
        choice: &ToolChoice<'_>,
        dropped: &mut Dropped,
    ) -> Result<Self, ApiError> {
        let Some(format) = format else {
            return Ok(Format::Text);
        };
        match format.text("type").as_deref() {
            Some("text") => Ok(Format::Text),
            Some("json_object") => Ok(Format::Object),
            Some("json_schema") => {
                let schema = format.field("json_schema").and_then(|field| field.field("schema"));
                let Some(schema) = schema.filter(|schema| schema.is_object()) else {
                    return Ok(Format::Object);
                };
                if version.has_structured_outputs() {
                    return Ok(Format::Schema(schema));
                }
                if tools.is_empty() && matches!(choice, ToolChoice::Free { .. }) {
                    return Ok(Format::Tool(schema));
                }
                dropped.add("response_format");
                Ok(Format::Text)
            }
            Some(_) | None => Err(invalid(
                "response_format",
                "`response_format.type` must be \"text\", \"json_object\" or \"json_schema\".",
            )),
        }
    }

    fn tool(&self) -> Option<Raw<'a>> {
        match self {
            Format::Tool(schema) => Some(*schema),
            Format::Text | Format::Object | Format::Schema(_) => None,
        }
    }

    /// The instruction for the model, if only words can set the format.
    fn instruction(&self) -> Option<&'static str> {
        match self {
            Format::Object => Some(ONE_JSON_OBJECT),
            Format::Text | Format::Schema(_) | Format::Tool(_) => None,
        }
    }

    /// The field of `output_config`.
    fn write(&self, out: &mut Writer) {
        match self {
            Format::Schema(schema) => out.put_object("format", |out| {
                out.put_string("type", "json_schema");
                out.put("schema", schema.json());
            }),
            Format::Text | Format::Object | Format::Tool(_) => {}
        }
    }
}
