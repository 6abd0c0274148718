//! The members of messages, items, blocks and parts: the shapes that requests and answers share.

use super::context::TextContext;
use super::fields::{field, Field};
use super::how::{How, Shape};
use super::PassageKind;
use crate::guard::Speaker;

/// How one member of a message, an item, a block or a part is read, by the table; see [`super::fields`]. `first` is the
/// first byte of its value.
pub(super) fn member(name: &str, first: Option<u8>, context: TextContext) -> (How, TextContext) {
    let is_string = first == Some(b'"');
    match field(name) {
        Some(Field::Text) => (How::Content, context),
        Some(Field::Apart) | None => (How::Content, context.apart(name)),
        Some(Field::Whole) => (How::Content, context.whole()),
        Some(Field::Aloud) => (How::Content, context.part(u32::MAX)),
        Some(Field::Refusal) => (How::Content, context.kind(PassageKind::Refusal)),
        Some(Field::Reasoning) => (How::Content, context.kind(PassageKind::Reasoning)),
        Some(Field::Called) => (How::Content, context.speaker(Speaker::Assistant)),
        Some(Field::Result) => (How::Content, context.speaker(Speaker::Tool)),
        Some(Field::Calls) => (How::Calls, context),
        Some(Field::Arguments) if is_string => (How::Text, context.kind(PassageKind::Arguments)),
        Some(Field::Input) if is_string => (How::Text, context),
        Some(Field::Arguments | Field::Input | Field::Free) => (How::Strings, context.argument()),
        Some(Field::Schema) => (How::Schema, context.argument()),
        Some(Field::Described) => (How::Unless(Shape::PlainName), context.speaker(Speaker::System).whole()),
        Some(Field::Name) => (How::Name, context),
        Some(Field::Source) => (How::Source, context),
        Some(Field::Echo) => (How::Echo, context),
        Some(Field::Word) => (How::Unless(Shape::Word), context.whole()),
        Some(Field::Data) => (How::Unless(Shape::Data), context.whole()),
        Some(Field::Link) if first == Some(b'{') => (How::Source, context),
        Some(Field::Link) => (How::Unless(Shape::Link), context.whole()),
        Some(Field::Signed | Field::Credential | Field::Count) => (How::Skipped, context),
    }
}

/// How one member of a document's source is read.
pub(super) fn member_of_source(
    name: &str,
    is_text: bool,
    first: Option<u8>,
    context: TextContext,
) -> (How, TextContext) {
    match (name, is_text) {
        ("data", true) => (How::Text, context),
        ("url" | "uri", _) => (How::Unless(Shape::Link), context.whole()),
        (name, _) => member(name, first, context),
    }
}

/// How one member of a schema is read; its name is as written.
pub(super) fn member_of_schema(name: &[u8], context: TextContext) -> (How, TextContext) {
    let how = match name {
        b"type" | b"format" | b"$ref" | b"$schema" | b"$id" | b"contentEncoding" | b"contentMediaType" => {
            How::Keywords(Shape::Word)
        }
        b"required" | b"propertyOrdering" => How::Keywords(Shape::PlainName),
        b"enum" | b"const" | b"default" | b"examples" | b"example" => How::Strings,
        _ => How::Schema,
    };
    (how, context)
}
