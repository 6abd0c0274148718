//! The prompts by name and language.

use std::collections::BTreeMap;
use std::fmt;

use super::kind::{Kind, TextSettings};
use super::template::{RenderError, Template, Variables};

/// The maximum number of prompts.
pub const MAX_PROMPTS: usize = 500;

/// The maximum number of languages of a prompt.
pub const MAX_LANGUAGES: usize = 50;

/// All prompts, and the settings of the text endpoints that use some of them.
#[derive(Clone, Debug)]
pub struct Library {
    prompts: BTreeMap<String, Prompt>,
    /// The language of requests that name none.
    language: String,
    texts: Option<TextSettings>,
}

/// A prompt in its languages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    languages: BTreeMap<String, Template>,
}

/// Why a prompt is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfound {
    /// There is none of this name.
    Name,
    /// It is not there in this language, only in these.
    Language(String),
    /// The variables do not fit.
    Variables(RenderError),
}

impl fmt::Display for Unfound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfound::Name => write!(f, "there is no such prompt"),
            Unfound::Language(known) => write!(f, "the prompt is only there in: {known}"),
            Unfound::Variables(error) => write!(f, "{error}"),
        }
    }
}

impl Library {
    /// A library of these prompts.
    pub fn new(prompts: BTreeMap<String, Prompt>, language: String, texts: Option<TextSettings>) -> Self {
        Library { prompts, language, texts }
    }

    /// The settings of the text endpoints; `None`: they are off.
    pub fn texts(&self) -> Option<&TextSettings> {
        self.texts.as_ref()
    }

    /// The language of requests that name none.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// The text endpoint at a path without a query, if they are on.
    pub fn endpoint(&self, path: &str) -> Option<Kind> {
        self.texts.as_ref().and_then(|_| Kind::of_path(path))
    }

    /// Whether there is a prompt of this name.
    pub fn has(&self, name: &str) -> bool {
        self.prompts.contains_key(name)
    }

    /// The text of a prompt. Without a `language`, it is the default, or the only one.
    ///
    /// # Errors
    /// There is none, or the variables do not fit.
    pub fn render(&self, name: &str, language: Option<&str>, variables: &Variables) -> Result<String, Unfound> {
        let prompt = self.prompts.get(name).ok_or(Unfound::Name)?;
        let template = match language {
            Some(language) => prompt.find(language),
            None => prompt.find(&self.language).or_else(|| prompt.only()),
        };
        let template = template.ok_or_else(|| Unfound::Language(prompt.names()))?;
        template.render(variables).map_err(Unfound::Variables)
    }
}

impl Prompt {
    /// Adds a language, unless it is there already. Returns whether it was not.
    pub fn add(&mut self, language: &str, template: Template) -> bool {
        let language = language.to_ascii_lowercase();
        let is_new = !self.languages.contains_key(&language);
        if is_new {
            self.languages.insert(language, template);
        }
        is_new
    }

    /// The template for a language: `de-AT` is also served by `de`.
    fn find(&self, language: &str) -> Option<&Template> {
        let language = language.to_ascii_lowercase().replace('_', "-");
        let general = language.split('-').next().unwrap_or_default();
        self.languages.get(&language).or_else(|| self.languages.get(general))
    }

    fn only(&self) -> Option<&Template> {
        let mut all = self.languages.values();
        let first = all.next();
        first.filter(|_| all.next().is_none())
    }

    /// The languages, for errors.
    fn names(&self) -> String {
        self.languages.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}
