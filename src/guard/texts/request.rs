//! The members of a request.

use super::content::member;
use super::context::TextContext;
use super::how::How;
use crate::guard::Speaker;

/// How one member of a request is read.
pub(super) fn member_of_request(name: &str, first: Option<u8>) -> (How, TextContext) {
    let (user, system) = (TextContext::of(Speaker::User), TextContext::of(Speaker::System));
    match name {
        "messages" | "contents" | "input" | "prompt" | "suffix" | "query" | "prediction" => (How::Content, user),
        // documents to search or rank: texts, or records with any fields
        "documents" => (How::Strings, user),
        "system" | "systeminstruction" | "instructions" | "template" => (How::Content, system),
        name => member(name, first, system),
    }
}
