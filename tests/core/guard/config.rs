use std::time::Duration;

use proptest::prelude::*;
use sluice::config::{self, ConfigError};
use sluice::guard::api::{Api, Moderations, Presidio, Thresholds};
use sluice::guard::checks::{
    Action, Backend, CacheLimits, CheckPhase, CheckSubject, Custom, Guard, LocalPatterns, OnFailure, StreamMode,
    StreamPolicy,
};
use sluice::guard::Speaker::{self, Assistant, System, Tool, User};
use sluice::wire_names::stats;

use super::{guard, one};

fn read(text: &str) -> Result<Guard, ConfigError> {
    let environment = |name: &str| match name {
        "KEY" => Some("sk-secret".to_owned()),
        "BROKEN" => Some("sk-\n".to_owned()),
        _ => None,
    };
    config::guard(text.as_bytes(), &environment)
}

#[test]
fn nothing() {
    for text in ["", "{}", r#"{"checks":[]}"#, r#"{"stream":null,"cache":{},"stream":{}}"#] {
        let found = guard(text);
        assert!(found.checks.is_empty(), "{text}");
        assert_eq!((found.stream, found.cache), (StreamPolicy::default(), CacheLimits::default()), "{text}");
        assert_eq!((found.max_in_flight, found.max_text), (100, 262_144), "{text}");
    }
}

#[test]
fn everything() {
    let found = guard(
        r#"{
        "checks": [
            {"name":"toxicity","api":"openai_moderations","cluster":"tox","path":"/m","authority":"tox.example.com",
             "credential":{"env":"KEY"},"model":"omni","phase":["request","response"],
             "roles":["system","user","assistant","tool"],"models":["gpt-*"],"keys":["team-*","bob"],"timeout":"30s",
             "on_failure":"allow","action":"flag","thresholds":{"hate":0.5,"self-harm/intent":"0.25"},"dry_run":true},
            {"name":"pii","api":"presidio","cluster":"presidio","phase":["request"],"on_failure":"deny",
             "action":"restore","entities":["EMAIL_ADDRESS"],"language":"de","score_threshold":"0.4"},
            {"name":"local","api":"patterns","phase":["request"],"action":"mask","entities":["IBAN_CODE"],
             "custom":[{"name":"TICKET","regex":"T-[0-9]+"}]},
            {"name":"llama","api":"chat_classifier","cluster":"vllm","model":"guard-3","phase":["response"],
             "on_failure":"deny","action":"block"}
        ],
        "stream": {"mode":"window","characters":50,"time":"100ms","overlap":20},
        "cache": {"time":"5m","entries":7},
        "max_in_flight": 3,
        "max_text": "1MiB"
    }"#,
    );
    let [toxicity, pii, local, llama] = found.checks.as_slice() else { panic!("{found:?}") };
    let each = vec![("hate".to_owned(), 0.5), ("self-harm/intent".to_owned(), 0.25)];
    let Backend::Service(api, service) = &toxicity.backend else { panic!("{toxicity:?}") };
    let want = Moderations { model: Some("omni".into()), thresholds: Thresholds::Each(each) };
    assert_eq!(*api, Api::Moderations(want));
    assert_eq!(
        (service.cluster.as_str(), service.path.as_str(), service.authority.as_str(), service.timeout),
        ("tox", "/m", "tox.example.com", Duration::from_secs(30))
    );
    assert_eq!(service.key.as_ref().unwrap().expose(), "sk-secret");
    assert_eq!(toxicity.phases, [CheckPhase::Request, CheckPhase::Response]);
    assert_eq!(toxicity.speakers.as_deref(), Some(&[System, User, Assistant, Tool][..]));
    assert_eq!((toxicity.on_failure, toxicity.action, toxicity.dry_run), (OnFailure::Allow, Action::Flag, true));
    let Backend::Service(api, service) = &pii.backend else { panic!("{pii:?}") };
    let want = Presidio { language: "de".into(), entities: vec!["EMAIL_ADDRESS".into()], score_threshold: Some(0.4) };
    assert_eq!(*api, Api::Presidio(want));
    assert_eq!(
        (service.path.as_str(), service.authority.as_str(), service.timeout),
        ("/analyze", "presidio", Duration::from_secs(1))
    );
    assert!(service.key.is_none() && pii.speakers.is_none() && !pii.dry_run);
    assert_eq!((pii.on_failure, pii.action), (OnFailure::Deny, Action::Restore));
    let Backend::Patterns(patterns) = &local.backend else { panic!("{local:?}") };
    let custom = vec![Custom { name: "TICKET".into(), regex: "T-[0-9]+".into() }];
    assert_eq!(*patterns, LocalPatterns { entities: vec!["IBAN_CODE".into()], custom });
    assert_eq!((local.on_failure, local.action), (OnFailure::Deny, Action::Mask));
    assert!(matches!(&llama.backend, Backend::Service(Api::ChatClassifier(model), _) if model == "guard-3"));
    let time = Duration::from_millis(100);
    assert_eq!(found.stream, StreamPolicy { mode: StreamMode::Window, characters: 50, time, overlap: 20 });
    assert_eq!(found.cache, CacheLimits { time: Duration::from_secs(300), entries: 7 });
    assert_eq!((found.max_in_flight, found.max_text), (3, 1 << 20));
    assert!(!format!("{found:?}").contains("sk-secret"));
}

#[test]
fn thresholds() {
    let cases = [
        ("0.5", Thresholds::All(0.5)),
        ("\"0.5\"", Thresholds::All(0.5)),
        ("0", Thresholds::All(0.0)),
        ("\"1e0\"", Thresholds::All(1.0)),
        ("null", Thresholds::Service),
        (r#"{"a":"1"}"#, Thresholds::Each(vec![("a".into(), 1.0)])),
    ];
    for (text, want) in cases {
        let fields = r#""api":"openai_moderations","cluster":"c","on_failure":"deny","action":"block""#;
        let found = one(&format!(r#"{fields},"thresholds":{text}"#));
        let Backend::Service(Api::Moderations(moderations), _) = &found.checks[0].backend else { panic!("{text}") };
        assert_eq!(moderations.thresholds, want, "{text}");
    }
}

#[test]
fn sizes() {
    let cases = [("1024", 1024), ("\"1024B\"", 1024), ("\"2KiB\"", 2048), ("\"16MiB\"", 16 << 20)];
    for (text, want) in cases {
        assert_eq!(guard(&format!(r#"{{"max_text":{text}}}"#)).max_text, want, "{text}");
    }
}

#[test]
fn which_checks_apply() {
    let found = one(r#""api":"patterns","action":"mask","models":["gpt-*","m"],"keys":["team-*"]"#);
    let check = &found.checks[0];
    let cases = [
        (CheckPhase::Request, "gpt-4o", "team-a", true),
        (CheckPhase::Request, "m", "team-", true),
        (CheckPhase::Request, "m2", "team-a", false),
        (CheckPhase::Request, "m", "bob", false),
        (CheckPhase::Response, "m", "team-a", false),
    ];
    for (phase, model, key, want) in cases {
        assert_eq!(check.applies(&CheckSubject { phase, model, key }), want, "{phase:?} {model} {key}");
    }
    let hears = |check: &sluice::guard::checks::Check, phase| -> Vec<Speaker> {
        [System, User, Assistant, Tool].into_iter().filter(|speaker| check.hears(phase, *speaker)).collect()
    };
    assert_eq!(
        hears(check, CheckPhase::Request),
        [System, User, Assistant, Tool],
        "what is hidden is hidden everywhere"
    );
    assert_eq!(hears(check, CheckPhase::Response), [Assistant]);
    let all = one(r#""api":"patterns","action":"mask","roles":["system","assistant"]"#);
    assert_eq!(hears(&all.checks[0], CheckPhase::Request), [System, Assistant]);
    let blocks = one(r#""api":"patterns","action":"block""#);
    assert_eq!(hears(&blocks.checks[0], CheckPhase::Request), [User, Tool]);
}

/// Valid fields of a check.
const SERVICE: &str = r#""name":"x","cluster":"c","phase":["request"],"on_failure":"deny","action":"block""#;

#[test]
fn mistakes() {
    let cases = [
        (r#"[]"#, "guard: must be an object, but is a list"),
        (r#"{"check":[]}"#, "guard.check: no such field; did you mean \"checks\"?"),
        (r#"{"checks":{}}"#, "guard.checks: must be a list, but is an object"),
        (r#"{"checks":[1]}"#, "guard.checks[0]: must be an object, but is a number"),
        (r#"{"checks":[{"name":"x"}]}"#, "guard.checks[0].api: missing"),
        (
            r#"{"checks":[{"api":"presido"}]}"#,
            "guard.checks[0].api: \"presido\" is none of its values; did you mean \"presidio\"?",
        ),
        (r#"{"max_in_flight":0}"#, "guard.max_in_flight: 0 is not a whole number from 1 to 10000"),
        (r#"{"max_text":"256KB"}"#, "guard.max_text: must be a size from 1KiB to 16MiB, such as 256KiB"),
        (r#"{"max_text":"KiB"}"#, "guard.max_text: must be a size from 1KiB to 16MiB, such as 256KiB"),
        (r#"{"max_text":"1000"}"#, "guard.max_text: must be a size from 1KiB to 16MiB, such as 256KiB"),
        (r#"{"max_text":1000}"#, "guard.max_text: must be a size from 1KiB to 16MiB, such as 256KiB"),
        (
            r#"{"max_text":"99999999999999999999MiB"}"#,
            "guard.max_text: must be a size from 1KiB to 16MiB, such as 256KiB",
        ),
        (r#"{"cache":{"entries":-1}}"#, "guard.cache.entries: -1 is not a whole number from 0 to 100000"),
        (r#"{"cache":{"size":1}}"#, "guard.cache.size: no such field; did you mean \"time\"?"),
        (r#"{"stream":{"mode":"end"}}"#, "guard.stream.mode: \"end\" is none of its values; there is window, final"),
        (r#"{"stream":{"characters":0}}"#, "guard.stream.characters: 0 is not a whole number from 1 to 100000"),
        (r#"{"stream":{"time":"31s"}}"#, "guard.stream.time: must be 30s or less: a client waits for it"),
        (
            r#"{"stream":{"mode":"final","characters":9}}"#,
            "guard.stream.characters: belongs to the mode \"window\"; \"final\" checks a stream at its end",
        ),
        (
            r#"{"checks":[{"name":"x","api":"patterns","phase":["request"],"action":"flag"},
                          {"name":"x","api":"patterns","phase":["request"],"action":"flag"}]}"#,
            "guard.checks[1]: a second check \"x\"; names tell checks apart in stats",
        ),
        (
            r#"{"stream":{"mode":"final"},"checks":[{"name":"x","api":"patterns","phase":["request","response"],
                "action":"mask"}]}"#,
            "guard.checks[0].action: cannot be done at the end of a stream (`guard.stream.mode` is \"final\"); use \
             flag, or the mode window",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(read(text).expect_err(text).to_string(), want, "{text}");
    }
    let fine = r#"{"stream":{"mode":"final"},"checks":[{"name":"x","api":"patterns","phase":["request"],"action":"mask"},
        {"name":"y","api":"patterns","phase":["response"],"action":"flag"}]}"#;
    assert!(read(fine).is_ok());
}

/// A valid check with one wrong field, which replaces the valid one or is added.
#[test]
fn mistakes_in_checks() {
    let unset =
        "credential.env: the environment variable UNSET is not set, or the wasm cannot see it; export it before \
                 Envoy starts and list it in vm_config.environment_variables.host_env_keys";
    let score = "must be a number from 0 to 1, such as 0.5";
    let cases: &[(&str, &str, &str)] = &[
        ("openai_moderations", r#""name":null"#, "name: missing"),
        ("openai_moderations", r#""name":"a:b""#, "name: must be 1 to 64 letters, digits, `_`, `-` and `.`"),
        ("openai_moderations", r#""cluster":null"#, "cluster: missing"),
        (
            "openai_moderations",
            r#""phase":null"#,
            ": `phase` is missing; write [request], [response], or [request, response]",
        ),
        (
            "openai_moderations",
            r#""phase":[]"#,
            "phase: names no phase, so that nothing is checked; write [request], [response] or both",
        ),
        (
            "openai_moderations",
            r#""phase":["respond"]"#,
            "phase[0]: \"respond\" is none of its values; did you mean \"response\"?",
        ),
        (
            "openai_moderations",
            r#""roles":["model"]"#,
            "roles[0]: \"model\" is none of its values; there is system, user, assistant, tool",
        ),
        (
            "openai_moderations",
            r#""roles":[]"#,
            "roles: names no role, so that nothing is checked; leave it out for the usual ones",
        ),
        (
            "openai_moderations",
            r#""phase":["request","response"],"roles":["user"]"#,
            "roles: a response is the assistant's; add \"assistant\", or take \"response\" out of `phase`",
        ),
        (
            "openai_moderations",
            r#""on_failure":null"#,
            ": `on_failure` is missing; write deny (nothing passes unchecked) or allow (everything passes when the \
             service fails)",
        ),
        (
            "openai_moderations",
            r#""on_failure":"open""#,
            "on_failure: \"open\" is none of its values; there is allow, deny",
        ),
        (
            "openai_moderations",
            r#""action":null"#,
            ": `action` is missing; write block, flag, or for personal data mask or restore",
        ),
        (
            "openai_moderations",
            r#""action":"mask""#,
            "action: this api does not say where in a text it found something; use block or flag",
        ),
        (
            "chat_classifier",
            r#""action":"restore""#,
            "action: this api does not say where in a text it found something; use block or flag",
        ),
        (
            "presidio",
            r#""action":"restore","phase":["response"]"#,
            "action: what is to be restored must be found in the request; add it to `phase`, or use mask",
        ),
        ("openai_moderations", r#""timeout":"31s""#, "timeout: must be 30s or less: a client waits for it"),
        (
            "openai_moderations",
            r#""timeout":"0s""#,
            "timeout: \"0s\" is not a duration from 1ms to 365d; write it like 500ms, 30s, 2m, 12h or 90d",
        ),
        ("openai_moderations", r#""path":"m""#, "path: must start with \"/\""),
        ("openai_moderations", r#""path":"/é""#, "path: contains characters that cannot stand in a header"),
        ("openai_moderations", r#""credential":{"env":"UNSET"}"#, unset),
        (
            "openai_moderations",
            r#""credential":{"env":"sk-secret"}"#,
            "credential.env: is not the name of an environment variable; put the key itself into the variable",
        ),
        (
            "openai_moderations",
            r#""credential":{"env":"BROKEN"}"#,
            "credential.env: the value of BROKEN cannot stand in a header (a line break in it?)",
        ),
        ("openai_moderations", r#""thresholds":1.5"#, &format!("thresholds: {score}")),
        ("openai_moderations", r#""thresholds":"nan""#, &format!("thresholds: {score}")),
        ("openai_moderations", r#""thresholds":[1]"#, &format!("thresholds: {score}")),
        ("openai_moderations", r#""thresholds":{"hate":-1}"#, &format!("thresholds.hate: {score}")),
        (
            "openai_moderations",
            r#""thresholds":{}"#,
            "thresholds: names no category, so that nothing is found; leave it out for the service's own",
        ),
        ("presidio", r#""score_threshold":2"#, &format!("score_threshold: {score}")),
        (
            "presidio",
            r#""entities":["email"]"#,
            "entities[0]: \"email\" is not an entity's name; write it like EMAIL_ADDRESS",
        ),
        ("presidio", r#""entities":[]"#, "entities: names no entity; leave it out for all"),
        ("presidio", r#""language":"""#, "language: must not be empty"),
        ("chat_classifier", r#""model":null"#, "model: missing"),
        (
            "openai_moderations",
            r#""models":[]"#,
            "models: names nothing, so that nothing is checked; leave it out for all",
        ),
        ("openai_moderations", r#""keys":["a*b"]"#, "keys[0]: a \"*\" can only stand at the end"),
        ("openai_moderations", r#""dry_run":"yes""#, "dry_run: must be true or false, but is a string"),
    ];
    for (api, field, want) in cases {
        let text = check(api, field);
        let message = read(&text).expect_err(&text).to_string();
        let want = if want.starts_with(':') { (*want).to_owned() } else { format!(".{want}") };
        assert_eq!(message, format!("guard.checks[0]{want}"), "{text}");
    }
    // a field of another api
    for (api, field) in [
        ("openai_moderations", r#""language":"en""#),
        ("openai_moderations", r#""custom":[]"#),
        ("presidio", r#""thresholds":0.5"#),
        ("presidio", r#""model":"m""#),
        ("chat_classifier", r#""entities":["A"]"#),
        ("chat_classifier", r#""score_threshold":0.5"#),
    ] {
        let message = read(&check(api, field)).expect_err(field).to_string();
        assert!(message.contains(": no such field"), "{message}");
    }
    for (fields, want) in [
        (r#""cluster":"c""#, ".cluster: no such field"),
        (r#""timeout":"1s""#, ".timeout: no such field"),
        (r#""custom":[{"name":"T"}]"#, ".custom[0].regex: missing"),
        (r#""custom":[{"name":"T","regex":""}]"#, ".custom[0].regex: must not be empty"),
        (r#""custom":[{"name":"t","regex":"x"}]"#, ".custom[0].name: \"t\" is not an entity's name"),
        (
            r#""custom":[{"name":"T","regex":"x"},{"name":"T","regex":"y"}]"#,
            ".custom[1]: a second pattern \"T\"; join both with `|`",
        ),
    ] {
        let text =
            format!(r#"{{"checks":[{{"name":"x","api":"patterns","phase":["request"],"action":"flag",{fields}}}]}}"#);
        let message = read(&text).expect_err(&text).to_string();
        assert!(message.starts_with(&format!("guard.checks[0]{want}")), "{message}");
    }
}

/// A check that is valid except for `field`.
fn check(api: &str, field: &str) -> String {
    let wrong: serde_json::Value = serde_json::from_str(&format!("{{{field}}}")).unwrap();
    let mut fields: serde_json::Value = serde_json::from_str(&format!("{{{SERVICE}}}")).unwrap();
    fields["api"] = api.into();
    if api == "chat_classifier" {
        fields["model"] = "m".into();
    }
    for (name, value) in wrong.as_object().unwrap() {
        fields[name] = value.clone();
    }
    serde_json::json!({ "checks": [fields] }).to_string()
}

#[test]
fn names_of_stats() {
    assert_eq!(stats::guard("pii", "request", "mask"), "llm_guard_total;check=pii;phase=request;verdict=mask");
    assert_eq!(stats::guard_duration("pii"), "llm_guard_duration_ms;check=pii");
}

proptest! {
    #[test]
    fn any_bytes_are_accepted_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = config::guard(&bytes, &|_| None);
    }
}
