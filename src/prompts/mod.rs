//! The prompt library: the operator's texts for models, by name and language. Chat requests refer to them, and the text
//! endpoints ([`crate::texts`]) use them.

mod builtin;
mod kind;
mod library;
mod reference;
mod template;

pub use builtin::BUILTIN;
pub use kind::{Kind, TextSettings};
pub use library::{Library, Prompt, Unfound, MAX_LANGUAGES, MAX_PROMPTS};
pub use reference::{expand, refers, Expanded, MAX_REFERENCE};
pub use template::{RenderError, Template, TemplateError, Variables, MAX_RENDERED, MAX_TEMPLATE};
