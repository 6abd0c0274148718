//! How a value is read, by what it begins with.

use super::context::TextContext;
use super::how::{How, Inside, Leaf};
use super::labels::Labels;
use crate::guard::Speaker;

/// The beginning of a value.
pub(super) enum Opening {
    Leaf(Leaf, TextContext),
    /// An object or array.
    Open(Inside, TextContext),
    /// An object of which some members are read before the others.
    Labelled(Labels),
}

impl How {
    /// How to read a value that begins with `first`; `position`: of an array's element.
    pub(super) fn opening(self, first: Option<u8>, context: TextContext, position: u32) -> Opening {
        let leaf = |leaf| Opening::Leaf(leaf, context);
        let array = |how, context| Opening::Open(Inside::Array(how), context);
        match (self, first) {
            (How::Skipped, _) => leaf(Leaf::Skipped),
            (How::Text, _) => leaf(Leaf::Text),
            (How::Echo, _) => leaf(Leaf::Echo),
            (How::Content, _) => match (first, context.inside()) {
                (_, None) => How::Strings.opening(first, context, position),
                (Some(b'{'), Some(inside)) => Opening::Labelled(Labels::of_block(inside)),
                (Some(b'['), Some(inside)) => array(How::Content, inside),
                (_, Some(_)) => leaf(Leaf::Text),
            },
            (How::Unless(shape), Some(b'"')) => leaf(Leaf::Unless(shape)),
            (How::Name, Some(b'"')) => leaf(Leaf::Name),
            (How::Unless(_) | How::Name, Some(b'[')) => match context.inside() {
                Some(inside) => array(self, inside),
                None => How::Content.opening(first, context, position),
            },
            (How::Unless(_) | How::Name, _) => How::Content.opening(first, context, position),
            (How::Source, _) => match context.inside().filter(|_| first == Some(b'{')) {
                Some(inside) => Opening::Labelled(Labels::of_source(inside)),
                None => How::Content.opening(first, context.whole(), position),
            },
            (How::Calls, Some(b'[')) => array(How::Call, context),
            (How::Calls | How::Call, Some(b'{')) => Opening::Labelled(Labels::of_call(context, position)),
            (How::Calls | How::Call, _) => {
                // part 0 is the message itself
                let context = context.speaker(Speaker::Assistant).part(position.saturating_add(1));
                How::Content.opening(first, context, position)
            }
            (How::Strings, Some(b'{')) => Opening::Open(Inside::Strings, context),
            (How::Strings, Some(b'[')) => array(How::Strings, context),
            (How::Strings, Some(b'0'..=b'9')) => leaf(Leaf::Number),
            (How::Keywords(shape), Some(b'"')) => leaf(Leaf::Unless(shape)),
            (How::Keywords(_), Some(b'[')) => array(self, context),
            (How::Schema, Some(b'[')) => array(How::Schema, context),
            (How::Schema | How::Keywords(_), Some(b'{')) => Opening::Open(Inside::Schema, context),
            (How::Strings | How::Schema | How::Keywords(_), _) => leaf(Leaf::Text),
            (How::Request, Some(b'{')) => Opening::Open(Inside::Request, context),
            (How::Answers, Some(b'[')) => array(How::Answer, context),
            (How::Answers | How::Answer, Some(b'{')) => Opening::Labelled(Labels::of_answer(context)),
            (How::Choices, Some(b'[')) => array(How::Choice, context),
            (How::Choice, Some(b'{')) => Opening::Labelled(Labels::of_choice(context, position)),
            (How::Response, Some(b'{')) => Opening::Open(Inside::Response, context),
            (How::Request | How::Answers | How::Answer | How::Choices | How::Choice | How::Response, _) => {
                leaf(Leaf::Skipped)
            }
            (How::Items, Some(b'[')) => array(How::Item, context),
            (How::Items, _) => How::Content.opening(first, context, position),
            (How::Item, _) => How::Content.opening(first, context.choice(position), position),
        }
    }
}
