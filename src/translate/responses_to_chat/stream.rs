//! The stream: chunks of a chat completion as the events of a response.
//!
//! Each item is added, filled and done. The end contains the complete response, so all of it is stored. A text ends
//! when another item begins; tool calls, whose arguments may interleave, end with the response.

use super::answer::{arguments_of, signature_of};
use super::item::{Item, ItemKind, MessagePart, ToolCall};
use super::response::{self, Head};
use super::sender::Sender;
use super::thoughts::Gathered;
use super::Ending;
use crate::translate::calls::Calls;
use crate::translate::chat::{said, MESSAGE_FIELDS};
use crate::translate::failure::ProviderError;
use crate::translate::ids::made;
use crate::translate::raw::Raw;
use crate::translate::stream::{Machine, Said};
use crate::translate::writer::Writer;
use crate::translate::{Notes, Reply};
use crate::usage::{EventKind, UsageReading};

/// The longest stored answer, in bytes.
const MAX_HELD: usize = 4 << 20;
/// The maximum number of items in an answer.
const MAX_ITEMS: usize = 1024;
/// The longest repeated model name.
const MAX_NAME: usize = 256;

/// The state of the stream.
#[derive(Debug)]
pub struct Events {
    notes: Notes,
    id: u64,
    response_id: String,
    created: u64,
    model: String,
    begun: bool,
    sender: Sender,
    items: Vec<Item>,
    /// The current text or reasoning item.
    saying: Option<usize>,
    calls: Calls,
    /// The items of the calls that have begun.
    call_items: Vec<usize>,
    held: usize,
    reading: UsageReading,
    ending: Option<Ending>,
    unknown_reason: bool,
}

/// More than can be stored.
struct TooMuch;

impl Events {
    pub fn new(reply: &Reply) -> Self {
        Events {
            notes: reply.notes.clone(),
            id: reply.id,
            response_id: made("resp_", reply.id, 0),
            created: reply.created,
            model: String::new(),
            begun: false,
            sender: Sender::default(),
            items: Vec::new(),
            saying: None,
            calls: Calls::default(),
            call_items: Vec::new(),
            held: 0,
            reading: UsageReading::default(),
            ending: None,
            unknown_reason: false,
        }
    }

    fn begin(&mut self, model: Option<Raw<'_>>, out: &mut Writer) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let model = model.and_then(Raw::string).filter(|model| model.len() <= MAX_NAME);
        self.model = model.unwrap_or_default().into_owned();
        self.tell("response.created", "in_progress", None, None, out);
        self.tell("response.in_progress", "in_progress", None, None, out);
    }

    /// Sends the current response object.
    fn tell(
        &mut self,
        event: &str,
        status: &str,
        incomplete: Option<&str>,
        error: Option<(&str, &str)>,
        out: &mut Writer,
    ) {
        let head = Head {
            id: &self.response_id,
            model: &self.model,
            created: self.created,
            status,
            incomplete,
            error,
            echo: &self.notes.echo,
        };
        let usage = self.reading.is_reported().then(|| self.reading.tokens());
        let usage = usage.filter(|_| status != "in_progress");
        self.sender.send(out, event, |out| {
            out.key("response");
            response::write(out, &head, self.items.iter(), usage.as_ref());
        });
    }

    fn hold(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.held = self.held.saturating_add(bytes);
        match self.held > MAX_HELD || self.items.len() > MAX_ITEMS {
            true => Err(TooMuch),
            false => Ok(()),
        }
    }

    /// Adds an item, and returns its index.
    fn begin_item(&mut self, kind: ItemKind, out: &mut Writer) -> usize {
        self.end_saying(out);
        let place = self.items.len();
        let item = Item::new(kind, self.id, place);
        self.sender.added(out, place, &item);
        self.items.push(item);
        place
    }

    fn end_saying(&mut self, out: &mut Writer) {
        if let Some(place) = self.saying.take() {
            if let Some(item) = self.items.get(place) {
                self.sender.done(out, place, item, "completed");
            }
        }
    }

    /// The current reasoning item; a new one begins if there has been text since.
    fn reasoning(&mut self, out: &mut Writer) -> usize {
        match self
            .saying
            .filter(|place| matches!(self.items.get(*place), Some(Item { kind: ItemKind::Reasoning { .. }, .. })))
        {
            Some(place) => place,
            None => {
                let kind = ItemKind::Reasoning { text: String::new(), thoughts: Gathered::default() };
                let place = self.begin_item(kind, out);
                self.saying = Some(place);
                place
            }
        }
    }

    fn think(&mut self, piece: &str, out: &mut Writer) -> Result<(), TooMuch> {
        if piece.is_empty() {
            return Ok(());
        }
        self.hold(piece.len())?;
        let place = self.reasoning(out);
        if let Some(Item { id, kind: ItemKind::Reasoning { text, .. } }) = self.items.get_mut(place) {
            self.sender.thought(out, place, id, text.is_empty(), piece);
            text.push_str(piece);
        }
        Ok(())
    }

    fn thoughts(&mut self, blocks: Raw<'_>, out: &mut Writer) -> Result<(), TooMuch> {
        if blocks.first().is_none() {
            return Ok(());
        }
        self.hold(blocks.json().len())?;
        let place = self.reasoning(out);
        if let Some(Item { kind: ItemKind::Reasoning { text, thoughts }, .. }) = self.items.get_mut(place) {
            thoughts.add(blocks, text);
        }
        Ok(())
    }

    fn say(&mut self, refusal: bool, piece: &str, out: &mut Writer) -> Result<(), TooMuch> {
        if piece.is_empty() {
            return Ok(());
        }
        self.hold(piece.len())?;
        let there =
            self.saying.filter(|place| matches!(self.items.get(*place), Some(Item { kind: ItemKind::Message(_), .. })));
        let place = match there {
            Some(place) => place,
            None => {
                let place = self.begin_item(ItemKind::Message(Vec::new()), out);
                self.saying = Some(place);
                place
            }
        };
        let Some(Item { id, kind: ItemKind::Message(parts) }) = self.items.get_mut(place) else {
            return Ok(());
        };
        let at = self.sender.at(place, id);
        if parts.last().is_none_or(|part| part.refusal != refusal) {
            if let Some(part) = parts.last() {
                self.sender.part_done(out, &at, parts.len() - 1, part);
            }
            parts.push(MessagePart { refusal, text: String::new() });
            if let Some(part) = parts.last() {
                self.sender.part_added(out, &at, parts.len() - 1, part);
            }
        }
        let number = parts.len().saturating_sub(1);
        if let Some(part) = parts.last_mut() {
            self.sender.said(out, &at, number, part, piece);
            part.text.push_str(piece);
        }
        Ok(())
    }

    fn choice(&mut self, choice: Raw<'_>, out: &mut Writer) -> Result<(), TooMuch> {
        let [delta, finish_reason] = choice.fields(["delta", "finish_reason"]);
        if let Some(delta) = delta {
            let [content, reasoning, reasoning_too, thoughts, refusal, calls, function] = delta.fields(MESSAGE_FIELDS);
            self.think(&reasoning.or(reasoning_too).and_then(Raw::string).unwrap_or_default(), out)?;
            if let Some(thoughts) = thoughts {
                self.thoughts(thoughts, out)?;
            }
            self.say(false, &said(content), out)?;
            self.say(true, &said(refusal), out)?;
            if let Some(calls) = calls {
                calls.each(|_, call| match call.field("function") {
                    Some(function) => self.call(call, function, out),
                    None => Ok(()),
                })?;
            }
            if let Some(function) = function {
                self.call(function, function, out)?;
            }
        }
        if let Some(reason) = finish_reason.and_then(Raw::string).filter(|reason| !reason.is_empty()) {
            let known = Ending::of(&reason);
            self.unknown_reason |= known.is_none();
            self.ending = Some(known.unwrap_or(Ending::Completed));
        }
        Ok(())
    }

    fn call(&mut self, call: Raw<'_>, function: Raw<'_>, out: &mut Writer) -> Result<(), TooMuch> {
        let [index, id, extra] = call.fields(["index", "id", "extra_content"]);
        let [name, arguments] = function.fields(["name", "arguments"]);
        let id = id.and_then(Raw::string).unwrap_or_default();
        let name = name.and_then(Raw::string).unwrap_or_default();
        let arguments = arguments_of(arguments);
        self.hold(arguments.len())?;
        let place = self.calls.find(index.and_then(Raw::count), &id, &name).ok_or(TooMuch)?;
        if let Some(signature) = signature_of(extra) {
            self.hold(signature.len())?;
            let reasoning = self.reasoning(out);
            if let Some(Item { kind: ItemKind::Reasoning { thoughts, .. }, .. }) = self.items.get_mut(reasoning) {
                thoughts.put_signature(&id, &signature);
            }
        }
        match self.call_items.get(place) {
            Some(item) => self.ask(*item, &arguments, out),
            None => self.calls.hold(place, &arguments).then_some(()).ok_or(TooMuch)?,
        }
        self.begin_calls(out)
    }

    /// Begins the calls whose names are known.
    fn begin_calls(&mut self, out: &mut Writer) -> Result<(), TooMuch> {
        while let Some(place) = self.calls.next_waiting() {
            let Some(begun) = self.calls.begin(place) else {
                break;
            };
            let id = if begun.id.is_empty() { made("call_", self.id, place + 1) } else { begun.id };
            let call = ToolCall::new(id, &begun.name, String::new(), &self.notes.tools);
            let item = self.begin_item(ItemKind::Call(call), out);
            self.call_items.push(item);
            self.ask(item, &begun.held, out);
            self.hold(0)?;
        }
        Ok(())
    }

    /// Further arguments of a call. A custom tool's arguments can only be read once they are complete.
    fn ask(&mut self, place: usize, json: &str, out: &mut Writer) {
        if let Some(Item { id, kind: ItemKind::Call(call) }) = self.items.get_mut(place) {
            if !json.is_empty() && !call.custom {
                self.sender.asked(out, place, id, json);
            }
            call.arguments.push_str(json);
        }
    }

    /// Ends all open items, in the order of the output.
    fn end_items(&mut self, ending: Ending, out: &mut Writer) {
        let last = self.items.len().saturating_sub(1);
        for (place, item) in self.items.iter_mut().enumerate() {
            let said = self.saying == Some(place);
            if let ItemKind::Call(call) = &mut item.kind {
                if call.arguments.is_empty() {
                    call.arguments.push_str("{}");
                    if !call.custom {
                        self.sender.asked(out, place, &item.id, "{}");
                    }
                }
            }
            if said || matches!(item.kind, ItemKind::Call(_)) {
                self.sender.done(out, place, item, if place == last { ending.status() } else { "completed" });
            }
        }
        self.saying = None;
    }
}

impl Machine for Events {
    fn event(&mut self, event: Raw<'_>, out: &mut Writer) -> Said {
        if matches!(self.reading.read(event.json().as_bytes()), EventKind::Error) {
            return Said::Error;
        }
        let [model, choices] = event.fields(["model", "choices"]);
        let Some(choice) = choices.and_then(Raw::first) else {
            return Said::Nothing; // only usage, or Azure's first chunk
        };
        self.begin(model, out);
        if self.ending.is_some() {
            return Said::Content; // some servers send the finish reason twice
        }
        match self.choice(choice, out) {
            Ok(()) => Said::Content,
            Err(TooMuch) => Said::Error,
        }
    }

    fn is_finished(&self) -> bool {
        self.ending.is_some()
    }

    fn end(&mut self, out: &mut Writer) {
        self.begin(None, out);
        let ending = self.ending.unwrap_or(Ending::Completed);
        self.end_items(ending, out);
        let event = match ending {
            Ending::Completed => "response.completed",
            Ending::Incomplete(_) => "response.incomplete",
        };
        self.tell(event, ending.status(), ending.reason(), None, out);
    }

    fn fail(&mut self, failure: &ProviderError<'_>, out: &mut Writer) {
        self.begin(None, out);
        self.tell("response.failed", "failed", None, Some((failure.code(), failure.message())), out);
    }

    fn unknown_reason(&self) -> bool {
        self.unknown_reason
    }

    fn reserved(&self) -> usize {
        let items = self.items.iter().map(Item::reserved).sum::<usize>();
        self.items.capacity() * size_of::<Item>() + items + self.calls.reserved() + self.notes.reserved()
    }
}
