//! See translation.rs.

#![no_main]

#[path = "../translation.rs"]
mod translation;

use libfuzzer_sys::fuzz_target;
use sluice::translate::Pair;

fuzz_target!(|input: (u8, u8, &[u8])| translation::translates(Pair::EmbeddingsToGemini, input));
