//! The request: OpenAI's chat completion as Gemini's `generateContent`.
//!
//! Sources: Google's API reference (`models.generateContent`, "OpenAI compatibility", "Thinking", "Thought signatures").

use super::contents::Contents;
use crate::error::ApiError;
use crate::translate::dropped::Dropped;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::translate::{invalid, refuse_other_answers, Notes, Target, Translated};

/// Fields of `generationConfig` with another name and the same meaning.
const RENAMED: [(&str, &str); 6] = [
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
];

/// Translates a request that is known to be a JSON object.
pub fn request(body: &[u8], target: &Target<'_>) -> Result<Translated, ApiError> {
    let body = crate::translate::body(body)?;
    let mut dropped = Dropped::default();
    let names = [
        "messages",
        "max_completion_tokens",
        "max_tokens",
        "stop",
        "tools",
        "tool_choice",
        "response_format",
        "reasoning_effort",
        "n",
        "logprobs",
        "audio",
        "modalities",
    ];
    let found = body.fields_and_rest(names, |name, value| {
        let known =
            matches!(name, "model" | "stream" | "stream_options") || RENAMED.iter().any(|(known, _)| *known == name);
        if !known && !value.is_nothing() {
            dropped.add(name);
        }
    });
    let [messages, newer_limit, older_limit, stop, tools, choice, format, effort, n, logprobs, audio, modalities] =
        found;
    refuse_other_answers(n, logprobs, audio, modalities)?;
    let messages = crate::translate::messages(messages)?;
    let contents = Contents::read(messages, target.model)?;
    let tools = declarations(tools)?;
    let choice = tool_choice(choice.filter(|_| !tools.is_empty()))?;
    let mut config = Writer::default();
    for (name, renamed) in RENAMED {
        if let Some(value) = body.field(name).filter(|value| value.is_number()) {
            config.put(renamed, value.json());
        }
    }
    if let Some(limit) = newer_limit.or(older_limit).filter(|limit| limit.is_number()) {
        config.put("maxOutputTokens", limit.json());
    }
    match stop {
        Some(stop) if stop.is_array() => config.put("stopSequences", stop.json()),
        Some(stop) => config.put_array("stopSequences", |out| out.raw(stop.json())),
        None => {}
    }
    answer_format(&mut config, format)?;
    thinking(&mut config, effort, target.model, &mut dropped)?;
    let mut out = Writer::with_capacity(body.json().len() + 512);
    out.object(|out| {
        contents.write(out);
        if !tools.is_empty() {
            out.put_array("tools", |out| {
                out.object(|out| out.put_array("functionDeclarations", |out| out.raw(tools.as_str())));
            });
        }
        if !choice.is_empty() {
            out.put_object("toolConfig", |out| out.put_object("functionCallingConfig", |out| out.raw(choice.as_str())));
        }
        if !config.is_empty() {
            out.put_object("generationConfig", |out| out.raw(config.as_str()));
        }
    });
    Ok(Translated { body: out.into_bytes(), dropped, notes: Notes::default() })
}

/// All functions are in one tool.
fn declarations(tools: Option<Raw<'_>>) -> Result<Writer, ApiError> {
    let mut out = Writer::default();
    let Some(tools) = tools else {
        return Ok(out);
    };
    tools.each(|index, tool| {
        let function = tool.field("function").ok_or_else(|| {
            invalid("tools", format!("`tools[{index}].type`: only functions can be passed on to this model."))
        })?;
        let [name, description, parameters] = function.fields(["name", "description", "parameters"]);
        let name = name.filter(|name| name.is_string());
        let name = name.ok_or_else(|| invalid("tools", format!("`tools[{index}]` has no name.")))?;
        out.object(|out| {
            out.put("name", name.json());
            if let Some(description) = description.filter(|description| description.is_string()) {
                out.put("description", description.json());
            }
            if let Some(parameters) = parameters.filter(|parameters| parameters.is_object() && !parameters.is_nothing())
            {
                out.put("parametersJsonSchema", parameters.json());
            }
        });
        Ok(())
    })?;
    Ok(out)
}

/// The fields of `functionCallingConfig`.
fn tool_choice(choice: Option<Raw<'_>>) -> Result<Writer, ApiError> {
    let mut out = Writer::default();
    let Some(choice) = choice else {
        return Ok(out);
    };
    let named = choice.field("function").and_then(|function| function.field("name"));
    match (choice.string().as_deref(), named) {
        (_, Some(name)) => {
            out.put_string("mode", "ANY");
            out.put_array("allowedFunctionNames", |out| out.raw(name.json()));
        }
        (Some("auto"), None) => out.put_string("mode", "AUTO"),
        (Some("none"), None) => out.put_string("mode", "NONE"),
        (Some("required"), None) => out.put_string("mode", "ANY"),
        (Some(_) | None, None) => {
            let message = "`tool_choice` must be \"none\", \"auto\", \"required\", or name a function.";
            return Err(invalid("tool_choice", message));
        }
    }
    Ok(out)
}

fn answer_format(config: &mut Writer, format: Option<Raw<'_>>) -> Result<(), ApiError> {
    let Some(format) = format else {
        return Ok(());
    };
    match format.text("type").as_deref() {
        Some("text") => {}
        Some("json_object") => config.put_string("responseMimeType", "application/json"),
        Some("json_schema") => {
            config.put_string("responseMimeType", "application/json");
            let schema = format.field("json_schema").and_then(|field| field.field("schema"));
            if let Some(schema) = schema.filter(|schema| schema.is_object()) {
                config.put("responseJsonSchema", schema.json());
            }
        }
        Some(_) | None => {
            let message = "`response_format.type` must be \"text\", \"json_object\" or \"json_schema\".";
            return Err(invalid("response_format", message));
        }
    }
    Ok(())
}

/// Gemini 3 accepts a level, 2.5 a token budget: the values are those of Google's own OpenAI endpoint. Older models do
/// not reason.
fn thinking(config: &mut Writer, effort: Option<Raw<'_>>, model: &str, dropped: &mut Dropped) -> Result<(), ApiError> {
    let Some(effort) = effort else {
        return Ok(());
    };
    let (level, budget) = match effort.string().as_deref() {
        Some("none") => ("low", 0),
        Some("minimal" | "low") => ("low", 1024),
        Some("medium") if model.contains("pro") => ("high", 8192), // it has no level in between
        Some("medium") => ("medium", 8192),
        Some("high" | "xhigh" | "max") => ("high", 24576),
        Some(_) | None => {
            let message = "`reasoning_effort` must be one of: none, minimal, low, medium, high, xhigh, max.";
            return Err(invalid("reasoning_effort", message));
        }
    };
    let levels = model.contains("gemini-3");
    if !levels && !model.contains("gemini-2.5") {
        dropped.add("reasoning_effort");
        return Ok(());
    }
    config.put_object("thinkingConfig", |out| {
        match levels {
            true => out.put_string("thinkingLevel", level),
            false => out.put_number("thinkingBudget", budget),
        }
        if budget > 0 {
            out.put("includeThoughts", "true");
        }
    });
    Ok(())
}
