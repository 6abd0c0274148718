//! What a meter says of the answer that has passed: its usage, whether it was whole, and what is to follow it if not.

use super::Meter;
use crate::endpoint::Endpoint;
use crate::usage::events::Framing;
use crate::usage::interruption::interruption;
use crate::usage::state::State;
use crate::usage::{Source, TokenUsage};

impl Meter {
    /// What was reported, and how far it can be relied on. The answer may have been cut at any point.
    pub fn finish(&self) -> (TokenUsage, Source) {
        let source = match (self.state, self.reading.is_reported()) {
            (State::Settled | State::Complete, true) => Source::Reported,
            (State::Settled | State::Complete, false) => Source::Missing,
            (State::Ended, true) if self.says_all() => Source::Reported,
            (State::Open | State::Interrupted | State::Ended | State::Failed | State::Beyond, _) => Source::Partial,
        };
        let mut reading = self.reading;
        if self.framing == Framing::Json && !self.kept().is_empty() {
            reading.read(self.kept()); // it was reset: of Gemini's array, the answers that came whole are known
        }
        (reading.tokens(), source)
    }

    /// How many bytes of text were generated, for an estimate where nothing was reported. `None` if the answer is an
    /// error, and no answer.
    ///
    /// ```
    /// use sluice::usage::{Framing, Meter, Source};
    ///
    /// let mut meter = Meter::new(Framing::Sse, false);
    /// meter.chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: [DONE]\n\n", true);
    /// assert_eq!((meter.finish().1, meter.generated()), (Source::Missing, Some(5)));
    /// ```
    pub fn generated(&self) -> Option<u64> {
        (!self.refused).then_some(self.generated.bytes())
    }

    /// About how many tokens of text the answer has that its server has not reported. `None` if it is an error, and no
    /// answer.
    pub fn unreported(&self) -> Option<u64> {
        let mut generated = self.generated;
        if self.framing == Framing::Json && self.state != State::Complete {
            match &self.digest {
                Some(digest) => generated.add(digest.texts()),
                None => generated.read(&self.held),
            }
            return Some(generated.unreported().saturating_sub(self.finish().0.output));
        }
        if let Some(digest) = self.large.as_ref().and_then(|large| large.data()) {
            generated.add(digest.texts());
        }
        let nothing = self.refused || self.state == State::Failed && generated.bytes() == 0;
        (!nothing).then(|| generated.unreported())
    }

    /// Whether the stream has ended without its terminal event, which a client may take for a short answer.
    /// Known after the last chunk; a stream that was reset never has one. Not so if it reported an error, went
    /// beyond the limits, or every choice had said why it ended: some servers never send `[DONE]`. Means
    /// nothing for bytes that came compressed.
    pub fn is_interrupted(&self) -> bool {
        self.state == State::Interrupted
    }

    /// Takes a stream that is [interrupted](Meter::is_interrupted) for a whole one, since its server never says that an
    /// answer is complete. Not so where it stops in the midst of an event. What such a server has not reported of its
    /// usage by the end is not known.
    ///
    /// ```
    /// use sluice::usage::{Framing, Meter, Source};
    ///
    /// let mut meter = Meter::new(Framing::Sse, false);
    /// meter.chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n", true);
    /// meter.take_for_whole();
    /// assert!(meter.is_whole() && !meter.is_interrupted());
    /// assert_eq!(meter.finish().1, Source::Partial);
    /// ```
    pub fn take_for_whole(&mut self) {
        if self.state == State::Interrupted && !self.broken_off {
            self.state = State::Ended;
        }
    }

    /// Whether the stream has said that it is complete. Known after the last chunk.
    pub fn says_its_end(&self) -> bool {
        self.state == State::Complete && self.framing != Framing::Json
    }

    /// Whether nothing that was generated is missing from what was reported.
    fn says_all(&self) -> bool {
        self.reading.says_all() && self.generated.unreported() == 0
    }

    /// Whether nothing shows that the answer is less than it should be. Known after the last chunk.
    pub fn is_whole(&self) -> bool {
        !matches!(self.state, State::Interrupted | State::Failed)
    }

    /// What is to follow the last bytes of an interrupted stream, so that the client sees an error;
    /// `None` for any other stream.
    ///
    /// ```
    /// use sluice::endpoint::Endpoint;
    /// use sluice::usage::{interruption, Framing, Meter};
    ///
    /// let mut meter = Meter::new(Framing::Sse, false);
    /// meter.chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n", true);
    /// assert!(meter.is_interrupted());
    /// let appended = meter.interruption(Endpoint::ChatCompletions);
    /// assert_eq!(appended.as_deref(), Some(interruption(Endpoint::ChatCompletions)));
    /// ```
    pub fn interruption(&self, endpoint: Endpoint) -> Option<Vec<u8>> {
        let separator: &[u8] = match (self.framing, self.within_event) {
            (Framing::Sse, true) => b"\n\n",
            (Framing::Ndjson, true) => b"\n",
            (_, false) | (Framing::Json | Framing::EventStream, true) => b"",
        };
        self.is_interrupted().then(|| [separator, interruption(endpoint)].concat())
    }

    /// Whether a JSON answer has come whole, reports no error, and has choices: then nobody need read it again to tell
    /// whether it answers a request for a chat.
    ///
    /// ```
    /// use sluice::usage::{Framing, Meter};
    ///
    /// let answers = |text: &[u8]| {
    ///     let mut meter = Meter::new(Framing::Json, false);
    ///     meter.chunk(text, true);
    ///     meter.has_good_choices()
    /// };
    /// assert!(answers(b"{\"choices\":[{\"message\":{}}],\"error\":null}"));
    /// assert!(!answers(b"{\"choices\":[{\"error\":{\"code\":502}}]}"));
    /// assert!(!answers(b"{\"choices\":[{}]"));
    /// ```
    pub fn has_good_choices(&self) -> bool {
        self.state == State::Complete && !self.refused && self.reading.has_good_choices()
    }

    /// Whether it is an answer, as far as that was to be judged and could be. Known after the last chunk.
    ///
    /// ```
    /// use sluice::endpoint::Endpoint;
    /// use sluice::usage::{Framing, Meter};
    ///
    /// let judge = |_: Endpoint, text: &[u8]| text.starts_with(b"{");
    /// let mut meter = Meter::new(Framing::Json, false).judged(Endpoint::ChatCompletions, judge);
    /// meter.chunk(b"<html>", false);
    /// meter.chunk(b"</html>", true);
    /// assert_eq!(meter.is_answer(), Some(false));
    /// ```
    pub fn is_answer(&self) -> Option<bool> {
        self.judge?;
        match self.framing {
            Framing::Json => self.is_answer,
            Framing::Sse | Framing::Ndjson | Framing::EventStream => {
                (self.state != State::Beyond).then_some(self.state == State::Complete)
            }
        }
    }
}
