//! OpenAI's older text completions.

use super::chat::{write_end, write_head, write_usage, Chunks};
use super::merge::Indexed;
use super::sse::on_one_line;
use super::{ended, Unstorable};
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::usage::TokenUsage;

/// The completion of a stream.
pub fn collect(stream: &[u8], usage: Option<&TokenUsage>) -> Option<Writer> {
    let mut choices = Indexed::default();
    let Chunks { head, reported } = Chunks::read(stream, |choice| {
        let index = choice.field("index").and_then(Raw::count).unwrap_or(0);
        choices.at(index)?.add(choice, &["finish_reason"])
    })?;
    if choices.is_empty() {
        return None;
    }
    let mut out = Writer::default();
    out.object(|out| {
        head.write_members(out);
        out.put_string("object", "text_completion");
        out.put_array("choices", |out| {
            choices.sorted().for_each(|(_, choice)| out.object(|out| choice.write_members(out)));
        });
        write_usage(reported, usage, out);
    });
    Some(out)
}

/// Whether a completion may be kept.
pub fn end(answer: Raw<'_>) -> Result<(), Unstorable> {
    let choices = answer.field("choices").filter(|choices| choices.first().is_some()).ok_or(Unstorable::Unknown)?;
    choices.each(|_, choice| {
        let reason = choice.text("finish_reason");
        ended(reason.as_deref(), &["stop"], &["length"], &[])
    })
}

/// The chunks of a completion.
pub fn stream(answer: Raw<'_>, include_usage: bool, out: &mut Writer) {
    if let Some(choices) = answer.field("choices") {
        choices.items(|choice| {
            out.event(None, |out| {
                write_head(answer, "text_completion", out);
                out.put_array("choices", |out| out.raw(&on_one_line(choice)));
                if include_usage {
                    out.put("usage", "null");
                }
            });
        });
    }
    write_end(answer, include_usage, "text_completion", out);
}
