//! What a model of OpenAI's, or of those who copy its API, takes, told from its name.

/// The beginnings of names of OpenAI's models that reason: they want `max_completion_tokens`, and no temperature.
const OPENAI_REASONING: [&str; 4] = ["o1", "o3", "o4", "gpt-5"];
/// Those of other models that take `reasoning_effort`. Whoever does not know the field may refuse it.
const OTHER_REASONING: [&str; 5] = ["gpt-oss", "gemini-2.5", "gemini-3", "grok-3-mini", "grok-4"];

/// Some servers put the maker before the name: `openai/gpt-5`.
fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// Whether it is a model of OpenAI's that reasons.
pub(in crate::translate) fn is_openai_reasoning(model: &str) -> bool {
    OPENAI_REASONING.iter().any(|start| bare(model).starts_with(start)) && !bare(model).contains("-chat")
}

/// Whether it takes `reasoning_effort`.
pub(in crate::translate) fn takes_effort(model: &str) -> bool {
    is_openai_reasoning(model) || OTHER_REASONING.iter().any(|start| bare(model).starts_with(start))
}
