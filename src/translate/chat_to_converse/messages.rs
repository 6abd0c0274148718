//! The conversation: system prompts, turns, tool calls and their results.
//!
//! Converse requires alternating turns, the results of all calls of a turn in one message directly after it, no blank
//! texts, and a text with each document.

use std::borrow::Cow;

use super::content::{self, Content, MessageContext};
use super::model::Model;
use super::tools::valid_name;
use crate::error::ApiError;
use crate::translate::dropped::Dropped;
use crate::translate::ids::tool_id;
use crate::translate::raw::{arguments, Raw};
use crate::translate::writer::Writer;
use crate::translate::{invalid, Notes};

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
    /// Tool calls, which no text may follow.
    calls: Writer,
}

/// A conversation in Converse's format.
pub struct Conversation<'a> {
    content: Content<'a>,
    system: Writer,
    turns: Vec<Turn>,
    tool_names: Vec<String>,
    /// The id of the last call in the older form, which has no id.
    function_id: Option<String>,
    has_tools: bool,
    lacks_thinking: bool,
}

impl<'a> Conversation<'a> {
    /// Reads `messages`. `notes` gets the names of changed tools.
    pub fn read(
        messages: Raw<'_>,
        model: Model<'a>,
        notes: &mut Notes,
        dropped: &mut Dropped,
    ) -> Result<Self, ApiError> {
        let mut count = 0;
        messages.items(|_| count += 1);
        let mut conversation = Conversation {
            content: Content::new(model),
            system: Writer::default(),
            turns: Vec::new(),
            tool_names: Vec::new(),
            function_id: None,
            has_tools: false,
            lacks_thinking: false,
        };
        messages.each(|index, message| conversation.message(index, message, index + 1 == count, notes, dropped))?;
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

    /// The names of the called tools, without duplicates.
    pub fn tool_names(&self) -> &[String] {
        &self.tool_names
    }

    /// Whether the model's last turn with tool calls has no reasoning.
    pub fn lacks_thinking(&self) -> bool {
        self.lacks_thinking
    }

    /// The writer of prompt cache marks.
    pub fn content(&self) -> &Content<'a> {
        &self.content
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
                        out.raw(turn.calls.as_str());
                    });
                });
            }
        });
    }

    fn message(
        &mut self,
        index: usize,
        message: Raw<'_>,
        last: bool,
        notes: &mut Notes,
        dropped: &mut Dropped,
    ) -> Result<(), ApiError> {
        let [role, content, mark] = message.fields(["role", "content", "cache_control"]);
        let context = MessageContext { index, mark, trimmed: false };
        match role.and_then(Raw::string).as_deref() {
            Some("system" | "developer") => self.content.instruction(&mut self.system, content, &context, dropped),
            Some("user") => self.user(content, &context, dropped),
            Some("assistant") => {
                self.assistant(message, content, &MessageContext { trimmed: last, ..context }, notes, dropped)
            }
            Some("tool") => match message.field("tool_call_id").and_then(Raw::string) {
                Some(id) => self.result(&id, content, &context, dropped),
                None => Err(invalid("messages", format!("`messages[{index}].tool_call_id` is missing."))),
            },
            Some("function") => match self.function_id.take() {
                Some(id) => self.result(&id, content, &context, dropped),
                None => self.user(content, &context, dropped),
            },
            Some(_) | None => {
                let text = format!("`messages[{index}].role` must be system, developer, user, assistant or tool.");
                Err(invalid("messages", text))
            }
        }
    }

    fn user(
        &mut self,
        content: Option<Raw<'_>>,
        context: &MessageContext<'_>,
        dropped: &mut Dropped,
    ) -> Result<(), ApiError> {
        let mut blocks = Writer::default();
        self.content.parts(&mut blocks, content, context, dropped)?;
        let has_document = blocks.as_str().contains(r#"{"document":{"#);
        if has_document && !blocks.as_str().contains(r#"{"text":"#) {
            content::text(&mut blocks, "."); // a document without a text is refused
        }
        self.content.mark(&mut blocks, context.mark, dropped);
        self.add(Role::User, [&Writer::default(), &blocks, &Writer::default()]);
        Ok(())
    }

    fn assistant(
        &mut self,
        message: Raw<'_>,
        content: Option<Raw<'_>>,
        context: &MessageContext<'_>,
        notes: &mut Notes,
        dropped: &mut Dropped,
    ) -> Result<(), ApiError> {
        let [calls, function, refusal, thoughts] =
            message.fields(["tool_calls", "function_call", "refusal", "thinking_blocks"]);
        let (mut first, mut rest, mut called) = (Writer::default(), Writer::default(), Writer::default());
        if let Some(thoughts) = thoughts.filter(|_| self.content.takes_thoughts()) {
            content::thoughts(&mut first, thoughts);
        }
        self.content.parts(&mut rest, content, context, dropped)?;
        if let Some(refusal) = refusal.and_then(Raw::string).filter(|text| !text.trim().is_empty()) {
            content::text(&mut rest, refusal.trim_end());
        }
        if let Some(calls) = calls {
            calls.each(|number, call| {
                let [id, function, mark] = call.fields(["id", "function", "cache_control"]);
                let (Some(id), Some(function)) = (id.and_then(Raw::string), function) else {
                    let text =
                        format!("`messages[{}].tool_calls[{number}]` must have an id and a function.", context.index);
                    return Err(invalid("messages", text));
                };
                self.call(&mut called, &id, context.index, function, notes)?;
                self.content.mark(&mut called, mark, dropped);
                Ok(())
            })?;
        }
        if let Some(function) = function.filter(|_| called.is_empty()) {
            let id = format!("call_{}", context.index);
            self.call(&mut called, &id, context.index, function, notes)?;
            self.function_id = Some(id);
        }
        if !called.is_empty() {
            self.has_tools = true;
            self.lacks_thinking = first.is_empty();
        }
        self.content.mark(if called.is_empty() { &mut rest } else { &mut called }, context.mark, dropped);
        self.add(Role::Assistant, [&first, &rest, &called]);
        Ok(())
    }

    fn call(
        &mut self,
        out: &mut Writer,
        id: &str,
        index: usize,
        function: Raw<'_>,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        let [name, input] = function.fields(["name", "arguments"]);
        let Some(name) = name.and_then(Raw::string).filter(|name| !name.is_empty()) else {
            return Err(invalid("messages", format!("`messages[{index}]` calls a function without a name.")));
        };
        let name: Cow<'_, str> = valid_name(&name, notes);
        out.object(|out| {
            out.put_object("toolUse", |out| {
                out.put_string("toolUseId", &tool_id(id));
                out.put_string("name", &name);
                out.put("input", &arguments(input));
            });
        });
        if !self.tool_names.iter().any(|known| *known == name) {
            self.tool_names.push(name.into_owned());
        }
        Ok(())
    }

    fn result(
        &mut self,
        id: &str,
        content: Option<Raw<'_>>,
        context: &MessageContext<'_>,
        dropped: &mut Dropped,
    ) -> Result<(), ApiError> {
        let mut blocks = Writer::default();
        match content.filter(|content| content.is_string()) {
            Some(text) => blocks.object(|out| out.put("text", text.json())),
            None => self.content.parts(&mut blocks, content, context, dropped)?,
        }
        let mut result = Writer::default();
        result.object(|out| {
            out.put_object("toolResult", |out| {
                out.put_string("toolUseId", &tool_id(id));
                out.put_array("content", |out| out.raw(blocks.as_str()));
            });
        });
        self.content.mark(&mut result, context.mark, dropped);
        self.has_tools = true;
        self.add(Role::User, [&result, &Writer::default(), &Writer::default()]);
        Ok(())
    }

    /// Adds blocks to the current turn, or begins the next.
    fn add(&mut self, role: Role, [first, rest, calls]: [&Writer; 3]) {
        if first.is_empty() && rest.is_empty() && calls.is_empty() {
            return;
        }
        if self.turns.last().is_none_or(|turn| turn.role != role) {
            let [first, rest, calls] = std::array::from_fn(|_| Writer::default());
            self.turns.push(Turn { role, first, rest, calls });
        }
        if let Some(turn) = self.turns.last_mut() {
            turn.first.raw(first.as_str());
            turn.rest.raw(rest.as_str());
            turn.calls.raw(calls.as_str());
        }
    }
}
