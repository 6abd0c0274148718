//! The conversation: system prompts, turns, tool calls and their results.
//!
//! Anthropic requires alternating turns, the results of all calls of a turn in one message directly after it, and no
//! blank texts.

use std::borrow::Cow;

use super::content;
use crate::error::ApiError;
use crate::translate::ids::tool_id;
use crate::translate::invalid;
use crate::translate::raw::{arguments, Raw};
use crate::translate::writer::Writer;

/// The role of a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
}

/// The blocks of one turn, as JSON separated by commas.
struct Turn {
    role: Role,
    /// Blocks that must come first: a user's tool results, an assistant's reasoning.
    first: Writer,
    rest: Writer,
}

/// A conversation in Anthropic's format.
#[derive(Default)]
pub struct Conversation<'a> {
    system: Writer,
    turns: Vec<Turn>,
    tool_names: Vec<Cow<'a, str>>,
    /// The id of the last call in the older form, which has no id.
    function_id: Option<String>,
    has_tools: bool,
    /// Whether the last assistant turn with tool calls has no reasoning.
    lacks_thinking: bool,
}

impl<'a> Conversation<'a> {
    /// Reads `messages`.
    pub fn read(messages: Raw<'a>) -> Result<Self, ApiError> {
        let mut count = 0;
        messages.items(|_| count += 1);
        let mut conversation = Conversation::default();
        messages.each(|index, message| conversation.message(index, message, index + 1 == count))?;
        match conversation.turns.first() {
            Some(turn) if turn.role == Role::User => Ok(conversation),
            Some(_) => {
                let message = "`messages`: this model's conversations begin with a user's message.";
                Err(invalid("messages", message))
            }
            None => Err(invalid("messages", "`messages` holds nothing that is said to the model.")),
        }
    }

    /// Whether there are tool calls.
    pub fn has_tools(&self) -> bool {
        self.has_tools
    }

    /// The names of the called tools.
    pub fn tool_names(&self) -> &[Cow<'a, str>] {
        &self.tool_names
    }

    /// Whether the model's last turn with tool calls has no reasoning.
    pub fn lacks_thinking(&self) -> bool {
        self.lacks_thinking
    }

    /// Writes `system` and `messages`; `instruction` is added to `system`.
    pub fn write(&self, out: &mut Writer, instruction: Option<&str>) {
        if !self.system.is_empty() || instruction.is_some() {
            out.put_array("system", |out| {
                out.raw(self.system.as_str());
                if let Some(instruction) = instruction {
                    content::text(out, instruction);
                }
            });
        }
        out.put_array("messages", |out| {
            for turn in &self.turns {
                out.object(|out| {
                    out.put_string("role", if turn.role == Role::User { "user" } else { "assistant" });
                    out.put_array("content", |out| {
                        out.raw(turn.first.as_str());
                        out.raw(turn.rest.as_str());
                    });
                });
            }
        });
    }

    fn message(&mut self, index: usize, message: Raw<'a>, last: bool) -> Result<(), ApiError> {
        let [role, content, mark] = message.fields(["role", "content", "cache_control"]);
        let context = content::MessageContext { index, mark, trimmed: false };
        match role.and_then(Raw::string).as_deref() {
            Some("system" | "developer") => content::instruction(&mut self.system, content, &context),
            Some("user") => {
                let mut blocks = Writer::default();
                content::parts(&mut blocks, content, &context)?;
                self.add(Role::User, &Writer::default(), &blocks);
                Ok(())
            }
            Some("assistant") => {
                self.assistant(message, content, &content::MessageContext { trimmed: last, ..context })
            }
            Some("tool") => {
                let id = message.field("tool_call_id").and_then(Raw::string);
                let Some(id) = id else {
                    let text = format!("`messages[{index}].tool_call_id` is missing.");
                    return Err(invalid("messages", text));
                };
                self.result(&id, content, &context)
            }
            Some("function") => match self.function_id.take() {
                Some(id) => self.result(&id, content, &context),
                None => {
                    let mut blocks = Writer::default();
                    content::parts(&mut blocks, content, &context)?;
                    self.add(Role::User, &Writer::default(), &blocks);
                    Ok(())
                }
            },
            Some(_) | None => {
                let text = format!("`messages[{index}].role` must be system, developer, user, assistant or tool.");
                Err(invalid("messages", text))
            }
        }
    }

    fn assistant(
        &mut self,
        message: Raw<'a>,
        content: Option<Raw<'a>>,
        context: &content::MessageContext<'_>,
    ) -> Result<(), ApiError> {
        let [calls, function, refusal, thoughts, reasoning, signature] = message.fields([
            "tool_calls",
            "function_call",
            "refusal",
            "thinking_blocks",
            "reasoning_content",
            "reasoning_signature",
        ]);
        let (mut first, mut rest) = (Writer::default(), Writer::default());
        content::thoughts(&mut first, thoughts, reasoning, signature);
        content::parts(&mut rest, content, context)?;
        if let Some(refusal) = refusal.and_then(Raw::string).filter(|text| !text.trim().is_empty()) {
            content::text(&mut rest, refusal.trim_end());
        }
        let mut called = false;
        if let Some(calls) = calls {
            calls.each(|number, call| {
                called = true;
                self.call(&mut rest, context.index, number, call)
            })?;
        }
        if let Some(function) = function.filter(|_| !called) {
            called = true;
            let id = format!("call_{}", context.index);
            self.named_call(&mut rest, &id, context.index, function)?;
            self.function_id = Some(id);
        }
        if called {
            self.has_tools = true;
            self.lacks_thinking = first.is_empty();
        }
        self.add(Role::Assistant, &first, &rest);
        Ok(())
    }

    fn call(&mut self, out: &mut Writer, index: usize, number: usize, call: Raw<'a>) -> Result<(), ApiError> {
        let [id, function] = call.fields(["id", "function"]);
        let (Some(id), Some(function)) = (id.and_then(Raw::string), function) else {
            let text = format!("`messages[{index}].tool_calls[{number}]` must have an id and a function.");
            return Err(invalid("messages", text));
        };
        self.named_call(out, &id, index, function)
    }

    fn named_call(&mut self, out: &mut Writer, id: &str, index: usize, function: Raw<'a>) -> Result<(), ApiError> {
        let [name, input] = function.fields(["name", "arguments"]);
        let Some(name) = name.and_then(Raw::string).filter(|name| !name.is_empty()) else {
            return Err(invalid("messages", format!("`messages[{index}]` calls a function without a name.")));
        };
        out.object(|out| {
            out.put_string("type", "tool_use");
            out.put_string("id", &tool_id(id));
            out.put_string("name", &name);
            out.put("input", &arguments(input));
        });
        self.tool_names.push(name);
        Ok(())
    }

    fn result(
        &mut self,
        id: &str,
        content: Option<Raw<'a>>,
        context: &content::MessageContext<'_>,
    ) -> Result<(), ApiError> {
        let mut result = Writer::default();
        let mut blocks = Writer::default();
        let text = content.filter(|content| content.is_string());
        if text.is_none() {
            content::parts(&mut blocks, content, &content::MessageContext { mark: None, ..*context })?;
        }
        result.object(|out| {
            out.put_string("type", "tool_result");
            out.put_string("tool_use_id", &tool_id(id));
            match text {
                Some(text) => out.put("content", text.json()),
                None if !blocks.is_empty() => out.put_array("content", |out| out.raw(blocks.as_str())),
                None => {}
            }
            if let Some(mark) = context.mark {
                out.put("cache_control", mark.json());
            }
        });
        self.has_tools = true;
        self.add(Role::User, &result, &Writer::default());
        Ok(())
    }

    /// Adds blocks to the current turn, or begins the next.
    fn add(&mut self, role: Role, first: &Writer, rest: &Writer) {
        if first.is_empty() && rest.is_empty() {
            return;
        }
        if self.turns.last().is_none_or(|turn| turn.role != role) {
            self.turns.push(Turn { role, first: Writer::default(), rest: Writer::default() });
        }
        if let Some(turn) = self.turns.last_mut() {
            turn.first.raw(first.as_str());
            turn.rest.raw(rest.as_str());
        }
    }
}
