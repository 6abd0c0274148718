mod answers;
mod corpus;
mod counting;
mod details;
mod estimate;
mod events;
mod interruption;
mod limits;
pub mod meter;
mod no_reports;
mod price;
mod reading;
mod shapes;
pub mod transcripts;

use sluice::usage::TokenUsage;

/// Input, output, then the details: cached, cache write, reasoning, audio input, audio output.
const fn tokens(input: u64, output: u64, details: [u64; 5]) -> TokenUsage {
    let [cached_input, cache_write_input, reasoning_output, audio_input, audio_output] = details;
    TokenUsage {
        input,
        output,
        cached_input,
        cache_write_input,
        cache_write_1h_input: 0,
        reasoning_output,
        audio_input,
        audio_output,
        image_input: 0,
        image_output: 0,
    }
}
