//! Claude's features, by model name.

/// The version of a Claude: 4.5 is `(4, 5)`. Other models have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(Option<(u32, u32)>);

impl Version {
    /// Reads it from a model's name: `claude-3-5-sonnet-20241022`, `anthropic.claude-opus-4-1-20250805-v1:0`.
    pub fn of(model: &str) -> Self {
        let Some((_, name)) = model.split_once("claude-") else {
            return Version(None);
        };
        // a number with more digits is a date
        let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.len() <= 2);
        let mut numbers = name
            .split(|character: char| !character.is_ascii_alphanumeric())
            .skip_while(|part| number(part).is_none())
            .map(number);
        let major = numbers.next().flatten();
        Version(major.map(|major| (major, numbers.next().flatten().unwrap_or(0))))
    }

    /// Whether it is a Claude of this version or a later one.
    pub fn is_at_least(self, major: u32, minor: u32) -> bool {
        self.0.is_some_and(|version| version >= (major, minor))
    }

    /// Whether it supports an answer schema and strict tools. Assumed for models other than Claude.
    pub fn has_structured_outputs(self) -> bool {
        self.0.is_none_or(|version| version >= (4, 5))
    }

    /// Whether it supports reasoning. Assumed for models other than Claude.
    pub fn thinks(self) -> bool {
        self.0.is_none_or(|version| version >= (3, 7))
    }

    /// Whether it decides the amount of reasoning itself, from an effort alone.
    pub fn thinks_adaptively(self) -> bool {
        self.is_at_least(4, 6)
    }

    /// Whether it supports the effort `xhigh`.
    pub fn knows_extra_high(self) -> bool {
        self.is_at_least(4, 7)
    }
}
