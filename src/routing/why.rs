//! Why a target was picked, for operators.

use crate::health::Probe;

/// Why a target was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The model's strategy picked it.
    Strategy,
    /// One request has to probe a cluster or model that returns to the pool.
    Probe,
    /// All others are out of the pool or were tried, and it returns soonest.
    AllOut,
    /// It stores the response that the request continues.
    Stored,
    /// The request was too long for the model before.
    ContextLength,
}

impl Why {
    /// The reason of an ordinary pick.
    pub(super) fn of(probe: Option<Probe>) -> Self {
        match probe {
            Some(_) => Why::Probe,
            None => Why::Strategy,
        }
    }

    /// Its name, where `strategy` is the model's.
    pub(super) fn label(self, strategy: &'static str) -> &'static str {
        match self {
            Why::Strategy => strategy,
            Why::Probe => "probe",
            Why::AllOut => "all_out",
            Why::Stored => "stored_response",
            Why::ContextLength => "context_length_fallback",
        }
    }
}
