//! The conversation: the system prompt, turns, tool calls and their results.

use super::content::add;
use super::tools::short;
use crate::error::ApiError;
use crate::translate::chat::{said, texts, Parts};
use crate::translate::invalid;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::translate::Notes;

/// A conversation in OpenAI's format.
#[derive(Default)]
pub struct Conversation(Writer);

impl Conversation {
    /// Reads `system` and `messages`.
    pub fn read(system: Option<Raw<'_>>, messages: Raw<'_>, notes: &mut Notes) -> Result<Self, ApiError> {
        let mut conversation = Conversation::default();
        conversation.system(system);
        let before = conversation.0.as_str().len();
        messages.each(|index, message| conversation.message(index, message, notes))?;
        match conversation.0.as_str().len() > before {
            true => Ok(conversation),
            false => Err(invalid("messages", "`messages` holds nothing that is said to the model.")),
        }
    }

    /// Writes `messages`.
    pub fn write(&self, out: &mut Writer) {
        out.put_array("messages", |out| out.raw(self.0.as_str()));
    }

    fn system(&mut self, system: Option<Raw<'_>>) {
        let text = texts(system);
        if !text.is_empty() {
            self.0.object(|out| {
                out.put_string("role", "system");
                out.put_string("content", &text);
            });
        }
    }

    fn message(&mut self, index: usize, message: Raw<'_>, notes: &mut Notes) -> Result<(), ApiError> {
        let [role, content] = message.fields(["role", "content"]);
        match role.and_then(Raw::string).as_deref() {
            Some("user") => self.user(index, content),
            Some("assistant") => self.assistant(index, content, notes),
            Some("system") => {
                self.system(content);
                Ok(())
            }
            Some(_) | None => {
                Err(invalid("messages", format!("`messages[{index}].role` must be \"user\" or \"assistant\".")))
            }
        }
    }

    /// Tool results come first: they must follow the turn with the calls.
    fn user(&mut self, index: usize, content: Option<Raw<'_>>) -> Result<(), ApiError> {
        let mut parts = Parts::default();
        match content {
            Some(content) if content.is_array() => {
                content.each(|number, block| match block.text("type").as_deref() {
                    Some("tool_result") => self.result(index, block, &mut parts),
                    Some(_) | None => add(&mut parts, block, index, number),
                })?
            }
            Some(content) if content.is_string() => parts.text(content),
            Some(_) | None => {
                let text = format!("`messages[{index}].content` must be a string or an array of blocks.");
                return Err(invalid("messages", text));
            }
        }
        if !parts.is_empty() {
            self.0.object(|out| {
                out.put_string("role", "user");
                parts.write(out);
            });
        }
        Ok(())
    }

    /// A tool result only has text; its images follow in a user message.
    fn result(&mut self, index: usize, block: Raw<'_>, parts: &mut Parts) -> Result<(), ApiError> {
        let [id, content, is_error] = block.fields(["tool_use_id", "content", "is_error"]);
        let Some(id) = id.filter(|id| id.is_string()) else {
            return Err(invalid("messages", format!("`messages[{index}]`: a tool's result has no `tool_use_id`.")));
        };
        let mut text = texts(content);
        if is_error.is_some_and(Raw::is_true) {
            text.insert_str(0, "Error: ");
        }
        if let Some(content) = content {
            content.each(|number, block| match block.text("type").as_deref() {
                Some("image" | "document") => add(parts, block, index, number),
                Some(_) | None => Ok(()),
            })?;
        }
        self.0.object(|out| {
            out.put_string("role", "tool");
            out.put("tool_call_id", id.json());
            out.put_string("content", &text);
        });
        Ok(())
    }

    fn assistant(&mut self, index: usize, content: Option<Raw<'_>>, notes: &mut Notes) -> Result<(), ApiError> {
        let mut calls = Writer::default();
        let mut reasoning = String::new();
        if let Some(content) = content {
            content.each(|number, block| {
                let [kind, id, name, input, thinking, signature] =
                    block.fields(["type", "id", "name", "input", "thinking", "signature"]);
                match kind.and_then(Raw::string).as_deref() {
                    Some("tool_use") => {
                        let (Some(id), Some(name)) = (id, name.and_then(Raw::string)) else {
                            let text = format!("`messages[{index}].content[{number}]` must have an id and a name.");
                            return Err(invalid("messages", text));
                        };
                        calls.object(|out| {
                            out.put("id", id.json());
                            out.put_string("type", "function");
                            out.put_object("function", |out| {
                                out.put_string("name", &short(&name, notes));
                                let input = input.filter(|input| input.is_object());
                                out.put_string("arguments", input.map_or("{}", Raw::json));
                            });
                        });
                    }
                    // without a signature it came from a server with this dialect, which knows the field
                    Some("thinking") if signature.is_none_or(|signature| signature.json() == "\"\"") => {
                        reasoning.push_str(&thinking.and_then(Raw::string).unwrap_or_default());
                    }
                    Some(_) | None => {}
                }
                Ok(())
            })?;
        }
        let text = said(content);
        if text.is_empty() && calls.is_empty() {
            return Ok(());
        }
        self.0.object(|out| {
            out.put_string("role", "assistant");
            match text.is_empty() {
                true => out.put("content", "null"),
                false => out.put_string("content", &text),
            }
            if !reasoning.is_empty() {
                out.put_string("reasoning_content", &reasoning);
            }
            if !calls.is_empty() {
                out.put_array("tool_calls", |out| out.raw(calls.as_str()));
            }
        });
        Ok(())
    }
}
