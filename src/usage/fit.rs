//! Interprets the reported counts. Servers disagree on what a count includes, but their totals show it: parts and
//! totals are checked against each other, and the reading that fits is used.

use super::counts::Counts;
use super::format::Format;
use super::TokenUsage;

/// A larger count is a mistake, and does not affect other counts.
const PLAUSIBLE: u64 = 1 << 32;

/// One interpretation of the counts: all input, all output.
type Whole = (u64, u64);

impl Counts {
    /// Whether any input or output was reported; details alone are not a report.
    pub(super) fn is_reported(&self) -> bool {
        self.named || self.timed != [0; 3] || self.listed && self.total > 0
    }

    /// The tokens, by the inclusive contract. A detail is part of its total. A larger detail is cut to the total,
    /// unless it shows that the total excludes it.
    pub(super) fn tokens(&self, format: Format) -> TokenUsage {
        let [timed_prompt, timed_cached, timed_output] = self.timed;
        let (input, output) = match (self.named, self.listed) {
            (true, _) => self.whole(format),
            (false, true) => (self.total, 0),
            (false, false) => (timed_prompt.saturating_add(timed_cached), timed_output),
        };
        let cache_write_input = first(&[self.cache_write, self.creation()]).min(input);
        TokenUsage {
            input,
            output,
            cached_input: first(&[self.cached, self.cache_read, timed_cached]).min(input),
            cache_write_input,
            cache_write_1h_input: self.cache_1h.min(cache_write_input),
            reasoning_output: first(&[self.reasoning, self.thoughts, self.hidden(output)]).min(output),
            audio_input: self.audio_input.min(input),
            audio_output: self.audio_output.min(output),
            image_input: self.image_input.min(input),
            image_output: self.image_output.min(output),
        }
    }

    /// All input and all output.
    fn whole(&self, format: Format) -> Whole {
        let (input, output) = match self.beside {
            true => self.plain(format), // some totals exclude cached tokens, some include them
            false => self.fitting(format).unwrap_or_else(|| self.completed(self.plain(format))),
        };
        // more reasoning than output: it is separate, and so is the input read for it
        let reasoning = if output < self.reasoning && self.reasoning < PLAUSIBLE { self.reasoning } else { 0 };
        let beside = self.citations < PLAUSIBLE && (reasoning > 0 || self.citations > input);
        let citations = if beside { self.citations } else { 0 };
        (input.saturating_add(citations), output.saturating_add(reasoning))
    }

    /// The first interpretation that matches the total.
    fn fitting(&self, format: Format) -> Option<Whole> {
        let all_input = self.all_input();
        let (read, created) = (self.cache_read, self.creation());
        let beside = all_input.saturating_add(read).saturating_add(created);
        let cached = all_input.saturating_add(first(&[self.cached, read]));
        let cached_and_written = cached.saturating_add(first(&[self.cache_write, created]));
        let tools = |input: u64| input.saturating_add(self.tool_prompt);
        let (plain, plain_output) = self.plain(format);
        let inputs = [
            plain,
            all_input,
            tools(all_input),
            beside,
            tools(beside),
            cached,
            cached_and_written,
            all_input.saturating_add(self.citations),
        ];
        let outputs = [
            plain_output,
            self.all_output(),
            self.all_output().saturating_add(self.thoughts),
            self.all_output().saturating_add(self.reasoning),
        ];
        let fits = |whole: &Whole| self.total > 0 && whole.0.saturating_add(whole.1) == self.total;
        inputs.into_iter().flat_map(|input| outputs.map(|output| (input, output))).find(fits)
    }

    /// By the fields' documentation.
    fn plain(&self, format: Format) -> Whole {
        let input = match (self.prompt > 0 || self.cache_miss > 0, format) {
            (true, _) | (false, Format::OpenAi) => self.all_input(),
            (false, Format::Auto | Format::Anthropic | Format::Ollama | Format::Gemini | Format::Converse) => {
                self.input.saturating_add(self.creation()).saturating_add(self.cache_read)
            }
        };
        (input.saturating_add(self.tool_prompt), self.all_output().saturating_add(self.thoughts))
    }

    /// The part of the total that no count has: unnamed output, reasoning that a server hides (Gemini's OpenAI
    /// endpoint), or the input.
    fn completed(&self, (input, output): Whole) -> Whole {
        let rest = self.total.checked_sub(input.saturating_add(output)).filter(|rest| *rest < PLAUSIBLE);
        let Some(rest) = rest else {
            return (input, output);
        };
        match (input, output) {
            (0, 1..) => (rest, output),
            (0, 0) => (0, 0), // the division is unknown
            // Gemini's own fields include the thoughts, so the rest of the total is not output
            (_, 1..) if self.thoughts > 0 || self.prompt == 0 => (input, output),
            (_, _) => (input, output.saturating_add(rest)),
        }
    }

    /// Reasoning that only the total includes.
    fn hidden(&self, output: u64) -> u64 {
        let counted = self.all_output();
        if counted == 0 {
            return 0;
        }
        output.saturating_sub(counted)
    }

    fn all_input(&self) -> u64 {
        match (self.prompt, self.cache_miss) {
            (0, 0) => self.input,
            (0, miss) => miss.saturating_add(self.cached),
            (prompt, _) => prompt,
        }
    }

    fn all_output(&self) -> u64 {
        first(&[self.completion, self.output])
    }

    /// Anthropic's cache writes. Writes that are part of the input are summed separately.
    fn creation(&self) -> u64 {
        match (self.cache_creation, self.cache_write) {
            (0, 0) => self.cache_5m.saturating_add(self.cache_1h),
            (creation, _) => creation,
        }
    }
}

/// The first nonzero count.
fn first(counts: &[u64]) -> u64 {
    counts.iter().copied().find(|count| *count > 0).unwrap_or(0)
}
