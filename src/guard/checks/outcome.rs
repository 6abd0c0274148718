//! The checks' verdicts, and the combined outcome.

use std::sync::Arc;
use std::time::Duration;

use super::check::CheckPhase;
use crate::error::{ApiError, ErrorKind};
use crate::guard::api::{Failure, Reading};
use crate::guard::Finding;
use crate::order::by_number;

/// How a finding is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewriteMode {
    /// Its entity's name replaces it permanently.
    Mask,
    /// Its entity's name with a number replaces it until the answer.
    Restore,
}

/// One check's verdict on all of its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// No findings.
    Pass,
    /// A finding to flag.
    Flag {
        /// The category.
        category: String,
    },
    /// A finding that must not pass.
    Block {
        /// The category.
        category: String,
    },
    /// A finding to rewrite.
    Rewrite(RewriteMode),
    /// A finding that cannot be rewritten.
    Unrewritable {
        /// The category.
        category: String,
        /// Whether nothing passes then.
        blocks: bool,
    },
    /// It failed.
    Failed {
        /// The reason.
        failure: Failure,
        /// Whether everything passes anyway.
        allowed: bool,
    },
}

impl CheckVerdict {
    /// The `verdict` label of `llm_guard_total`.
    pub fn label(&self, dry_run: bool) -> &'static str {
        match (self, dry_run) {
            (CheckVerdict::Pass, _) => "pass",
            (CheckVerdict::Flag { .. }, false) => "flag",
            (CheckVerdict::Flag { .. }, true) => "would_flag",
            (CheckVerdict::Block { .. }, false) => "block",
            (CheckVerdict::Block { .. }, true) => "would_block",
            (CheckVerdict::Rewrite(RewriteMode::Mask), false) => "mask",
            (CheckVerdict::Rewrite(RewriteMode::Mask), true) => "would_mask",
            (CheckVerdict::Rewrite(RewriteMode::Restore), false) => "restore",
            (CheckVerdict::Rewrite(RewriteMode::Restore), true) => "would_restore",
            (CheckVerdict::Unrewritable { blocks: false, .. }, false) => "unrewritable_allow",
            (CheckVerdict::Unrewritable { blocks: false, .. }, true) => "would_unrewritable_allow",
            (CheckVerdict::Unrewritable { blocks: true, .. }, false) => "unrewritable_block",
            (CheckVerdict::Unrewritable { blocks: true, .. }, true) => "would_unrewritable_block",
            (CheckVerdict::Failed { failure, .. }, _) => failure.label(),
        }
    }
}

/// A finding that passes, and is flagged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The check's name.
    pub check: String,
    /// The category.
    pub category: String,
}

/// Flags in the format of the header `x-sluice-guard`, separated by commas.
impl std::fmt::Display for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.check, self.category)
    }
}

/// What one check has found in a text, to be rewritten.
#[derive(Clone, Debug, PartialEq)]
pub struct PassageRewrite {
    findings: Arc<Vec<Finding>>,
    mode: RewriteMode,
}

impl PassageRewrite {
    /// All of it is rewritten in this way.
    pub fn new(mut findings: Vec<Finding>, mode: RewriteMode) -> Self {
        by_number(&mut findings, |finding| finding.span.start);
        PassageRewrite { findings: Arc::new(findings), mode }
    }

    /// What a reading has found; it is in order, and there may be very much of it.
    pub(super) fn of(reading: &Reading, mode: RewriteMode) -> Option<Self> {
        match reading {
            Reading::Found(findings) => Some(PassageRewrite { findings: Arc::clone(findings), mode }),
            Reading::Clean | Reading::Flagged(_) => None,
        }
    }

    /// What, and where, by where it begins.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How.
    pub fn mode(&self) -> RewriteMode {
        self.mode
    }
}

/// Why nothing passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckRefusal {
    /// A check has a finding.
    Content {
        /// The check's name.
        check: String,
        /// The category.
        category: String,
    },
    /// A check failed, and nothing may pass without it.
    Unavailable {
        /// The check's name.
        check: String,
        /// The reason.
        failure: Failure,
    },
}

impl CheckRefusal {
    /// The check's finding; `None` if it failed.
    pub fn found(&self) -> Option<Flag> {
        match self {
            CheckRefusal::Content { check, category } => {
                Some(Flag { check: check.clone(), category: category.clone() })
            }
            CheckRefusal::Unavailable { .. } => None,
        }
    }

    /// The answer to the client. It never quotes a text.
    ///
    /// - `param`: the request's field that holds the texts.
    ///
    /// ```
    /// use sluice::guard::checks::{CheckPhase, CheckRefusal};
    ///
    /// let refusal = CheckRefusal::Content { check: "toxicity".into(), category: "harassment".into() };
    /// let error = refusal.error(CheckPhase::Request, Some("messages"));
    /// assert_eq!((error.status, error.code), (400, "content_filter"));
    /// assert_eq!(error.message, "The request was blocked by the check `toxicity`: harassment.");
    /// ```
    pub fn error(&self, phase: CheckPhase, param: Option<&'static str>) -> ApiError {
        match self {
            CheckRefusal::Content { check, category } => {
                let what = phase.name();
                let message = format!("The {what} was blocked by the check `{check}`: {category}.");
                ApiError::bad_request("content_filter", param, message)
            }
            CheckRefusal::Unavailable { check, failure: Failure::TooLarge } if phase == CheckPhase::Request => {
                let message = format!("The request has more text than the check `{check}` takes; shorten it.");
                ApiError { status: 413, ..ApiError::bad_request("guard_text_too_large", param, message) }
            }
            CheckRefusal::Unavailable { check, failure } => ApiError {
                status: 503,
                kind: ErrorKind::Server,
                message: format!("The check `{check}` could not be made; try again later."),
                param: None,
                code: "guard_unavailable",
                allow: None,
                retry_after: (*failure == Failure::Busy).then_some(Duration::from_secs(1)),
            },
        }
    }
}

/// The effect on the texts.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckOutcome {
    /// They pass.
    Pass,
    /// They pass, flagged.
    Flagged(Vec<Flag>),
    /// They pass, rewritten.
    Rewrite {
        /// The rewrites, for every passage of the run; findings of several checks may overlap.
        passages: Vec<Vec<PassageRewrite>>,
        /// Further flags.
        flags: Vec<Flag>,
    },
    /// None of them passes.
    Refuse(CheckRefusal),
}
