//! The text endpoints, and their settings.

use std::time::Duration;

/// A text endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Questions that a text answers.
    Questions,
    /// A translation.
    Translation,
    /// A text in simpler words.
    Simplification,
    /// An article from one text.
    Article,
    /// One article from several texts.
    FullArticle,
    /// An answer from texts.
    Answer,
}

/// The paths begin with this.
const PREFIX: &str = "/builtin/";

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 6] =
        [Kind::Questions, Kind::Translation, Kind::Simplification, Kind::Article, Kind::FullArticle, Kind::Answer];

    /// The name of its path and of its prompt.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Questions => "generate_questions",
            Kind::Translation => "translate",
            Kind::Simplification => "simplify_text",
            Kind::Article => "generate_article_from_text",
            Kind::FullArticle => "create_full_article_from_texts",
            Kind::Answer => "generative_answer",
        }
    }

    /// The endpoint at a path without a query.
    ///
    /// ```
    /// use sluice::prompts::Kind;
    ///
    /// assert_eq!(Kind::of_path("/builtin/translate"), Some(Kind::Translation));
    /// assert_eq!(Kind::of_path("/builtin/other"), None);
    /// ```
    pub fn of_path(path: &str) -> Option<Kind> {
        let name = path.strip_prefix(PREFIX)?;
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its path.
    pub fn path(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    /// Whether each text has an answer of its own.
    pub fn is_by_text(self) -> bool {
        match self {
            Kind::Questions | Kind::Translation | Kind::Simplification => true,
            Kind::Article | Kind::FullArticle | Kind::Answer => false,
        }
    }
}

/// The settings of the text endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSettings {
    /// The model of requests that name none.
    pub model: Option<String>,
    /// The most texts in a request.
    pub max_texts: usize,
    /// How many texts of a request are sent at once.
    pub parallel: usize,
    /// The longest time for one of several texts.
    pub timeout: Duration,
    /// The cluster that leads to the gateway itself.
    pub cluster: String,
}
