//! LiteLLM's generic guardrail API, version beta: <https://docs.litellm.ai/docs/adding_provider/generic_guardrail_api>.
//!
//! A verdict is about all texts of a call together.

use serde::Deserialize;

use super::changes::{changes, MAX_STEPS};
use super::moderations::write_texts;
use super::{parse, Failure, Reading};

/// The category of a text that the service blocks. It gives a reason as well, which is not used: it may quote the text.
pub const BLOCKED: &str = "blocked";

#[derive(Deserialize)]
struct Verdict {
    action: Action,
    #[serde(default)]
    texts: Option<Vec<String>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Action {
    Blocked,
    None,
    GuardrailIntervened,
}

/// `phase`: `request` or `response`; `params`: a JSON object. The fields without a value are those that LiteLLM writes as
/// well.
pub(super) fn body(phase: &str, params: &str, texts: &[&str]) -> String {
    let mut out = format!(r#"{{"input_type":"{phase}","texts":"#);
    write_texts(&mut out, texts);
    out.push_str(
        r#","request_data":{},"litellm_call_id":null,"litellm_trace_id":null,"structured_messages":null,"images":null,"tools":null,"tool_calls":null,"request_headers":null,"litellm_version":null,"additional_provider_specific_params":"#,
    );
    out.push_str(params);
    out.push_str(r#","model":null}"#);
    out
}

pub(super) fn read(texts: &[&str], body: &[u8]) -> Result<Vec<Reading>, Failure> {
    let verdict: Verdict = parse(body)?;
    // as LiteLLM does it, texts count with either action, and an empty list is none
    let changed = verdict.texts.filter(|changed| !changed.is_empty());
    match (verdict.action, changed) {
        (Action::Blocked, _) => Ok(vec![Reading::Flagged(BLOCKED.to_owned()); texts.len()]),
        (Action::None, None) => Ok(vec![Reading::Clean; texts.len()]),
        // it has changed something that it was not asked about
        (Action::GuardrailIntervened, None) => Err(Failure::Shape),
        (Action::None | Action::GuardrailIntervened, Some(changed)) if changed.len() != texts.len() => {
            Err(Failure::Shape)
        }
        (Action::None | Action::GuardrailIntervened, Some(changed)) => {
            let mut steps = MAX_STEPS;
            let changed = texts.iter().zip(&changed).map(|(text, changed)| changes(text, changed, &mut steps));
            Ok(changed.map(Reading::of).collect())
        }
    }
}
