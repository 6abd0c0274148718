//! The answer to an attempt that wishes to go on as WebSocket.

use sluice::health::Blame;
use sluice::outcome::Outcome;
use sluice::routing::Ending;

use super::running::{Handed, RunningAttempt};
use super::{Attempt, AttemptState};
use crate::types::Action;

impl Attempt {
    /// The server has answered the wish to go on as WebSocket. A refusal is tried at another target; the last one's is the
    /// client's.
    ///
    /// # Errors
    /// It has failed like any other attempt.
    #[cold]
    pub(super) fn upgraded(&mut self, sent: RunningAttempt, status: u16) -> Result<Action, Box<RunningAttempt>> {
        match Outcome::of_status(status) {
            _ if status == 101 => {
                sent.exchange.borrow_mut().answer(status, Some(Outcome::Success));
                self.state = AttemptState::Passing { sent, status, whole: true };
                Ok(Action::Continue)
            }
            Outcome::Success => Ok(sent.discard(Ending::answered(Outcome::BadResponse, status), None)),
            Outcome::ClientError => {
                let ending = Ending { blame: Blame::Nobody, ..Ending::answered(Outcome::TryAgain, status) };
                if sent.retry_elsewhere(ending) == Handed::ToClient {
                    sent.exchange.borrow_mut().answer(status, None);
                }
                Ok(Action::Continue)
            }
            _ => Err(Box::new(sent)),
        }
    }
}
