//! The request: OpenAI's chat completion as Converse's.
//!
//! Sources: OpenAI's API reference (chat/create), Amazon Bedrock's (`Converse`, "Inference request parameters", "Tool use",
//! "Prompt caching", "Extended thinking", "Structured outputs", Nova's "Reasoning").

use super::messages::Conversation;
use super::model::Model;
use super::tools::Tools;
use crate::error::ApiError;
use crate::translate::chat::ToolChoice;
use crate::translate::claude::{RequestedThinking, Thinking};
use crate::translate::dropped::Dropped;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::translate::{invalid, refuse_other_answers, Notes, Target, Translated};

/// Converse's own fields, which some clients send to OpenAI servers.
const OWN_FIELDS: [&str; 3] = ["guardrailConfig", "performanceConfig", "requestMetadata"];

/// The field in which Claude reports its reasoning tokens: Converse's own usage does not have them.
const THOUGHT_TOKENS: &str = r#"["/usage/output_tokens_details"]"#;

/// The relevant top-level fields of a request.
struct Fields<'a> {
    messages: Raw<'a>,
    output_limit: Option<Raw<'a>>,
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
    service_tier: Option<Raw<'a>>,
}

/// Translates a request that is known to be a JSON object.
pub fn request(body: &[u8], target: &Target<'_>) -> Result<Translated, ApiError> {
    let body = crate::translate::body(body)?;
    let (mut dropped, mut notes) = (Dropped::default(), Notes::default());
    let fields = Fields::of(body, &mut dropped)?;
    let model = Model::of(target.model);
    let conversation = Conversation::read(fields.messages, model, &mut notes, &mut dropped)?;
    let content = conversation.content();
    let mut tools = Tools::read(fields.tools, fields.functions, model, content, &mut notes, &mut dropped)?;
    let mut choice = ToolChoice::read(fields.tool_choice, fields.parallel, !tools.is_empty())?;
    if tools.is_empty() && conversation.has_tools() {
        tools = Tools::of_history(conversation.tool_names()); // called tools must be defined
    } else if matches!(choice, ToolChoice::None) {
        match conversation.has_tools() {
            true => dropped.add("tool_choice"),
            false => tools = Tools::default(),
        }
    }
    let format = Format::read(fields.format, model, tools.is_empty(), &choice, &mut dropped)?;
    if let Format::Tool(schema) = format {
        tools = Tools::of_answer(schema);
        choice = ToolChoice::Named { name: crate::translate::JSON_TOOL.into(), alone: false };
        notes.json_tool = true;
    }
    let mut additional = Writer::default();
    let thinking = fields.think(model, target, &choice, &conversation, &mut additional, &mut dropped)?;
    let inference = fields.inference(model, &thinking, &mut additional, &mut dropped);
    if alone(&choice) && !tools.is_empty() {
        match (model.takes_single_calls(), &choice) {
            (false, _) => dropped.add("parallel_tool_calls"),
            (true, ToolChoice::Free { .. }) => {
                additional.put("tool_choice", r#"{"type":"auto","disable_parallel_tool_use":true}"#);
            }
            // with `toolChoice`, the type is refused
            (true, _) => additional.put("tool_choice", r#"{"disable_parallel_tool_use":true}"#),
        }
    }
    let mut out = Writer::with_capacity(body.json().len() + 1024);
    out.object(|out| {
        conversation.write(out, format.instruction());
        if !inference.is_empty() {
            out.put_object("inferenceConfig", |out| out.raw(inference.as_str()));
        }
        tools.write(out, &choice, &mut notes);
        if !additional.is_empty() {
            out.put_object("additionalModelRequestFields", |out| out.raw(additional.as_str()));
        }
        if additional.as_str().contains(r#""thinking":"#) {
            out.put("additionalModelResponseFieldPaths", THOUGHT_TOKENS);
        }
        format.write(out);
        fields.write_rest(out, body, &mut dropped);
    });
    target.model.clone_into(&mut notes.model);
    Ok(Translated { body: out.into_bytes(), dropped, notes })
}

/// Whether a turn may have at most one tool call.
fn alone(choice: &ToolChoice<'_>) -> bool {
    match choice {
        ToolChoice::Free { alone } | ToolChoice::Any { alone } | ToolChoice::Named { alone, .. } => *alone,
        ToolChoice::None => false,
    }
}

/// The model's reasoning settings, and their restrictions.
struct Thoughts {
    /// The answer's maximum number of tokens, if it must be set.
    limit: Option<u64>,
    /// It accepts no temperature and similar fields.
    steers_itself: bool,
    /// It accepts no limit.
    unlimited: bool,
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
            "service_tier",
            "n",
            "logprobs",
            "audio",
            "modalities",
        ];
        let found = body.fields_and_rest(names, |name, value| {
            let known = matches!(name, "model" | "stream" | "stream_options") || OWN_FIELDS.contains(&name);
            if !known && !value.is_nothing() {
                dropped.add(name);
            }
        });
        let [messages, newer_limit, older_limit, temperature, top_p, top_k, stop, tools, functions, tool_choice, function_call, parallel, format, effort, thinking, service_tier, n, logprobs, audio, modalities] =
            found;
        refuse_other_answers(n, logprobs, audio, modalities)?;
        let number = |value: Option<Raw<'a>>| value.filter(|value| value.is_number());
        Ok(Fields {
            messages: crate::translate::messages(messages)?,
            output_limit: number(newer_limit.or(older_limit)),
            temperature: number(temperature),
            top_p: number(top_p),
            top_k: number(top_k),
            stop,
            tools,
            functions,
            tool_choice: tool_choice.or(function_call),
            parallel,
            format,
            effort,
            thinking: thinking.filter(|value| value.is_object()),
            service_tier,
        })
    }

    /// The amount of reasoning: each vendor's models have their own fields for it.
    fn think(
        &self,
        model: Model<'_>,
        target: &Target<'_>,
        choice: &ToolChoice<'_>,
        conversation: &Conversation<'_>,
        additional: &mut Writer,
        dropped: &mut Dropped,
    ) -> Result<Thoughts, ApiError> {
        let limit = self.output_limit.and_then(Raw::count).filter(|limit| *limit > 0);
        let default_limit = target.max_output_tokens;
        let requested = RequestedThinking { effort: self.effort, thinking: self.thinking, limit, default_limit };
        let (forced, lacks) = (choice.is_forced(), conversation.lacks_thinking());
        let mut ignored = Dropped::default();
        let noted = if model.is_claude() { &mut *dropped } else { &mut ignored };
        // the level is checked for every model
        let thinking = Thinking::decide(&requested, model.version, forced, lacks, noted)?;
        let effort = self.effort.and_then(Raw::string);
        let mut thoughts = Thoughts { limit, steers_itself: false, unlimited: false };
        match effort.as_deref() {
            _ if model.is_claude() => {
                thinking.write(additional, |_| {});
                thoughts.steers_itself = thinking.thinks();
                if thinking.output_limit() != default_limit || limit.is_some() {
                    thoughts.limit = Some(thinking.output_limit());
                }
            }
            None | Some("none") => {}
            Some(effort) if model.is_thinking_nova() => {
                let effort = match effort {
                    "minimal" | "low" => "low",
                    "medium" => "medium",
                    _ => "high",
                };
                additional.put_object("reasoningConfig", |out| {
                    out.put_string("type", "enabled");
                    out.put_string("maxReasoningEffort", effort);
                });
                (thoughts.steers_itself, thoughts.unlimited) = (effort == "high", effort == "high");
            }
            Some(effort) if model.takes_effort() => additional.put_string("reasoning_effort", effort),
            Some(_) => dropped.add("reasoning_effort"),
        }
        if self.thinking.is_some() && !model.is_claude() {
            dropped.add("thinking");
        }
        Ok(thoughts)
    }

    /// The fields of `inferenceConfig`, some of which not all models accept.
    fn inference(
        &self,
        model: Model<'_>,
        thoughts: &Thoughts,
        additional: &mut Writer,
        dropped: &mut Dropped,
    ) -> Writer {
        let mut out = Writer::default();
        match thoughts.limit {
            Some(_) if thoughts.unlimited => dropped.add("max_tokens"),
            Some(limit) => out.put_number("maxTokens", limit),
            None => {}
        }
        if let Some(temperature) = self.temperature {
            match (thoughts.steers_itself, temperature.number()) {
                (true, _) => dropped.add("temperature"),
                (false, Some(number)) if number > 1.0 => out.put("temperature", "1"), // the maximum
                (false, _) => out.put("temperature", temperature.json()),
            }
        }
        if let Some(top_p) = self.top_p {
            // newer Claudes do not accept both
            let beside = self.temperature.is_some() && model.version.is_at_least(4, 1);
            match thoughts.steers_itself || beside {
                true => dropped.add("top_p"),
                false => out.put("topP", top_p.json()),
            }
        }
        if let Some(top_k) = self.top_k {
            if thoughts.steers_itself || !(model.is_claude() || model.is_nova()) {
                dropped.add("top_k");
            } else if model.is_claude() {
                additional.put("top_k", top_k.json());
            } else {
                additional.put_object("inferenceConfig", |out| out.put("topK", top_k.json()));
            }
        }
        let mut stops = Writer::default();
        let mut add = |stop: Raw<'_>| {
            // a blank one is refused
            if stop.string().is_some_and(|text| !text.trim().is_empty()) {
                stops.raw(stop.json());
            }
        };
        match self.stop {
            Some(stop) if stop.is_array() => stop.items(add),
            Some(stop) => add(stop),
            None => {}
        }
        if !stops.is_empty() {
            out.put_array("stopSequences", |out| out.raw(stops.as_str()));
        }
        out
    }

    fn write_rest(&self, out: &mut Writer, body: Raw<'_>, dropped: &mut Dropped) {
        match self.service_tier.and_then(Raw::string).as_deref() {
            Some(tier @ ("default" | "flex" | "priority")) => {
                out.put_object("serviceTier", |out| out.put_string("type", tier));
            }
            Some("auto") | None => {}
            Some(_) => dropped.add("service_tier"),
        }
        for (name, value) in OWN_FIELDS.into_iter().zip(body.fields(OWN_FIELDS)) {
            if let Some(value) = value.filter(|value| value.is_object()) {
                out.put(name, value.json());
            }
        }
    }
}

/// The requested format of the answer.
#[derive(Clone, Copy)]
enum Format<'a> {
    /// Text.
    Text,
    /// A JSON object with any fields.
    Object,
    /// JSON with this schema, with its name and description, through the model's own feature.
    Schema { schema: Raw<'a>, name: Option<Raw<'a>>, description: Option<Raw<'a>> },
    /// The same for a model without the feature: as the arguments of a tool that it must call.
    Tool(Raw<'a>),
}

impl<'a> Format<'a> {
    fn read(
        format: Option<Raw<'a>>,
        model: Model<'_>,
        without_tools: bool,
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
                let [schema, name, description] = format
                    .field("json_schema")
                    .map(|field| field.fields(["schema", "name", "description"]))
                    .unwrap_or_default();
                let text = |field: Option<Raw<'a>>| field.filter(|field| field.is_string());
                match schema.filter(|schema| schema.is_object()) {
                    None => Ok(Format::Object),
                    Some(schema) if model.takes_schema() => {
                        Ok(Format::Schema { schema, name: text(name), description: text(description) })
                    }
                    Some(schema) if without_tools && matches!(choice, ToolChoice::Free { .. }) => {
                        Ok(Format::Tool(schema))
                    }
                    Some(_) => {
                        dropped.add("response_format");
                        Ok(Format::Text)
                    }
                }
            }
            Some(_) | None => Err(invalid(
                "response_format",
                "`response_format.type` must be \"text\", \"json_object\" or \"json_schema\".",
            )),
        }
    }

    /// The instruction for the model, if only words can set the format.
    fn instruction(&self) -> Option<&'static str> {
        match self {
            Format::Object => Some(crate::translate::ONE_JSON_OBJECT),
            Format::Text | Format::Schema { .. } | Format::Tool(_) => None,
        }
    }

    /// Writes `outputConfig`, which contains the schema as a string.
    fn write(&self, out: &mut Writer) {
        let Format::Schema { schema, name, description } = self else {
            return;
        };
        out.put_object("outputConfig", |out| {
            out.put_object("textFormat", |out| {
                out.put_string("type", "json_schema");
                out.put_object("structure", |out| {
                    out.put_object("jsonSchema", |out| {
                        out.put_string("schema", schema.json());
                        let named = [("name", name), ("description", description)];
                        for (field, value) in named.into_iter().filter_map(|(field, value)| Some((field, (*value)?))) {
                            out.put(field, value.json());
                        }
                    });
                });
            });
        });
    }
}
