//! The conversation: instructions, messages, tool calls and their results, reasoning.

use super::thoughts::Thoughts;
use super::tools::given_name;
use super::Reader;
use crate::error::ApiError;
use crate::translate::chat::{write_signature, Parts};
use crate::translate::dropped::Dropped;
use crate::translate::invalid;
use crate::translate::raw::{arguments, Raw};
use crate::translate::writer::Writer;

/// Calls of tools that OpenAI defines and the client runs: their type, their name here, and the field with the
/// arguments.
const CLIENT_TOOLS: [(&str, &str, &str); 3] = [
    ("local_shell_call", "local_shell", "action"),
    ("shell_call", "shell", "action"),
    ("apply_patch_call", "apply_patch", "operation"),
];

/// A conversation as chat messages.
pub struct Conversation {
    reader: Reader,
    /// The text before all messages: many servers accept only one system message, at the beginning.
    instructions: String,
    messages: Writer,
    /// The current assistant turn.
    turn: Turn,
    /// Images in tool results, if those may only have text: a user message shows them.
    shown: Parts,
    /// Gemini's signatures, by the calls' ids.
    signatures: Vec<(String, String)>,
    begun: bool,
}

/// The parts of one assistant message.
#[derive(Default)]
struct Turn {
    text: String,
    reasoning: String,
    thoughts: Writer,
    calls: Writer,
}

impl Conversation {
    /// Reads `instructions` and `input`.
    pub fn read(
        instructions: Option<Raw<'_>>,
        input: Raw<'_>,
        reader: Reader,
        dropped: &mut Dropped,
    ) -> Result<Self, ApiError> {
        let mut conversation = Conversation {
            reader,
            instructions: instructions.and_then(Raw::string).unwrap_or_default().into_owned(),
            messages: Writer::default(),
            turn: Turn::default(),
            shown: Parts::default(),
            signatures: Vec::new(),
            begun: false,
        };
        match input.is_array() {
            true => input.each(|index, item| conversation.item(index, item, dropped))?,
            false if input.is_string() => conversation.user(0, Some(input))?,
            false => return Err(invalid("input", "`input` must be a string or an array of items.")),
        }
        conversation.end_turn();
        conversation.show();
        match conversation.messages.is_empty() {
            true => Err(invalid("input", "`input` holds nothing that is said to the model.")),
            false => Ok(conversation),
        }
    }

    /// Writes `messages`.
    pub fn write(&self, out: &mut Writer) {
        out.put_array("messages", |out| {
            if !self.instructions.is_empty() {
                write_system(out, &self.instructions);
            }
            out.raw(self.messages.as_str());
        });
    }

    fn item(&mut self, index: usize, item: Raw<'_>, dropped: &mut Dropped) -> Result<(), ApiError> {
        let [kind, role, content] = item.fields(["type", "role", "content"]);
        let kind = kind.and_then(Raw::string);
        match (kind.as_deref(), role.and_then(Raw::string).as_deref()) {
            (None | Some("message"), Some("user")) => self.user(index, content),
            (None | Some("message"), Some("system" | "developer")) => self.system(index, content),
            (None | Some("message"), Some("assistant")) => self.assistant(index, content),
            (None | Some("message"), Some(_) | None) => {
                Err(invalid("input", format!("`input[{index}].role` must be user, assistant, system or developer.")))
            }
            (Some("function_call" | "custom_tool_call"), _) => self.call(index, item),
            (Some("function_call_output" | "custom_tool_call_output"), _) => self.result(index, item),
            (Some("local_shell_call_output" | "shell_call_output" | "apply_patch_call_output"), _) => {
                self.result(index, item)
            }
            (Some("reasoning"), _) => {
                self.reasoning(item);
                Ok(())
            }
            (Some(kind @ ("item_reference" | "compaction" | "context_compaction")), _) => Err(invalid(
                "input",
                format!("`input[{index}]`: `{kind}` can be read by its own provider alone. Send the items themselves."),
            )),
            (Some(kind), _) => match CLIENT_TOOLS.iter().find(|(known, _, _)| *known == kind) {
                Some((_, name, field)) => {
                    let asked = item.field(field).map_or("{}", Raw::json);
                    self.write_call(index, item, name, asked)
                }
                None => {
                    dropped.add(&format!("input.{kind}"));
                    Ok(())
                }
            },
        }
    }

    fn system(&mut self, index: usize, content: Option<Raw<'_>>) -> Result<(), ApiError> {
        let text = texts(content, index)?;
        if text.is_empty() {
            return Ok(());
        }
        if self.begun {
            self.end_turn();
            self.show();
            write_system(&mut self.messages, &text);
        } else {
            join(&mut self.instructions, &text);
        }
        Ok(())
    }

    fn user(&mut self, index: usize, content: Option<Raw<'_>>) -> Result<(), ApiError> {
        self.begun = true;
        self.end_turn();
        match content {
            Some(content) if content.is_string() => self.shown.text(content),
            Some(content) if content.is_array() => {
                let (parts, reader) = (&mut self.shown, self.reader);
                content.each(|number, part| add(parts, part, reader, &format!("input[{index}].content[{number}]")))?;
            }
            Some(_) | None => {
                let text = format!("`input[{index}].content` must be a string or an array of parts.");
                return Err(invalid("input", text));
            }
        }
        self.show();
        Ok(())
    }

    fn assistant(&mut self, index: usize, content: Option<Raw<'_>>) -> Result<(), ApiError> {
        self.begun = true;
        self.show();
        let text = texts(content, index)?;
        join(&mut self.turn.text, &text);
        Ok(())
    }

    fn call(&mut self, index: usize, call: Raw<'_>) -> Result<(), ApiError> {
        let [name, namespace, asked, input] = call.fields(["name", "namespace", "arguments", "input"]);
        let Some(name) = name.and_then(Raw::string).filter(|name| !name.is_empty()) else {
            return Err(invalid("input", format!("`input[{index}].name` is missing.")));
        };
        let namespace = namespace.and_then(Raw::string);
        let name = given_name(namespace.as_deref(), &name);
        match input.filter(|input| input.is_string()) {
            Some(input) => {
                let mut object = Writer::default();
                object.object(|out| out.put("input", input.json()));
                self.write_call(index, call, &name, object.as_str())
            }
            None => self.write_call(index, call, &name, &arguments(asked)),
        }
    }

    fn write_call(&mut self, index: usize, call: Raw<'_>, name: &str, asked: &str) -> Result<(), ApiError> {
        self.begun = true;
        self.show();
        let id = call_id(index, call)?;
        let signature = self.signatures.iter().find(|(known, _)| *known == id).map(|(_, signature)| signature.as_str());
        self.turn.calls.object(|out| {
            out.put_string("id", &id);
            out.put_string("type", "function");
            out.put_object("function", |out| {
                out.put_string("name", name);
                out.put_string("arguments", asked);
            });
            write_signature(out, signature.filter(|_| self.reader == Reader::Gemini));
        });
        Ok(())
    }

    fn result(&mut self, index: usize, result: Raw<'_>) -> Result<(), ApiError> {
        self.begun = true;
        self.end_turn();
        let id = call_id(index, result)?;
        let output = result.field("output");
        let of_parts = output.is_some_and(is_content);
        let mut parts = Parts::default();
        let mut text = String::new();
        match output {
            Some(output) if of_parts => output.each(|number, part| {
                let place = || format!("input[{index}].output[{number}]");
                match part.text("text") {
                    Some(words) if self.reader != Reader::Messages => {
                        text.push_str(if text.is_empty() { "" } else { "\n" });
                        text.push_str(&words);
                        Ok(())
                    }
                    None if self.reader != Reader::Messages => add(&mut self.shown, part, self.reader, &place()),
                    Some(_) | None => add(&mut parts, part, self.reader, &place()),
                }
            })?,
            Some(output) => text.push_str(&output.string().unwrap_or(output.json().into())),
            None => {}
        }
        self.messages.object(|out| {
            out.put_string("role", "tool");
            out.put_string("tool_call_id", &id);
            match parts.is_empty() {
                true => out.put_string("content", &text),
                false => parts.write(out),
            }
        });
        Ok(())
    }

    /// Reasoning goes back to servers that can use it: signed reasoning to its own provider, unsigned reasoning to
    /// servers of the same dialect.
    fn reasoning(&mut self, item: Raw<'_>) {
        self.begun = true;
        let [encrypted, summary, content] = item.fields(["encrypted_content", "summary", "content"]);
        self.show();
        match encrypted.and_then(Raw::string) {
            Some(encrypted) => {
                if let Some(thoughts) = Thoughts::read(&encrypted) {
                    self.turn.thoughts.raw(thoughts.blocks.as_str());
                    self.signatures.extend(thoughts.signatures);
                }
            }
            None => {
                let content = content.filter(|content| content.first().is_some()).or(summary);
                if let Some(content) = content {
                    content.items(|part| join(&mut self.turn.reasoning, &part.text("text").unwrap_or_default()));
                }
            }
        }
    }

    /// Writes the current assistant turn, if there is one.
    fn end_turn(&mut self) {
        let turn = std::mem::take(&mut self.turn);
        if turn.text.is_empty() && turn.calls.is_empty() {
            return;
        }
        self.messages.object(|out| {
            out.put_string("role", "assistant");
            match turn.text.is_empty() {
                true => out.put("content", "null"),
                false => out.put_string("content", &turn.text),
            }
            if self.reader == Reader::Server && !turn.reasoning.is_empty() {
                out.put_string("reasoning_content", &turn.reasoning);
            }
            if self.reader == Reader::Messages && !turn.thoughts.is_empty() {
                out.put_array("thinking_blocks", |out| out.raw(turn.thoughts.as_str()));
            }
            if !turn.calls.is_empty() {
                out.put_array("tool_calls", |out| out.raw(turn.calls.as_str()));
            }
        });
    }

    /// Writes the user's message, if there is one.
    fn show(&mut self) {
        let shown = std::mem::take(&mut self.shown);
        if !shown.is_empty() {
            self.messages.object(|out| {
                out.put_string("role", "user");
                shown.write(out);
            });
        }
    }
}

fn write_system(out: &mut Writer, text: &str) {
    out.object(|out| {
        out.put_string("role", "system");
        out.put_string("content", text);
    });
}

fn join(all: &mut String, text: &str) {
    if !all.is_empty() && !text.is_empty() {
        all.push_str("\n\n");
    }
    all.push_str(text);
}

fn call_id(index: usize, item: Raw<'_>) -> Result<String, ApiError> {
    let [call_id, id] = item.fields(["call_id", "id"]);
    match call_id.or(id).and_then(Raw::string) {
        Some(id) => Ok(id.into_owned()),
        None => Err(invalid("input", format!("`input[{index}].call_id` is missing."))),
    }
}

/// Whether an output is a list of content parts. A shell's output is also a list, but of other objects.
fn is_content(output: Raw<'_>) -> bool {
    output.first().and_then(|part| part.text("type")).is_some_and(|kind| kind.starts_with("input_") || kind == "text")
}

/// The texts of a message that only has texts.
fn texts(content: Option<Raw<'_>>, index: usize) -> Result<String, ApiError> {
    let Some(content) = content else {
        return Ok(String::new());
    };
    if let Some(text) = content.string() {
        return Ok(text.into_owned());
    }
    let mut all = String::new();
    content.each(|number, part| {
        let [text, refusal] = part.fields(["text", "refusal"]);
        match text.or(refusal).and_then(Raw::string) {
            Some(text) => {
                all.push_str(&text);
                Ok(())
            }
            None => Err(invalid("input", format!("`input[{index}].content[{number}]` must be a text."))),
        }
    })?;
    Ok(all)
}

/// Adds a part of a message; `place` is its position.
fn add(parts: &mut Parts, part: Raw<'_>, reader: Reader, place: &str) -> Result<(), ApiError> {
    let wrong = |problem: &str| Err(invalid("input", format!("`{place}`{problem}")));
    let [kind, text, image, detail, audio] = part.fields(["type", "text", "image_url", "detail", "input_audio"]);
    let kind = kind.and_then(Raw::string);
    match kind.as_deref() {
        Some("input_text" | "output_text" | "text") => match text.filter(|text| text.is_string()) {
            Some(text) => parts.text(text),
            None => return wrong(".text is missing."),
        },
        Some("input_image") => match image.and_then(|image| image.string().or_else(|| image.text("url"))) {
            Some(url) => parts.part(|out| {
                out.put_string("type", "image_url");
                out.put_object("image_url", |out| {
                    out.put_string("url", &url);
                    if let Some(detail) = detail.filter(|detail| detail.is_string()) {
                        out.put("detail", detail.json());
                    }
                });
            }),
            None => return wrong(": an image must be in the request or have a URL (`image_url`)."),
        },
        Some("input_file") => {
            let [data, name, url] = part.fields(["file_data", "filename", "file_url"]);
            let url = url.and_then(Raw::string).filter(|url| reader != Reader::Server && url.ends_with(".pdf"));
            match (data.filter(|data| data.is_string()), url) {
                (Some(data), _) => parts.part(|out| {
                    out.put_string("type", "file");
                    out.put_object("file", |out| {
                        out.put("filename", name.filter(|name| name.is_string()).map_or("\"file.pdf\"", Raw::json));
                        out.put("file_data", data.json());
                    });
                }),
                (None, Some(url)) => parts.part(|out| {
                    out.put_string("type", "image_url");
                    out.put_object("image_url", |out| out.put_string("url", &url));
                }),
                (None, None) => return wrong(": a file must be in the request (`file_data`)."),
            }
        }
        Some("input_audio") => match audio {
            Some(audio) => parts.part(|out| {
                out.put_string("type", "input_audio");
                out.put("input_audio", audio.json());
            }),
            None => return wrong(".input_audio is missing."),
        },
        Some(kind) => {
            let kind: String = kind.chars().filter(|character| !character.is_control()).take(40).collect();
            return wrong(&format!(".type: `{kind}` cannot be passed on to this model."));
        }
        None => return wrong(".type is missing."),
    }
    Ok(())
}
