use sluice::label::Label;
use sluice::wire_names::stats;

#[test]
fn labels() {
    let long = "é".repeat(150);
    let cut = "_".repeat(100);
    let cases = [
        ("", ""),
        ("gpt-4o_2024.08/a@b+c", "gpt-4o_2024.08/a@b+c"),
        ("llama3:8b", "llama3_8b"),
        ("a;b=c", "a_b_c"),
        ("a\"b\\c\nd\0", "a_b_c_d_"),
        ("{x} 1", "_x__1"),
        ("modèle", "mod_le"),
        (long.as_str(), cut.as_str()),
    ];
    for (value, want) in cases {
        assert_eq!(Label(value).to_string(), want, "{value}");
    }
}

#[test]
fn no_value_can_add_a_label() {
    let name = stats::requests("k;status=200", "m;cluster=x", "c=\n", 404);
    assert_eq!(name, "llm_requests_total;key=k_status_200;model=m_cluster_x;cluster=c__;status=404");
    assert_eq!(stats::tokens("k", "m:1", "c", "input"), "llm_tokens_total;key=k;model=m_1;cluster=c;type=input");
    assert_eq!(stats::attempts("c", "timeout"), "llm_attempts_total;cluster=c;outcome=timeout");
    assert_eq!(stats::cost("k;", "m", "c"), "llm_cost_microusd_total;key=k_;model=m;cluster=c");
    let histogram = stats::histogram(stats::TIME_TO_FIRST_TOKEN, "m;", "c=");
    assert_eq!(histogram, "llm_time_to_first_token_ms;model=m_;cluster=c_");
    assert_eq!(stats::usage_source("missing"), "llm_usage_source_total;source=missing");
}
