//! The end that the gateway writes after a blocking finding: the dialect's end for a filtered answer, so that the
//! client's library treats it as a normal end.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{terminated, Event};
use super::event_meta::{Ends, EventMeta, Step};
use crate::endpoint::Endpoint;
use crate::guard::blocked;
use crate::json::{Scanner, Value};
use crate::usage::Framing;

/// Longer fields are not kept, and are missing in the end.
const MAX_FIELD: usize = 64 << 10;
/// More choices or blocks than this are not ended separately.
const MAX_CHOICES: usize = 1024;

const DONE: &str = "data: [DONE]\n\n";

/// The state that an answer's end needs, and what it must not repeat.
#[derive(Debug)]
pub(super) struct Ending {
    endpoint: Endpoint,
    framing: Framing,
    /// Whether the client has seen some of the answer.
    is_begun: bool,
    /// The fields that the end repeats, as written.
    fields: BTreeMap<&'static str, Vec<u8>>,
    /// OpenAI's choices or Gemini's candidates; whether the client has seen each one's end.
    choices: BTreeMap<u32, bool>,
    /// Anthropic's blocks that the client has seen begin, but not end.
    blocks: BTreeSet<u32>,
    /// The sequence number of the client's last event.
    sequence: u64,
    /// Whether the client has seen the end of all choices.
    is_over: bool,
    /// Whether it has seen `[DONE]`.
    is_done: bool,
}

impl Ending {
    pub(super) fn new(endpoint: Endpoint, framing: Framing) -> Self {
        Ending {
            endpoint,
            framing,
            is_begun: false,
            fields: BTreeMap::new(),
            choices: BTreeMap::new(),
            blocks: BTreeSet::new(),
            sequence: 0,
            is_over: false,
            is_done: false,
        }
    }

    /// Records an event that the client may not have seen yet.
    pub(super) fn see(&mut self, meta: &EventMeta<'_>) {
        for choice in &meta.choices {
            if self.choices.len() < MAX_CHOICES {
                self.choices.entry(*choice).or_insert(false);
            }
        }
        let (first, last) = kept(self.endpoint);
        for (name, value) in &meta.fields {
            let is = |kept: &&&'static str| kept.as_bytes() == *name;
            if value.len() > MAX_FIELD || *value == b"null" {
                continue;
            }
            if let Some(name) = first.iter().find(is) {
                self.fields.entry(name).or_insert_with(|| value.to_vec());
            } else if let Some(name) = last.iter().find(is) {
                self.fields.insert(name, value.to_vec());
            }
        }
    }

    /// Records an event that the client sees.
    pub(super) fn shown(&mut self, event: &Event) {
        self.is_begun = true;
        self.sequence = event.sequence.unwrap_or(self.sequence);
        match &event.ends {
            Ends::Nothing => {}
            Ends::Choices(ended) => ended.iter().for_each(|choice| {
                self.choices.entry(*choice).and_modify(|seen| *seen = true);
            }),
            Ends::All => self.is_over = true,
        }
        match event.step {
            Step::BlockStart(block) if self.blocks.len() < MAX_CHOICES => {
                self.blocks.insert(block);
            }
            Step::BlockStop(block) => {
                self.blocks.remove(&block);
            }
            Step::Done => self.is_done = true,
            Step::BlockStart(_) | Step::Other | Step::UsageOnly => {}
        }
    }

    /// Writes the answer's end. Later bytes come from [`Ending::swallow`] and [`Ending::finish`]. `brackets`: they close
    /// one JSON text, and come last.
    pub(super) fn write(&self, brackets: &[u8]) -> Vec<u8> {
        let is_json = self.framing == Framing::Json;
        match brackets.strip_suffix(b"]") {
            Some(element) if is_json && self.endpoint == Endpoint::StreamGenerateContent => {
                return [element, b",", self.candidates().as_bytes(), b"]"].concat();
            }
            _ if is_json && self.is_begun => return brackets.to_vec(),
            _ if is_json && self.endpoint == Endpoint::StreamGenerateContent => {
                return format!("[{}]", self.candidates()).into_bytes();
            }
            _ if is_json => return blocked(self.endpoint, b""),
            _ => {}
        }
        match self.is_over {
            true => Vec::new(),
            false => self.end().into_bytes(),
        }
    }

    fn end(&self) -> String {
        match self.endpoint {
            Endpoint::ChatCompletions
            | Endpoint::Embeddings
            | Endpoint::Converse
            | Endpoint::ConverseStream
            | Endpoint::Further(_) => self.choice_ends(r#""delta":{}"#),
            Endpoint::Completions => self.choice_ends(r#""text":"""#),
            Endpoint::Responses => self.incomplete(),
            Endpoint::Messages => self.refusal(),
            Endpoint::OllamaChat => self.done(r#""message":{"role":"assistant","content":""}"#),
            Endpoint::OllamaGenerate | Endpoint::OllamaEmbed => self.done(r#""response":"""#),
            Endpoint::GenerateContent | Endpoint::StreamGenerateContent => format!("data: {}\n\n", self.candidates()),
        }
    }

    /// Handles an event after the end. OpenAI's usage is still shown: it only comes if the client requested it.
    pub(super) fn swallow(&mut self, event: &Event) -> Vec<u8> {
        match (self.has_done(), event.step) {
            (true, Step::UsageOnly) => terminated(Framing::Sse, &event.bytes),
            (true, Step::Done) => self.finish(),
            (true, Step::Other | Step::BlockStart(_) | Step::BlockStop(_)) | (false, _) => Vec::new(),
        }
    }

    /// Nothing more comes after the end.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        if !self.has_done() || std::mem::replace(&mut self.is_done, true) {
            return Vec::new();
        }
        DONE.into()
    }

    fn has_done(&self) -> bool {
        match self.endpoint {
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::Embeddings
            | Endpoint::Converse
            | Endpoint::ConverseStream
            | Endpoint::Further(_) => self.framing != Framing::Json,
            Endpoint::Responses
            | Endpoint::Messages
            | Endpoint::OllamaChat
            | Endpoint::OllamaGenerate
            | Endpoint::OllamaEmbed
            | Endpoint::GenerateContent
            | Endpoint::StreamGenerateContent => false,
        }
    }

    /// The choices without an end at the client; the first one, if none is known.
    fn open_choices(&self) -> Vec<u32> {
        match self.choices.is_empty() {
            true => vec![0],
            false => self.choices.iter().filter(|(_, ended)| !**ended).map(|(choice, _)| *choice).collect(),
        }
    }

    /// The kept fields, each followed by a comma.
    fn repeated(&self) -> String {
        let field = |(name, value): (&&str, &Vec<u8>)| format!("\"{name}\":{},", String::from_utf8_lossy(value));
        // an event must not contain a line end
        self.fields.iter().map(field).collect::<String>().replace(['\n', '\r'], " ")
    }

    fn choice_ends(&self, nothing: &str) -> String {
        let fields = self.repeated();
        let end = |choice: &u32| {
            let ended = format!(r#"{{"index":{choice},{nothing},"logprobs":null,"finish_reason":"content_filter"}}"#);
            format!("data: {{{fields}\"choices\":[{ended}]}}\n\n")
        };
        self.open_choices().iter().map(end).collect()
    }

    fn candidates(&self) -> String {
        let end = |choice: &u32| format!(r#"{{"finishReason":"SAFETY","index":{choice}}}"#);
        let ends: Vec<String> = self.open_choices().iter().map(end).collect();
        format!("{{{}\"candidates\":[{}]}}", self.repeated(), ends.join(","))
    }

    fn done(&self, nothing: &str) -> String {
        format!("{{{}{nothing},\"done\":true,\"done_reason\":\"content_filter\"}}\n", self.repeated())
    }

    fn refusal(&self) -> String {
        let stop = |block: &u32| event("content_block_stop", &format!(r#""index":{block}"#));
        let stops: String = self.blocks.iter().map(stop).collect();
        let usage =
            self.fields.get("usage").map_or("{\"output_tokens\":0}".into(), |usage| String::from_utf8_lossy(usage));
        let usage = usage.replace(['\n', '\r'], " ");
        let delta = format!(r#""delta":{{"stop_reason":"refusal","stop_sequence":null}},"usage":{usage}"#);
        format!(
            "{stops}{}data: {{\"type\":\"message_stop\"}}\n\n",
            event("message_delta", &delta) + "event: message_stop\n"
        )
    }

    /// OpenAI Responses' end contains the response object from its first event.
    fn incomplete(&self) -> String {
        let response = self.fields.get("response").map(Vec::as_slice).unwrap_or_default();
        let mut fields = String::new();
        let mut scanner = Scanner::new(response);
        // it has been parsed before
        let _ = scanner.object(|key, scanner| {
            let (value, span) = scanner.spanned()?;
            let is_written = matches!(key.raw(), b"status" | b"incomplete_details") || value == Value::Null;
            if !is_written {
                let value = String::from_utf8_lossy(response.get(span).unwrap_or_default());
                fields.push_str(&format!("\"{}\":{value},", String::from_utf8_lossy(key.raw())));
            }
            Ok(())
        });
        if fields.is_empty() {
            fields.push_str(r#""object":"response","output":[],"#);
        }
        let fields = fields.replace(['\n', '\r'], " ");
        let status = r#""status":"incomplete","error":null,"incomplete_details":{"reason":"content_filter"}"#;
        let number = self.sequence.saturating_add(1);
        event("response.incomplete", &format!("\"sequence_number\":{number},\"response\":{{{fields}{status}}}"))
    }
}

fn event(name: &str, fields: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\",{fields}}}\n\n")
}

/// The fields that an endpoint's end repeats: from the first event, and from the last.
fn kept(endpoint: Endpoint) -> (&'static [&'static str], &'static [&'static str]) {
    match endpoint {
        Endpoint::ChatCompletions
        | Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Converse
        | Endpoint::ConverseStream
        | Endpoint::Further(_) => (&["id", "object", "created", "model", "system_fingerprint", "service_tier"], &[]),
        Endpoint::Responses => (&["response"], &[]),
        Endpoint::Messages => (&[], &["usage"]),
        Endpoint::OllamaChat | Endpoint::OllamaGenerate | Endpoint::OllamaEmbed => (&["model"], &["created_at"]),
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => {
            (&["modelVersion", "responseId"], &["usageMetadata"])
        }
    }
}
