//! Limits of labels and months, and warnings.

use std::time::Duration;

use serde_json::{json, Value};

use super::envoy::{chat, completion, configuration, Envoy};
use super::requests::metric;
use super::{host, in_new_vm, Answer};

/// A gateway with limits of the label that the key has, and of others.
fn with_team(limits: Value) -> Envoy {
    let mut configuration = configuration();
    configuration["auth"]["keys"][0]["labels"] = json!({"team": "a", "stage": "test"});
    configuration["auth"]["label_limits"] = json!([
        {"label": "team", "value": "b", "limits": {"requests_per_day": 1}},
        {"label": "team", "value": "a", "limits": limits},
        {"label": "stage", "value": "a", "limits": {"requests_per_day": 1}},
    ]);
    Envoy::start("auth+router+usage", &configuration).unwrap()
}

fn ask(envoy: &Envoy) -> Answer {
    envoy.chat(&chat("hello", false), |_| (200, completion("hi")))
}

fn told(part: &str) -> usize {
    host(|host| host.log.iter().filter(|line| line.contains(part)).count())
}

#[test]
fn a_labels_month_warns_refuses_and_ends() {
    in_new_vm(|| {
        let envoy = with_team(json!({"requests_per_month": 3, "warn_at": 60}));
        let cases = [
            (200, None),
            (200, Some("label:team requests_per_month 66%")),
            (200, Some("label:team requests_per_month 100%")),
        ];
        for (status, warning) in cases {
            let answer = ask(&envoy);
            assert_eq!(
                (answer.status, answer.header("x-sluice-limit-warning")),
                (status, warning),
                "{}",
                answer.told()
            );
        }
        let refused = ask(&envoy);
        assert_eq!(refused.status, 429, "{}", refused.told());
        assert!(refused.text().contains("the label `team=a` on requests per month"), "{}", refused.text());
        // January 15th, 08:00
        assert_eq!(refused.header("retry-after"), Some("1440000"));
        assert_eq!(refused.header("x-sluice-limit-warning"), Some("label:team requests_per_month 100%"));
        assert_eq!(told("label:team \"a\" has used 66% of requests_per_month"), 1);
        assert_eq!(told("limits: label:team"), 1, "once in the month");
        assert_eq!(metric("llm_limit_warnings_total;label=team/a;type=requests_per_month"), 1);
        host(|host| host.now += Duration::from_secs(1_440_000));
        let answer = ask(&envoy);
        assert_eq!((answer.status, answer.header("x-sluice-limit-warning")), (200, None), "{}", answer.told());
    });
}

#[test]
fn a_label_without_warn_at_says_nothing() {
    in_new_vm(|| {
        let envoy = with_team(json!({"requests_per_day": 2}));
        let answers: Vec<_> = (0..4).map(|_| ask(&envoy)).collect();
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 429, 429]);
        assert!(answers.iter().all(|answer| answer.header("x-sluice-limit-warning").is_none()));
        assert_eq!((told("limits:"), metric("llm_limit_warnings_total")), (0, 0));
    });
}
