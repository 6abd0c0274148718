//! The fields that models of OpenAI and of compatible servers accept, by model name.

/// Name prefixes of OpenAI's reasoning models: they need `max_completion_tokens`, and accept no temperature.
const OPENAI_REASONING: [&str; 4] = ["o1", "o3", "o4", "gpt-5"];
/// Name prefixes of other models with `reasoning_effort`. Other servers may refuse the field.
const OTHER_REASONING: [&str; 5] = ["gpt-oss", "gemini-2.5", "gemini-3", "grok-3-mini", "grok-4"];

/// Some servers put the vendor before the name: `openai/gpt-5`.
fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// Whether it is one of OpenAI's reasoning models.
pub(in crate::translate) fn is_openai_reasoning(model: &str) -> bool {
    OPENAI_REASONING.iter().any(|start| bare(model).starts_with(start)) && !bare(model).contains("-chat")
}

/// Whether it accepts `reasoning_effort`.
pub(in crate::translate) fn takes_effort(model: &str) -> bool {
    is_openai_reasoning(model) || OTHER_REASONING.iter().any(|start| bare(model).starts_with(start))
}
