use sluice::usage::{Price, TokenUsage};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn tokens(input: u64, cached_input: u64, output: u64) -> TokenUsage {
    TokenUsage { input, cached_input, output, ..TokenUsage::default() }
}

#[test]
fn costs() {
    const MAX: u64 = u64::MAX;
    let gpt = Price { input: 2_500_000, cached_input: 1_250_000, output: 10_000_000 };
    let free = Price::default();
    let dearest = Price { input: MAX, cached_input: MAX, output: MAX };
    let cases = [
        ("nothing", gpt, tokens(0, 0, 0), 0),
        ("input", gpt, tokens(1_000_000, 0, 0), 2_500_000),
        ("cached input is a part of it", gpt, tokens(1_000_000, 1_000_000, 0), 1_250_000),
        ("all", gpt, tokens(1000, 400, 100), 3000),
        ("more cached input than input", gpt, tokens(1000, 4000, 0), 1250),
        ("half is rounded up", gpt, tokens(1, 0, 0), 3),
        ("less than half is rounded down", gpt, tokens(1, 1, 0), 1),
        ("rounded once, not for each part", gpt, tokens(2, 1, 0), 4),
        ("for free", free, tokens(MAX, 7, MAX), 0),
        ("a price of a millionth", Price { output: 1, ..free }, tokens(0, 0, 499_999), 0),
        ("a price of a millionth, rounded up", Price { output: 1, ..free }, tokens(0, 0, 500_000), 1),
        ("exact beyond 64 bits", Price { output: 3_000_000, ..free }, tokens(0, 0, MAX / 3), MAX),
        ("more than can be", dearest, tokens(MAX, 1, MAX), MAX),
    ];
    for (name, price, usage, want) in cases {
        assert_eq!(price.cost(&usage), want, "{name}");
    }
    let details = TokenUsage {
        reasoning_output: 90,
        audio_input: 50,
        audio_output: 5,
        cache_write_input: 9,
        ..tokens(1000, 400, 100)
    };
    assert_eq!(gpt.cost(&details), 3000, "details are counted within");
}
