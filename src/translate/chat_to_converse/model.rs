//! The fields that a model on Bedrock accepts, by its id: there is one API, but not all of its fields work with all
//! models.

use crate::translate::claude::Version;

/// Prefixes of models without answer schemas.
const WITHOUT_SCHEMA: [&str; 5] = ["nova", "titan", "llama", "cohere", "ai21"];

/// A model.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    id: &'a str,
    /// The Claude version, if it is one.
    pub version: Version,
}

impl<'a> Model<'a> {
    /// Reads a model id, the id of an inference profile, or an ARN.
    pub fn of(id: &'a str) -> Self {
        Model { id, version: Version::of(id) }
    }

    /// Whether it is one of Anthropic's.
    pub fn is_claude(self) -> bool {
        self.id.contains("claude")
    }

    /// Whether it is one of Amazon's Nova.
    pub fn is_nova(self) -> bool {
        self.id.contains("nova")
    }

    /// Whether it is a Nova with reasoning.
    pub fn is_thinking_nova(self) -> bool {
        self.id.contains("nova-2")
    }

    /// Whether it accepts `reasoning_effort` under OpenAI's name.
    pub fn takes_effort(self) -> bool {
        self.id.contains("gpt-oss") || self.id.contains("deepseek.v3")
    }

    /// Whether it accepts marks for the prompt cache; others refuse them.
    pub fn takes_cache_points(self) -> bool {
        self.is_claude() || self.is_nova()
    }

    /// Whether a mark may set the cache's lifetime.
    pub fn takes_cache_ttl(self) -> bool {
        self.version.is_at_least(4, 5)
    }

    /// Whether it accepts an answer schema.
    pub fn takes_schema(self) -> bool {
        match self.is_claude() {
            true => self.version.has_structured_outputs(),
            false => !WITHOUT_SCHEMA.iter().any(|name| self.id.contains(name)),
        }
    }

    /// Whether it can be limited to one tool call at a time.
    pub fn takes_single_calls(self) -> bool {
        self.version.is_at_least(4, 5)
    }

    /// Whether it accepts strict tools.
    pub fn takes_strict_tools(self) -> bool {
        self.version.is_at_least(4, 5) && !self.version.is_at_least(4, 7)
    }
}
