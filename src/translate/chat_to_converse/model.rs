//! What a model on Bedrock takes, told from its id: the API is one, but its fields are not for all models.

use crate::translate::claude::Version;

/// Beginnings of names of models that take no schema for their answer.
const WITHOUT_SCHEMA: [&str; 5] = ["nova", "titan", "llama", "cohere", "ai21"];

/// A model.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    id: &'a str,
    /// If it is a Claude, which one.
    pub version: Version,
}

impl<'a> Model<'a> {
    /// By its id, that of an inference profile, or the ARN of one.
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

    /// Whether it is a Nova that can think.
    pub fn is_thinking_nova(self) -> bool {
        self.id.contains("nova-2")
    }

    /// Whether it takes `reasoning_effort` by OpenAI's own name.
    pub fn takes_effort(self) -> bool {
        self.id.contains("gpt-oss") || self.id.contains("deepseek.v3")
    }

    /// Whether marks for the prompt cache may stand in a request for it; others refuse them.
    pub fn takes_cache_points(self) -> bool {
        self.is_claude() || self.is_nova()
    }

    /// Whether a mark may say how long the cache keeps.
    pub fn takes_cache_ttl(self) -> bool {
        self.version.is_at_least(4, 5)
    }

    /// Whether it takes a schema for its answer.
    pub fn takes_schema(self) -> bool {
        match self.is_claude() {
            true => self.version.has_structured_outputs(),
            false => !WITHOUT_SCHEMA.iter().any(|name| self.id.contains(name)),
        }
    }

    /// Whether it can be told to call one tool at a time.
    pub fn takes_single_calls(self) -> bool {
        self.version.is_at_least(4, 5)
    }

    /// Whether it takes tools that are strict.
    pub fn takes_strict_tools(self) -> bool {
        self.version.is_at_least(4, 5) && !self.version.is_at_least(4, 7)
    }
}
