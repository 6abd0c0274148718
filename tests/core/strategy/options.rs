use std::time::Duration;

use serde_json::{json, Value};
use sluice::config::{ConfigError, Node};
use sluice::routing::{self, by_name, AffinityBy, STRATEGIES};

use super::build;

/// Reads a strategy as the configuration of a model does.
fn read(value: &Value) -> Result<Box<dyn routing::Strategy>, ConfigError> {
    let node = Node::root("strategy", value);
    let factory = by_name(value["name"].as_str().unwrap()).unwrap();
    let known: Vec<&str> = ["name"].iter().chain(factory.options).copied().collect();
    (factory.build)(&node.object(&known)?, &[])
}

#[test]
fn defaults() {
    for factory in STRATEGIES {
        let strategy = build(factory.name, &[]);
        let written = read(&json!({"name": factory.name})).unwrap();
        let (wait, by) = match factory.name {
            "first_available" => (Some(Duration::from_secs(30)), None),
            "affinity" => (None, Some(AffinityBy::User)),
            _ => (None, None),
        };
        for strategy in [strategy, written] {
            assert_eq!((strategy.queue_timeout(), strategy.affinity()), (wait, by), "{}", factory.name);
        }
    }
}

#[test]
fn good() {
    let strategy = read(&json!({"name": "first_available", "queue_timeout": "500ms"})).unwrap();
    assert_eq!(strategy.queue_timeout(), Some(Duration::from_millis(500)));
    let cases = [
        (json!({"name": "affinity", "by": "user"}), AffinityBy::User),
        (json!({"name": "affinity", "by": "key", "prefix_bytes": null}), AffinityBy::Key),
        (json!({"name": "affinity", "by": "prompt"}), AffinityBy::Prompt { bytes: 512 }),
        (json!({"name": "affinity", "by": "prompt", "prefix_bytes": 16.0}), AffinityBy::Prompt { bytes: 16 }),
        (json!({"name": "affinity", "by": "prompt", "prefix_bytes": 4096}), AffinityBy::Prompt { bytes: 4096 }),
    ];
    for (value, want) in cases {
        assert_eq!(read(&value).unwrap().affinity(), Some(want), "{value}");
    }
}

#[test]
fn mistakes() {
    let cases = [
        (json!({"name": "random", "seed": 1}), "strategy.seed: no such field; there is name"),
        (
            json!({"name": "first_available", "timeout": "1s"}),
            "strategy.timeout: no such field; there is name, queue_timeout",
        ),
        (
            json!({"name": "first_available", "queue_timeout": 30}),
            "strategy.queue_timeout: must be a duration such as 500ms, 30s or 2m, but is a number",
        ),
        (
            json!({"name": "affinity", "by": "usr"}),
            "strategy.by: \"usr\" is none of its values; did you mean \"user\"?",
        ),
        (
            json!({"name": "affinity", "by": "prompt", "prefix_bytes": 15}),
            "strategy.prefix_bytes: 15 is not a whole number from 16 to 4096",
        ),
        (
            json!({"name": "affinity", "prefix_bytes": 64}),
            "strategy.prefix_bytes: has a meaning only with `by: prompt`; leave it out",
        ),
        (
            json!({"name": "affinity", "by": "key", "prefix_bytes": 64}),
            "strategy.prefix_bytes: has a meaning only with `by: prompt`; leave it out",
        ),
    ];
    for (value, want) in cases {
        assert_eq!(read(&value).map(drop).unwrap_err().to_string(), want, "{value}");
    }
}
