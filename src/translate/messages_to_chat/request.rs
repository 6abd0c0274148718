//! The request: Anthropic's message as OpenAI's chat completion.
//!
//! Sources: Anthropic's API reference (messages, tool use, extended thinking), OpenAI's (chat/create), and Claude
//! Code's requests.

use super::messages::Conversation;
use super::tools::{self, Tools};
use crate::error::ApiError;
use crate::translate::chat::{is_openai_reasoning, takes_effort};
use crate::translate::dropped::Dropped;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::translate::{Notes, Target, Translated};

/// The maximum number of stop sequences that OpenAI accepts.
const MAX_STOPS: usize = 4;

/// The relevant top-level fields of a request.
struct Fields<'a> {
    messages: Raw<'a>,
    system: Option<Raw<'a>>,
    output_limit: Option<Raw<'a>>,
    temperature: Option<Raw<'a>>,
    top_p: Option<Raw<'a>>,
    stops: Option<Raw<'a>>,
    tools: Option<Raw<'a>>,
    tool_choice: Option<Raw<'a>>,
    thinking: Option<Raw<'a>>,
    config: Option<Raw<'a>>,
    format: Option<Raw<'a>>,
    user: Option<Raw<'a>>,
}

/// Translates a request that is known to be a JSON object.
pub fn request(body: &[u8], target: &Target<'_>) -> Result<Translated, ApiError> {
    let body = crate::translate::body(body)?;
    let mut dropped = Dropped::default();
    let mut notes = Notes::default();
    let fields = Fields::of(body, &mut dropped)?;
    let conversation = Conversation::read(fields.system, fields.messages, &mut notes)?;
    let tools = Tools::read(fields.tools, &mut notes, &mut dropped)?;
    let mut out = Writer::with_capacity(body.json().len() + 512);
    out.object(|out| {
        out.put_string("model", target.model);
        conversation.write(out);
        fields.sampling(out, target, &mut dropped);
        tools.write(out);
    });
    // fields that can be refused are written last
    let mut rest = Writer::default();
    tools::write_choice(&mut rest, fields.tool_choice, &tools, &mut notes)?;
    fields.reasoning(&mut rest, target, &mut dropped);
    fields.format(&mut rest);
    if let Some(user) = fields.user {
        rest.put("user", user.json());
    }
    if target.stream {
        rest.put("stream", "true");
        if target.include_usage {
            rest.put("stream_options", r#"{"include_usage":true}"#);
        }
    }
    let mut body = out.into_string();
    if !rest.is_empty() {
        body.pop();
        body.push(',');
        body.push_str(rest.as_str());
        body.push('}');
    }
    Ok(Translated { body: body.into_bytes(), dropped, notes })
}

impl<'a> Fields<'a> {
    fn of(body: Raw<'a>, dropped: &mut Dropped) -> Result<Self, ApiError> {
        let names = [
            "messages",
            "system",
            "max_tokens",
            "temperature",
            "top_p",
            "stop_sequences",
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "output_format",
            "metadata",
        ];
        let found = body.fields_and_rest(names, |name, value| {
            // prompt cache marks are only hints
            let known = matches!(name, "model" | "stream" | "cache_control" | "anthropic_version" | "anthropic_beta");
            let usual = name == "service_tier" && value.json() == r#""auto""#;
            if !known && !usual && !value.is_nothing() {
                dropped.add(name);
            }
        });
        let [messages, system, limit, temperature, top_p, stops, tools, choice, thinking, config, format, metadata] =
            found;
        Ok(Fields {
            messages: crate::translate::messages(messages)?,
            system,
            output_limit: limit.filter(|limit| limit.is_number()),
            temperature: temperature.filter(|value| value.is_number()),
            top_p: top_p.filter(|value| value.is_number()),
            stops,
            tools,
            tool_choice: choice,
            thinking,
            config,
            format: config.and_then(|config| config.field("format")).or(format),
            user: metadata.and_then(|metadata| metadata.field("user_id")).filter(|user| user.is_string()),
        })
    }

    fn sampling(&self, out: &mut Writer, target: &Target<'_>, dropped: &mut Dropped) {
        let reasons = is_openai_reasoning(target.model);
        if let Some(limit) = self.output_limit {
            out.put(if reasons { "max_completion_tokens" } else { "max_tokens" }, limit.json());
        }
        for (name, value) in [("temperature", self.temperature), ("top_p", self.top_p)] {
            match value {
                Some(_) if reasons => dropped.add(name),
                Some(value) => out.put(name, value.json()),
                None => {}
            }
        }
        let Some(stops) = self.stops else {
            return;
        };
        let mut kept = Writer::default();
        let mut count = 0;
        stops.items(|stop| {
            count += 1;
            if count <= MAX_STOPS {
                kept.raw(stop.json());
            }
        });
        if count > MAX_STOPS {
            dropped.add("stop_sequences");
        }
        if !kept.is_empty() {
            out.put_array("stop", |out| out.raw(kept.as_str()));
        }
    }

    /// An effort is copied; a token budget becomes an effort, by LiteLLM's steps.
    fn reasoning(&self, out: &mut Writer, target: &Target<'_>, dropped: &mut Dropped) {
        let effort = self.config.and_then(|config| config.text("effort"));
        let kind = self.thinking.and_then(|thinking| thinking.text("type"));
        let budget = self.thinking.and_then(|thinking| thinking.field("budget_tokens")).and_then(Raw::count);
        let wanted = match (effort.as_deref(), kind.as_deref()) {
            (Some("low"), _) => "low",
            (Some("medium"), _) => "medium",
            (Some(_), _) => "high", // most models refuse higher ones
            (None, Some("enabled")) => match budget.unwrap_or(0) {
                0..1536 => "low",
                1536..4096 => "medium",
                4096.. => "high",
            },
            (None, Some("adaptive")) => "medium",
            (None, Some(_) | None) => return,
        };
        match takes_effort(target.model) {
            true => out.put_string("reasoning_effort", wanted),
            false if effort.is_some() => dropped.add("output_config.effort"),
            false => dropped.add("thinking"),
        }
    }

    fn format(&self, out: &mut Writer) {
        let schema = self.format.and_then(|format| format.field("schema")).filter(|schema| schema.is_object());
        if let Some(schema) = schema {
            out.put_object("response_format", |out| {
                out.put_string("type", "json_schema");
                out.put_object("json_schema", |out| {
                    out.put_string("name", "output");
                    out.put("schema", schema.json());
                    out.put("strict", "true");
                });
            });
        }
    }
}
