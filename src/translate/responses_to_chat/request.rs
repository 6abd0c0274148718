//! The request: a response as a chat completion.

use super::input::Conversation;
use super::response::echo;
use super::tools::{self, Tools};
use super::Reader;
use crate::error::ApiError;
use crate::translate::chat::{is_openai_reasoning, takes_effort};
use crate::translate::dropped::Dropped;
use crate::translate::invalid;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::translate::{Notes, Target, Translated};

/// The relevant top-level fields of a request.
struct Fields<'a> {
    input: Raw<'a>,
    instructions: Option<Raw<'a>>,
    output_limit: Option<Raw<'a>>,
    temperature: Option<Raw<'a>>,
    top_p: Option<Raw<'a>>,
    tools: Option<Raw<'a>>,
    tool_choice: Option<Raw<'a>>,
    parallel: Option<Raw<'a>>,
    text: Option<Raw<'a>>,
    effort: Option<Raw<'a>>,
    user: Option<Raw<'a>>,
    service_tier: Option<Raw<'a>>,
}

/// Translates a request that is known to be a JSON object.
pub fn request(body: &[u8], target: &Target<'_>, reader: Reader) -> Result<Translated, ApiError> {
    let body = crate::translate::body(body)?;
    let mut dropped = Dropped::default();
    let fields = Fields::of(body, &mut dropped)?;
    let choice = tools::ToolChoice::read(fields.tool_choice)?;
    let tools = Tools::read(fields.tools, &choice, &mut dropped)?;
    let conversation = Conversation::read(fields.instructions, fields.input, reader, &mut dropped)?;
    let format = format(fields.text)?;
    let mut out = Writer::with_capacity(body.json().len() + 512);
    out.object(|out| {
        out.put_string("model", target.model);
        conversation.write(out);
        fields.sampling(out, target);
        tools.write(out, &choice, fields.parallel);
        if !format.is_empty() {
            out.put_object("response_format", |out| out.raw(format.as_str()));
        }
        fields.reasoning(out, target, reader, &mut dropped);
        if let Some(user) = fields.user {
            out.put("user", user.json());
        }
        if let Some(tier) = fields.service_tier {
            out.put("service_tier", tier.json());
        }
        if target.stream {
            out.put("stream", "true");
            if target.include_usage {
                out.put("stream_options", r#"{"include_usage":true}"#);
            }
        }
    });
    let notes = Notes { tools: tools.into_notes(), echo: echo(body), ..Notes::default() };
    Ok(Translated { body: out.into_bytes(), dropped, notes })
}

impl<'a> Fields<'a> {
    fn of(body: Raw<'a>, dropped: &mut Dropped) -> Result<Self, ApiError> {
        let names = [
            "input",
            "instructions",
            "max_output_tokens",
            "temperature",
            "top_p",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "text",
            "reasoning",
            "user",
            "safety_identifier",
            "service_tier",
            "previous_response_id",
            "conversation",
            "prompt",
            "background",
            "include",
            "top_logprobs",
        ];
        let found = body.fields_and_rest(names, |name, value| {
            // fields that only help the provider's prompt cache are no loss
            let known = matches!(
                name,
                "model" | "stream" | "stream_options" | "metadata" | "prompt_cache_key" | "prompt_cache_retention"
            );
            let usual = name == "truncation" && value.json() == r#""disabled""#;
            if !known && !usual && !value.is_nothing() {
                dropped.add(name);
            }
        });
        let [input, instructions, limit, temperature, top_p, tools, tool_choice, parallel, text, reasoning, user, safety_identifier, tier, previous, conversation, prompt, background, include, logprobs] =
            found;
        refuse_state("previous_response_id", previous)?;
        refuse_state("conversation", conversation)?;
        refuse_state("prompt", prompt)?;
        refuse_state("background", background.filter(|background| background.is_true()))?;
        refuse_probabilities(include, logprobs)?;
        Ok(Fields {
            input: input.ok_or_else(|| invalid("input", "`input` is missing: say something to the model."))?,
            instructions,
            output_limit: limit.filter(|limit| limit.is_number()),
            temperature: temperature.filter(|value| value.is_number()),
            top_p: top_p.filter(|value| value.is_number()),
            tools,
            tool_choice,
            parallel,
            text,
            effort: reasoning.and_then(|reasoning| reasoning.field("effort")).filter(|effort| effort.is_string()),
            user: safety_identifier.or(user).filter(|user| user.is_string()),
            service_tier: tier.filter(|tier| !matches!(tier.json(), r#""auto""# | r#""default""#)),
        })
    }

    fn sampling(&self, out: &mut Writer, target: &Target<'_>) {
        if let Some(limit) = self.output_limit {
            let name = if is_openai_reasoning(target.model) { "max_completion_tokens" } else { "max_tokens" };
            out.put(name, limit.json());
        }
        for (name, value) in [("temperature", self.temperature), ("top_p", self.top_p)] {
            if let Some(value) = value {
                out.put(name, value.json());
            }
        }
    }

    /// Reasoning effort and verbosity.
    fn reasoning(&self, out: &mut Writer, target: &Target<'_>, reader: Reader, dropped: &mut Dropped) {
        if let Some(effort) = self.effort {
            match reader != Reader::Server || takes_effort(target.model) {
                true => out.put("reasoning_effort", effort.json()),
                false => dropped.add("reasoning.effort"),
            }
        }
        let verbosity = self.text.and_then(|text| text.field("verbosity")).filter(|verbosity| verbosity.is_string());
        if let Some(verbosity) = verbosity.filter(|verbosity| verbosity.json() != r#""medium""#) {
            match reader == Reader::Server && is_openai_reasoning(target.model) {
                true => out.put("verbosity", verbosity.json()),
                false => dropped.add("text.verbosity"),
            }
        }
    }
}

/// Refuses state, because the target keeps none.
fn refuse_state(param: &'static str, value: Option<Raw<'_>>) -> Result<(), ApiError> {
    match value {
        Some(_) => Err(invalid(
            param,
            format!("`{param}`: this model's provider keeps no state. Send the whole conversation in `input`."),
        )),
        None => Ok(()),
    }
}

fn refuse_probabilities(include: Option<Raw<'_>>, logprobs: Option<Raw<'_>>) -> Result<(), ApiError> {
    let refuse =
        |param| Err(invalid(param, format!("`{param}`: log probabilities cannot be passed on from this model.")));
    let mut wanted = false;
    if let Some(include) = include {
        include.items(|item| wanted |= item.json() == r#""message.output_text.logprobs""#);
    }
    match (wanted, logprobs.and_then(Raw::count)) {
        (true, _) => refuse("include"),
        (false, Some(1..)) => refuse("top_logprobs"),
        (false, Some(0) | None) => Ok(()),
    }
}

/// The fields of `response_format`.
fn format(text: Option<Raw<'_>>) -> Result<Writer, ApiError> {
    let mut out = Writer::default();
    let Some(format) = text.and_then(|text| text.field("format")) else {
        return Ok(out);
    };
    match format.text("type").as_deref() {
        Some("text") => {}
        Some("json_object") => out.put_string("type", "json_object"),
        Some("json_schema") => {
            out.put_string("type", "json_schema");
            out.put_object("json_schema", |out| {
                for name in ["name", "description", "schema", "strict"] {
                    if let Some(value) = format.field(name) {
                        out.put(name, value.json());
                    }
                }
            });
        }
        Some(_) | None => {
            let message = "`text.format.type` must be \"text\", \"json_object\" or \"json_schema\".";
            return Err(invalid("text", message));
        }
    }
    Ok(out)
}
