//! The texts of a request.

use super::content::{TextContext, Texts};
use super::{fold, Unreadable};
use crate::guard::Speaker;
use crate::json::Scanner;

pub(super) fn read(body: &[u8]) -> Result<Texts, Unreadable> {
    let mut texts = Texts::default();
    let mut scanner = Scanner::new(body);
    let user = TextContext::of(Speaker::User);
    scanner.object(|key, scanner| match &*fold(&key) {
        "messages" | "contents" | "input" | "prompt" | "suffix" | "query" | "prediction" => {
            texts.content(scanner, user)
        }
        // documents to search or rank: texts, or records with any fields
        "documents" => texts.strings(scanner, user),
        "system" | "systeminstruction" | "instructions" | "template" => {
            texts.content(scanner, TextContext::of(Speaker::System))
        }
        name => texts.field(name, scanner, TextContext::of(Speaker::System)),
    })?;
    scanner.end()?;
    texts.finish()
}
