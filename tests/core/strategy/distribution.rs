//! A million picks for each strategy, as one worker would make them. To see the figures:
//! `cargo test --test core a_million_picks -- --nocapture`

use std::time::Duration;

use sluice::routing::{self, Member, Pick, PickInputs, TargetSet};

use super::build;

const PICKS: usize = 1_000_000;

/// One request arrives in each tick; the state it finds is the same in every run.
struct Scenario {
    strategy: &'static str,
    /// A description of the setup, for the table.
    setting: &'static str,
    /// Weight, tier and slots of the three targets.
    targets: [(u32, u32, u32); 3],
    /// The duration of each target's answer in ticks, at most [`LONGEST`].
    ticks: [usize; 3],
    /// Each target's expected share in percent; the rest waits.
    want: [f64; 3],
    /// The tolerance of a share in percentage points.
    tolerance: f64,
}

const LONGEST: usize = 128;

const SCENARIOS: &[Scenario] = &[
    Scenario {
        strategy: "weighted",
        setting: "weights 5, 3, 2",
        targets: [(5, 0, 1), (3, 0, 1), (2, 0, 1)],
        ticks: [1, 1, 1],
        want: [50.0, 30.0, 20.0],
        tolerance: 0.0,
    },
    Scenario {
        strategy: "least_used",
        setting: "the third is 4 times slower",
        targets: [(1, 0, 1), (1, 0, 1), (1, 0, 1)],
        ticks: [30, 30, 120],
        want: [400.0 / 9.0, 400.0 / 9.0, 100.0 / 9.0],
        tolerance: 1.0, // running attempts are integers
    },
    Scenario {
        strategy: "random",
        setting: "weights 5, 3, 2",
        targets: [(5, 0, 1), (3, 0, 1), (2, 0, 1)],
        ticks: [1, 1, 1],
        want: [50.0, 30.0, 20.0],
        tolerance: 0.2,
    },
    Scenario {
        strategy: "priority",
        setting: "tiers 0, 0, 1; tier 0 is out for a tenth",
        targets: [(3, 0, 1), (1, 0, 1), (1, 1, 1)],
        ticks: [1, 1, 1],
        want: [67.5, 22.5, 10.0],
        tolerance: 0.0,
    },
    Scenario {
        strategy: "dynamic_weighted",
        setting: "the second is 2, the third 100 times slower",
        targets: [(1, 0, 1), (1, 0, 1), (1, 0, 1)],
        ticks: [1, 2, 100],
        want: [100.0 / 1.52, 50.0 / 1.52, 2.0 / 1.52],
        tolerance: 0.01,
    },
    Scenario {
        strategy: "first_available",
        setting: "slots 2, 1, 1; each answer takes 5 ticks",
        targets: [(1, 0, 2), (1, 0, 1), (1, 0, 1)],
        ticks: [5, 5, 5],
        want: [40.0, 20.0, 20.0],
        tolerance: 0.0,
    },
    Scenario {
        strategy: "affinity",
        setting: "weights 5, 3, 2; as many users as picks",
        targets: [(5, 0, 1), (3, 0, 1), (2, 0, 1)],
        ticks: [1, 1, 1],
        want: [50.0, 30.0, 20.0],
        tolerance: 0.2,
    },
];

/// How often each target was picked, and how often a request waited.
fn run(scenario: &Scenario) -> [u32; 4] {
    let members: Vec<Member> = (0..)
        .zip(scenario.targets)
        .map(|(identity, (weight, tier, slots))| Member { weight, tier, slots, identity })
        .collect();
    let strategy: Box<dyn routing::Strategy> = build(scenario.strategy, &members);
    let mut counts = [0; 4];
    let mut in_flight = [0; 3];
    let mut recent = [3; LONGEST]; // the picks of the last ticks; 3: the request waited
    let mut random = 0x5eed_u64;
    for tick in 0..PICKS {
        for (target, ticks) in scenario.ticks.iter().enumerate() {
            let begun = recent[(tick + LONGEST - ticks) % LONGEST];
            in_flight[target] -= u64::from(begun == target);
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407); // Knuth's MMIX
        let mut allowed = TargetSet::first(3);
        if (PICKS * 4 / 10..PICKS * 5 / 10).contains(&tick) && scenario.strategy == "priority" {
            allowed = TargetSet::from_iter([2]);
        }
        let load = |target: usize| in_flight[target];
        let picked = match strategy.pick(&PickInputs {
            allowed,
            first: true,
            in_flight: &load,
            random,
            affinity: tick as u64,
        }) {
            Pick::Target(target) => target,
            Pick::Full => 3,
            Pick::None => panic!("{}: none", scenario.strategy),
        };
        counts[picked] += 1;
        recent[tick % LONGEST] = picked;
        if let Some(ticks) = scenario.ticks.get(picked) {
            in_flight[picked] += 1;
            strategy.learn(picked, Duration::from_millis(*ticks as u64));
        }
    }
    counts
}

#[test]
fn a_million_picks() {
    println!("{:17} {:>26} {:>26} {:>26} {:>8}  setting", "strategy", "target 0", "target 1", "target 2", "waited");
    for scenario in SCENARIOS {
        let counts = run(scenario);
        assert_eq!(counts.iter().sum::<u32>(), PICKS as u32);
        let share = |target: usize| f64::from(counts[target]) * 100.0 / PICKS as f64;
        print!("{:17}", scenario.strategy);
        for (target, want) in scenario.want.iter().enumerate() {
            print!(" {:7} {:7.3} % ({want:6.3})", counts[target], share(target));
        }
        println!(" {:8}  {}", counts[3], scenario.setting);
        for (target, want) in scenario.want.iter().enumerate() {
            assert!((share(target) - want).abs() <= scenario.tolerance, "{}: target {target}", scenario.strategy);
        }
    }
}
