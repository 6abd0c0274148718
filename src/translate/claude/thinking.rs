//! The amount of reasoning before the answer.
//!
//! Models from 4.6 on get an effort and decide themselves; older ones get a token budget, which is part of the answer's
//! limit.

use super::model::Version;
use crate::error::ApiError;
use crate::translate::dropped::Dropped;
use crate::translate::invalid;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The smallest accepted budget.
const LEAST_BUDGET: u64 = 1024;

/// The client's settings.
pub struct RequestedThinking<'a> {
    /// `reasoning_effort`
    pub effort: Option<Raw<'a>>,
    /// Anthropic's own field, which some clients send.
    pub thinking: Option<Raw<'a>>,
    /// The client's limit of tokens.
    pub limit: Option<u64>,
    /// The default limit.
    pub default_limit: u64,
}

/// The settings for the model.
pub struct Thinking<'a> {
    limit: u64,
    mode: ThinkingMode<'a>,
    effort: Option<&'static str>,
}

enum ThinkingMode<'a> {
    Off,
    Adaptive,
    Budget(u64),
    /// The settings as the client wrote them.
    Own(Raw<'a>),
}

impl<'a> Thinking<'a> {
    /// Decides. `forced`: the model must call a tool, which is impossible after reasoning. `lacks_thinking`: the
    /// model's last turn called tools, and its reasoning, which a budget requires, is missing.
    pub fn decide(
        requested: &RequestedThinking<'a>,
        version: Version,
        forced: bool,
        lacks_thinking: bool,
        dropped: &mut Dropped,
    ) -> Result<Self, ApiError> {
        let limit = requested.limit.unwrap_or(requested.default_limit);
        let off = Thinking { limit, mode: ThinkingMode::Off, effort: None };
        if let Some(own) = requested.thinking {
            return Ok(Thinking { mode: ThinkingMode::Own(own), ..off });
        }
        let Some(effort) = requested.effort else {
            return Ok(off);
        };
        let Some(level) = effort.string().as_deref().and_then(EffortLevel::of) else {
            let message = "`reasoning_effort` must be one of: none, minimal, low, medium, high, xhigh, max.";
            return Err(invalid("reasoning_effort", message));
        };
        let Some(budget) = level.budget() else {
            return Ok(off);
        };
        if version.thinks_adaptively() {
            let mode = if forced { ThinkingMode::Off } else { ThinkingMode::Adaptive };
            return Ok(Thinking { mode, effort: level.effort(version), ..off });
        }
        if forced || lacks_thinking || !version.thinks() {
            dropped.add("reasoning_effort");
            return Ok(off);
        }
        match requested.limit {
            // the client's limit does not include the reasoning
            None => {
                Ok(Thinking { limit: limit.saturating_add(budget), mode: ThinkingMode::Budget(budget), effort: None })
            }
            Some(limit) if limit > LEAST_BUDGET => {
                Ok(Thinking { mode: ThinkingMode::Budget(budget.min(limit - 1)), ..off })
            }
            Some(_) => {
                dropped.add("reasoning_effort");
                Ok(off)
            }
        }
    }

    /// The answer's maximum number of tokens, including reasoning.
    pub fn output_limit(&self) -> u64 {
        self.limit
    }

    /// Whether the model reasons, so that it accepts no temperature.
    pub fn thinks(&self) -> bool {
        match self.mode {
            ThinkingMode::Off => false,
            ThinkingMode::Adaptive | ThinkingMode::Budget(_) => true,
            ThinkingMode::Own(thinking) => thinking.text("type").as_deref() != Some("disabled"),
        }
    }

    /// Writes `thinking`, and `output_config` with the fields from `format`.
    pub fn write(&self, out: &mut Writer, format: impl FnOnce(&mut Writer)) {
        match self.mode {
            ThinkingMode::Off => {}
            ThinkingMode::Adaptive => out.put_object("thinking", |out| out.put_string("type", "adaptive")),
            ThinkingMode::Budget(budget) => out.put_object("thinking", |out| {
                out.put_string("type", "enabled");
                out.put_number("budget_tokens", budget);
            }),
            ThinkingMode::Own(thinking) => out.put("thinking", thinking.json()),
        }
        let mut config = Writer::default();
        if let Some(effort) = self.effort {
            config.put_string("effort", effort);
        }
        format(&mut config);
        if !config.is_empty() {
            out.put_object("output_config", |out| out.raw(config.as_str()));
        }
    }
}

/// OpenAI's levels, and one more of Anthropic's.
enum EffortLevel {
    None,
    Minimal,
    Low,
    Medium,
    High,
    ExtraHigh,
    Max,
}

impl EffortLevel {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "none" => EffortLevel::None,
            "minimal" => EffortLevel::Minimal,
            "low" => EffortLevel::Low,
            "medium" => EffortLevel::Medium,
            "high" => EffortLevel::High,
            "xhigh" => EffortLevel::ExtraHigh,
            "max" => EffortLevel::Max,
            _ => return None,
        })
    }

    /// Tokens, with the same values as in LiteLLM and agentgateway.
    fn budget(&self) -> Option<u64> {
        match self {
            EffortLevel::None => None,
            EffortLevel::Minimal | EffortLevel::Low => Some(LEAST_BUDGET),
            EffortLevel::Medium => Some(2048),
            EffortLevel::High => Some(4096),
            EffortLevel::ExtraHigh => Some(8192),
            EffortLevel::Max => Some(16384),
        }
    }

    fn effort(&self, version: Version) -> Option<&'static str> {
        Some(match self {
            EffortLevel::None => return None,
            EffortLevel::Minimal | EffortLevel::Low => "low",
            EffortLevel::Medium => "medium",
            EffortLevel::High => "high",
            EffortLevel::ExtraHigh if version.knows_extra_high() => "xhigh",
            EffortLevel::ExtraHigh => "high",
            EffortLevel::Max => "max",
        })
    }
}
