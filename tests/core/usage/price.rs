use sluice::usage::{Price, TokenUsage};

fn tokens(input: u64, cached_input: u64, output: u64) -> TokenUsage {
    TokenUsage { input, cached_input, output, ..TokenUsage::default() }
}

#[test]
fn costs() {
    const MAX: u64 = u64::MAX;
    let gpt = Price { cached_input: 1_250_000, ..Price::new(2_500_000, 10_000_000) };
    let free = Price::default();
    let highest = Price::new(MAX, MAX);
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
        ("more than can be", highest, tokens(MAX, 1, MAX), MAX),
    ];
    for (name, price, usage, want) in cases {
        assert_eq!(price.cost(&usage), want, "{name}");
    }
    let details = TokenUsage { reasoning_output: 90, audio_input: 50, audio_output: 5, ..tokens(1000, 400, 100) };
    assert_eq!(gpt.cost(&details), 3000, "details are counted within");
}

/// In dollars: other input costs 1, output 100.
#[test]
fn parts_have_their_own_prices() {
    const DOLLAR: u64 = 1_000_000_000_000;
    let price = Price {
        cached_input: 0,
        cache_write: 20 * DOLLAR,
        cache_write_1h: 300 * DOLLAR,
        audio_input: 4000 * DOLLAR,
        audio_output: 50_000 * DOLLAR,
        image_input: 600_000 * DOLLAR,
        image_output: 7_000_000 * DOLLAR,
        ..Price::new(DOLLAR, 100 * DOLLAR)
    };
    let cases = [
        // cached, written, of those for an hour, audio input, audio output, out of ten each; the cost
        ([0, 0, 0, 0, 0], 10 + 1000),
        ([4, 0, 0, 0, 0], 6 + 1000),
        ([0, 3, 0, 0, 0], 7 + 60 + 1000),
        ([0, 3, 3, 0, 0], 7 + 900 + 1000),
        ([0, 3, 1, 0, 0], 7 + 40 + 300 + 1000),
        ([4, 3, 1, 0, 0], 3 + 40 + 300 + 1000),
        ([0, 0, 0, 2, 3], 8 + 8000 + 700 + 150_000),
        ([4, 3, 1, 3, 10], 40 + 300 + 12_000 + 500_000),
        // parts that exceed the total: none is charged twice
        ([8, 8, 8, 8, 99], 600 + 500_000),
        ([99, 99, 99, 99, 0], 1000),
        ([0, 2, 99, 0, 0], 8 + 600 + 1000),
    ];
    for ([cached_input, cache_write_input, cache_write_1h_input, audio_input, audio_output], want) in cases {
        let usage = TokenUsage {
            cache_write_input,
            cache_write_1h_input,
            audio_input,
            audio_output,
            ..tokens(10, cached_input, 10)
        };
        assert_eq!(price.cost(&usage), want * 1_000_000, "{usage:?}");
    }
    let images = |image_input, image_output, usage| TokenUsage { image_input, image_output, ..usage };
    let sound = TokenUsage { audio_input: 3, audio_output: 4, ..tokens(10, 2, 10) };
    let cases = [
        (images(2, 3, tokens(10, 0, 10)), 8 + 1_200_000 + 700 + 21_000_000),
        (images(2, 3, sound), 3 + 12_000 + 1_200_000 + 300 + 200_000 + 21_000_000),
        (images(99, 99, sound), 12_000 + 5 * 600_000 + 200_000 + 42_000_000),
    ];
    for (usage, want) in cases {
        assert_eq!(price.cost(&usage), want * 1_000_000, "{usage:?}");
    }
}

/// Anthropic's price list, in thousandths of a dollar per million tokens: input, writes, writes for an hour.
#[test]
fn cache_writes_cost_more_by_default() {
    for (model, input, write, write_1h) in
        [("Sonnet", 3000, 3750, 6000), ("Opus", 15_000, 18_750, 30_000), ("Haiku", 800, 1000, 1600)]
    {
        let price = Price::new(input * 1000, 0);
        let written = TokenUsage { cache_write_input: 1_000_000, ..tokens(1_000_000, 0, 0) };
        assert_eq!(price.cost(&written), write * 1000, "{model}");
        let written = TokenUsage { cache_write_1h_input: 1_000_000, ..written };
        assert_eq!(price.cost(&written), write_1h * 1000, "{model}");
    }
    // reads cost 0.30, output 15
    let price = Price { cached_input: 300_000, ..Price::new(3_000_000, 15_000_000) };
    let usage = TokenUsage {
        cache_write_input: 2_000_000,
        cache_write_1h_input: 1_000_000,
        ..tokens(4_000_000, 1_000_000, 1_000_000)
    };
    assert_eq!(price.cost(&usage), 3_000_000 + 300_000 + 3_750_000 + 6_000_000 + 15_000_000);
}
