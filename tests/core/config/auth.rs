use std::time::Duration;

use sluice::config::{self, ConfigError};
use sluice::keys::{Auth, Identity, IssueRequest, Oidc, Role, Roles, Signer};
use sluice::limits::Limits;
use sluice::password::{HashError, PasswordHash};
use sluice::pattern::Patterns;

use super::refusal;

/// The hash of an unknown password.
const PASSWORD: &str = "pbkdf2-sha256$1000$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The hash of `abc`, and a different hash.
const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A secret of 32 bytes.
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// 2027-01-15T08:00:00Z
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// Reads the configuration. `GOOD` and `OLD` are valid secrets, `SHORT` is too short, and `EMPTY` is empty.
pub(super) fn auth(text: &str) -> Result<Auth, ConfigError> {
    let environment = |name: &str| match name {
        "GOOD" | "OLD" => Some(format!("{SECRET}{name}")),
        "SHORT" => Some(SECRET[1..].to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    config::auth(text.replace("ABC", ABC).replace("OTHER", OTHER).as_bytes(), &environment)
}

#[test]
fn good() {
    let text =
        r#"{"keys":[{"id":"one","hash":"ABC","role":"admin","models":["gpt-*","m"]},{"id":"two","hash":"OTHER"}]}"#;
    let one = auth(text).unwrap().ring.find("abc", NOW).unwrap();
    assert_eq!((one.id.as_str(), one.role), ("one", Role::Admin));
    assert_eq!(one.models.iter().collect::<Vec<_>>(), ["gpt-*", "m"]);
    let text = r#"{"keys":[{"id":"one","hash":"ABC","role":null,"models":null}]}"#;
    let one = auth(text).unwrap().identify("abc", NOW).unwrap();
    assert_eq!(*one, Identity::new("one", Role::User, Patterns::any()), "by default");
}

fn user(id: &str) -> Identity {
    Identity::new(id, Role::User, Patterns::any())
}

#[test]
fn everything() {
    let text = r#"{
        "keys": [{"id":"one","hash":"ABC","role":"LLM.Admin","issued":"2027-01-01","expires":"2027-01-31","labels":{"team":"x","a":"b"},
                  "limits":{"requests_per_minute":5}}],
        "users": [{"name":"alice","hash":"pbkdf2-sha256$1000$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","role":"LLM.User","models":["m"],
                   "labels":{"team":"y"},"limits":{"concurrency":2}}],
        "virtual_keys": {"secrets":[{"env":"GOOD"},{"env":"OLD"}],"max_expires_in":"30d"},
        "revoked": ["x",{"id":"y"},{"id":"z","until":"2027-01-15T08:00:01Z"},{"id":"w","before":"2027-01-15T08:00:00Z"}],
        "limits": {"tokens_per_day":9},
        "gateway_prefix": "/llm/admin",
        "oidc": {"metadata":"jwt","failure_metadata":"why","id_claim":"email","roles_claim":"r","models_claim":"m","default_role":"user"}
    }"#;
    let found = auth(text).unwrap();
    let one = found.identify("abc", NOW).unwrap();
    let labels = |labels: &[(&str, &str)]| labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let want = Identity {
        labels: labels(&[("a", "b"), ("team", "x")]),
        limits: Limits { requests_per_minute: Some(5), ..Limits::default() },
        expires: Some(Duration::from_secs(1_801_353_600)),
        issued_at: Some(Duration::from_secs(1_798_761_600)),
        ..Identity::new("one", Role::Admin, Patterns::any())
    };
    assert_eq!(*one, want);
    let want = Identity {
        labels: labels(&[("team", "y")]),
        limits: Limits { concurrency: Some(2), ..Limits::default() },
        ..Identity::new("alice", Role::User, Patterns::new(vec!["m".into()]))
    };
    let [alice] = found.users.as_slice() else { panic!("{:?}", found.users) };
    assert_eq!((&*alice.identity, alice.hash.clone()), (&want, PasswordHash::parse(PASSWORD).unwrap()));
    assert_eq!(found.configured().map(|identity| identity.id.as_str()).collect::<Vec<_>>(), ["one", "alice"]);
    assert_eq!((found.max_expires_in, found.prefix.as_str()), (Duration::from_secs(30 * 86_400), "/llm/admin"));
    assert_eq!(found.limits, Limits { tokens_per_day: Some(9), ..Limits::default() });
    for (id, now, later) in [("x", true, true), ("y", true, true), ("z", true, false), ("one", false, false)] {
        let found = [NOW, NOW + Duration::from_secs(1)].map(|now| found.is_revoked(&user(id), now));
        assert_eq!(found, [now, later], "{id}");
    }
    for (issued, want) in [(None, true), (Some(NOW - Duration::from_secs(1)), true), (Some(NOW), false)] {
        assert_eq!(found.is_revoked(&Identity { issued_at: issued, ..user("w") }, NOW), want, "{issued:?}");
    }
    let oidc = Oidc {
        metadata: "jwt".into(),
        failure_metadata: Some("why".into()),
        id_claim: "email".into(),
        roles_claim: "r".into(),
        models_claim: "m".into(),
        default_role: Some(Role::User),
    };
    assert_eq!(found.oidc, Some(oidc));
    let claims = IssueRequest::read(b"", found.max_expires_in, NOW, "v").unwrap();
    for secret in ["GOOD", "OLD"] {
        let key = Signer::new(format!("{SECRET}{secret}").as_bytes(), None).unwrap().sign(&claims);
        assert_eq!(found.identify(&key, NOW).unwrap().id, "v", "{secret}");
    }
    let printed = format!("{found:?}");
    assert!(!printed.contains(SECRET) && !printed.contains("aGFz") && !printed.contains(&ABC[7..]), "{printed}");
}

#[test]
fn by_default() {
    let found = auth(r#"{"virtual_keys":{"secrets":[{"env":"GOOD"},{"env":"UNSET"}]}}"#).unwrap();
    assert_eq!((found.max_expires_in, found.prefix.as_str()), (Duration::from_secs(90 * 86_400), "/gateway"));
    assert!(found.ring.is_empty() && found.users.is_empty() && found.revoked.is_empty() && found.oidc.is_none());
    assert_eq!((found.limits, found.roles), (Limits::default(), Roles::default()));
    for text in [
        r#"{"oidc":{"metadata":"jwt"}}"#,
        r#"{"oidc":{"metadata":"jwt","default_role":"none"}}"#,
        r#"{"keys":[],"oidc":{"metadata":"jwt","default_role":null}}"#,
    ] {
        assert_eq!(auth(text).unwrap().oidc, Some(Oidc::new("jwt")), "{text}");
    }
    let own = auth(r#"{"keys":[{"id":"one","hash":"ABC","role":"boss"}],"roles":{"admin":["boss","admin"]}}"#).unwrap();
    assert_eq!(own.identify("abc", NOW).unwrap().role, Role::Admin);
    assert_eq!(own.roles, Roles { admin: vec!["boss".into(), "admin".into()], ..Roles::default() });
}

#[test]
fn tools() {
    let key = |tools: &str| auth(&format!(r#"{{"keys":[{{"id":"one","hash":"ABC","tools":{tools}}}]}}"#));
    let found = key(r#"{"allow":["get_*"],"deny":["get_x"]}"#).unwrap();
    let lists = found.identify("abc", NOW).unwrap().tools.clone().unwrap();
    assert_eq!((lists.allow, lists.deny), (Some(vec!["get_*".into()]), vec!["get_x".into()]));
    assert!(found.tools.is_none());
    assert!(key("null").unwrap().identify("abc", NOW).unwrap().tools.is_none());
    for (tools, want) in [
        ("{}", "auth.keys[0].tools: lists nothing"),
        (r#"["a"]"#, "auth.keys[0].tools: must be an object"),
        (r#"{"allow":["*a"]}"#, "auth.keys[0].tools.allow: \"*a\": a `*` can only stand at the end"),
        (r#"{"deny":[""]}"#, "auth.keys[0].tools.deny[0]: must not be empty"),
        (r#"{"block":[]}"#, "auth.keys[0].tools.block: no such field"),
    ] {
        let error = key(tools).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
    let all = auth(r#"{"keys":[{"id":"one","hash":"ABC"}],"tools":{"deny":["mcp*"]}}"#).unwrap();
    assert_eq!(all.tools.unwrap().deny, ["mcp*"]);
}

/// Twice as many keys take twice as long, not four times as long.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn many_keys() {
    let key = |index: usize| format!(r#"{{"id":"k{index}","hash":"sha256:{index:064x}"}}"#);
    let keys: Vec<String> = (0..100_000).map(key).collect();
    let text = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    let began = std::time::Instant::now();
    assert_eq!(auth(&text).unwrap().ring.len(), 100_000);
    // takes seconds without optimisation; comparing each id to all earlier ones would take minutes
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn mistakes() {
    let hash = "auth.keys[0].hash: must be \"sha256:\" and 64 hexadecimal digits; make it with: \
                printf %s 'sk-...' | sha256sum";
    let cases = [
        ("", "auth: nobody could call; add keys, users, virtual_keys or oidc"),
        ("{}", "auth: nobody could call; add keys, users, virtual_keys or oidc"),
        (r#"{"limits":{}}"#, "auth: nobody could call; add keys, users, virtual_keys or oidc"),
        (r#"{"key":[]}"#, "auth.key: no such field; did you mean \"keys\"?"),
        (r#"{"keys":[]}"#, "auth.keys: no key at all, so nobody could call; add one"),
        (r#"{"keys":{}}"#, "auth.keys: must be a list, but is an object"),
        (r#"{"keys":["k"]}"#, "auth.keys[0]: must be an object, but is a string"),
        (r#"{"keys":[{"hash":"ABC"}]}"#, "auth.keys[0].id: missing"),
        (r#"{"keys":[{"id":""}]}"#, "auth.keys[0].id: must not be empty"),
        (r#"{"keys":[{"id":7}]}"#, "auth.keys[0].id: must be a string, but is a number"),
        (r#"{"keys":[{"id":"a"}]}"#, "auth.keys[0].hash: missing"),
        (r#"{"keys":[{"id":"a","hsah":"ABC"}]}"#, "auth.keys[0].hsah: no such field; did you mean \"hash\"?"),
        (r#"{"keys":[{"id":"a","hash":"sk-secret"}]}"#, hash),
        (
            r#"{"keys":[{"id":"a","hash":"ABC","token":1}]}"#,
            "auth.keys[0].token: no such field; there is id, hash, expires, role, models, tools, labels, limits, issued",
        ),
        (
            r#"{"keys":[{"id":"a","hash":"ABC","role":"amdin"}]}"#,
            "auth.keys[0].role: \"amdin\" is none of its values; did you mean \"admin\"?",
        ),
        (
            r#"{"keys":[{"id":"a","hash":"ABC","role":true}]}"#,
            "auth.keys[0].role: must be one of user, admin, LLM.Admin, LLM.User, but is a boolean",
        ),
        (r#"{"keys":[{"id":"a","hash":"ABC","models":"m"}]}"#, "auth.keys[0].models: must be a list, but is a string"),
        (
            r#"{"keys":[{"id":"a","hash":"ABC","models":["m",1]}]}"#,
            "auth.keys[0].models[1]: must be a string, but is a number",
        ),
        (
            r#"{"keys":[{"id":"a","hash":"ABC"},{"id":"a","hash":"OTHER"}]}"#,
            "auth.keys[1]: a second key with the id \"a\"; ids name keys in stats",
        ),
        (
            r#"{"keys":[{"id":"a","hash":"ABC"},{"id":"b","hash":"ABC"}]}"#,
            "auth.keys[1]: the same hash as an earlier key's; give each key its own",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(refusal(text, auth(text)), want, "{text}");
    }
}

#[test]
fn mistakes_in_keys() {
    let date = "is not a date; write it like 2027-01-31 or 2027-01-31T00:00:00Z";
    let cases = [
        (r#""expires":"tomorrow""#, format!("expires: \"tomorrow\" {date}")),
        (r#""expires":"2027-02-29""#, format!("expires: \"2027-02-29\" {date}")),
        (r#""expires":1801353600"#, "expires: must be a string, but is a number".into()),
        (r#""labels":["x"]"#, "labels: must be an object, but is a list".into()),
        (r#""labels":{"team":7}"#, "labels.team: must be a string, but is a number".into()),
        (r#""labels":{"team":""}"#, "labels.team: must not be empty".into()),
        (
            r#""labels":{"the team":"x"}"#,
            "labels[\"the team\"]: a name must be 1 to 128 letters, digits, `_`, `-` and `.`".into(),
        ),
        (
            r#""labels":{"team":"x\u0007"}"#,
            "labels.team: a value must have 1 to 128 bytes, and no control characters".into(),
        ),
        (
            r#""limits":{"requests_per_minute":0}"#,
            "limits.requests_per_minute: 0 is not a whole number from 1 to 10^15".into(),
        ),
        (
            r#""limits":{"requests_per_hour":1}"#,
            "limits.requests_per_hour: no such field; did you mean \"requests_per_day\"?".into(),
        ),
        (
            r#""role":"LLM.Boss""#,
            "role: \"LLM.Boss\" is none of its values; there is user, admin, LLM.Admin, LLM.User".into(),
        ),
    ];
    for (field, want) in cases {
        let text = format!(r#"{{"keys":[{{"id":"a","hash":"ABC",{field}}}]}}"#);
        assert_eq!(refusal(field, auth(&text)), format!("auth.keys[0].{want}"), "{field}");
        if !field.contains("expires") {
            let text = format!(
                r#"{{"users":[{{"name":"a","hash":"pbkdf2-sha256$1000$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","models":[],{field}}}]}}"#
            );
            assert_eq!(refusal(field, auth(&text)), format!("auth.users[0].{want}"), "{field}");
        }
    }
    let labels: Vec<String> = (0..17).map(|index| format!(r#""l{index}":"x""#)).collect();
    let text = format!(r#"{{"keys":[{{"id":"a","hash":"ABC","labels":{{{}}}}}]}}"#, labels.join(","));
    assert_eq!(refusal("many labels", auth(&text)), "auth.keys[0].labels: must be at most 16");
    for id in ["i".repeat(257), "a\\nb".into()] {
        let text = format!(r#"{{"keys":[{{"id":"{id}","hash":"ABC"}}]}}"#);
        let want = "auth.keys[0].id: must be at most 256 bytes, without control characters";
        assert_eq!(refusal(&id, auth(&text)), want);
    }
}

#[test]
fn mistakes_elsewhere() {
    let variable = "is not the name of an environment variable; put the secret itself into the variable";
    let secrets = "must be one secret, or two: the current one, and the previous one";
    let unset = |name: &str| {
        format!(
            "the environment variable {name} is not set, or the wasm cannot see it; export it before Envoy starts and \
             list it in vm_config.environment_variables.host_env_keys"
        )
    };
    let short = "has 31 bytes, but needs 32 or more; make one with: openssl rand -hex 32";
    let path = |text: &str| format!("gateway_prefix: {text:?} is not a path prefix; write it like /gateway");
    let cases = [
        (r#""users":{}"#, "users: must be a list, but is an object".into()),
        (r#""users":[{"hash":"x"}]"#, "users[0].name: missing".into()),
        (r#""users":[{"name":"a"}]"#, "users[0].hash: missing".into()),
        (r#""users":[{"id":"a"}]"#, "users[0].id: no such field; there is name, hash, role, models, tools, labels, limits, issued".into()),
        (
            r#""users":[{"name":"a:b","hash":"pbkdf2-sha256$1000$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}]"#,
            "users[0].name: must not contain a colon: in HTTP Basic it ends the name".into(),
        ),
        (
            r#""users":[{"name":"b","hash":"hunter2"}]"#,
            format!("users[0].hash: {}", HashError::Form),
        ),
        (
            r#""users":[{"name":"a","hash":"pbkdf2-sha256$1000$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}]"#,
            "users[0]: a second key or user with the id \"a\"; ids name callers in stats".into(),
        ),
        (
            r#""users":[{"name":"b","hash":"pbkdf2-sha256$1000$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},{"name":"b","hash":"pbkdf2-sha256$1000$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}]"#,
            "users[1]: a second key or user with the id \"b\"; ids name callers in stats".into(),
        ),
        (r#""roles":["x"]"#, "roles: must be an object, but is a list".into()),
        (r#""roles":{"admins":[]}"#, "roles.admins: no such field; did you mean \"admin\"?".into()),
        (r#""roles":{"admin":"x"}"#, "roles.admin: must be a list, but is a string".into()),
        (r#""roles":{"admin":["x"],"user":["x"]}"#, "roles: \"x\" is a name of both roles; give each its own".into()),
        (r#""roles":{"admin":["LLM.User"]}"#, "roles: \"LLM.User\" is a name of both roles; give each its own".into()),
        (r#""roles":{"admin":["user"]}"#, "roles: \"user\" is a name of both roles; give each its own".into()),
        (r#""roles":{"user":["admin"]}"#, "roles: \"admin\" is a name of both roles; give each its own".into()),
        (r#""virtual_keys":[]"#, "virtual_keys: must be an object, but is a list".into()),
        (r#""virtual_keys":{}"#, "virtual_keys.secrets: missing".into()),
        (r#""virtual_keys":{"secrets":[]}"#, format!("virtual_keys.secrets: {secrets}")),
        (
            r#""virtual_keys":{"secrets":[{"env":"GOOD"},{"env":"OLD"},{"env":"GOOD"}]}"#,
            format!("virtual_keys.secrets: {secrets}"),
        ),
        (r#""virtual_keys":{"secrets":["GOOD"]}"#, "virtual_keys.secrets[0]: must be an object, but is a string".into()),
        (r#""virtual_keys":{"secrets":[{}]}"#, "virtual_keys.secrets[0].env: missing".into()),
        (r#""virtual_keys":{"secrets":[{"env":"my secret"}]}"#, format!("virtual_keys.secrets[0].env: {variable}")),
        (r#""virtual_keys":{"secrets":[{"env":"UNSET"}]}"#, format!("virtual_keys.secrets[0].env: {}", unset("UNSET"))),
        (r#""virtual_keys":{"secrets":[{"env":"EMPTY"}]}"#, format!("virtual_keys.secrets[0].env: {}", unset("EMPTY"))),
        (
            r#""virtual_keys":{"secrets":[{"env":"UNSET"},{"env":"GOOD"}]}"#,
            format!("virtual_keys.secrets[0].env: {}", unset("UNSET")),
        ),
        (
            r#""virtual_keys":{"secrets":[{"env":"SHORT"}]}"#,
            format!("virtual_keys.secrets[0].env: the value of SHORT {short}"),
        ),
        (
            r#""virtual_keys":{"secrets":[{"env":"GOOD"},{"env":"SHORT"}]}"#,
            format!("virtual_keys.secrets[1].env: the value of SHORT {short}"),
        ),
        (
            r#""virtual_keys":{"secrets":[{"env":"GOOD"}],"max_expires_in":"1y"}"#,
            "virtual_keys.max_expires_in: \"1y\" is not a duration from 1ms to 365d; write it like 500ms, 30s, 2m, 12h or 90d".into(),
        ),
        (
            r#""virtual_keys":{"secrets":[{"env":"GOOD"}],"max_expires_in":"1ms"}"#,
            "virtual_keys.max_expires_in: must be a second or more".into(),
        ),
        (r#""revoked":"a""#, "revoked: must be a list, but is a string".into()),
        (r#""revoked":[""]"#, "revoked[0]: must not be empty".into()),
        (r#""revoked":[1]"#, "revoked[0]: must be an object, but is a number".into()),
        (r#""revoked":[{"until":"2027-01-01"}]"#, "revoked[0].id: missing".into()),
        (
            r#""revoked":[{"id":"a","until":"never"}]"#,
            "revoked[0].until: \"never\" is not a date; write it like 2027-01-31 or 2027-01-31T00:00:00Z".into(),
        ),
        (r#""limits":{"x":1}"#, "limits.x: no such field; there is requests_per_minute, requests_per_day, requests_per_month, tokens_per_minute, tokens_per_day, tokens_per_month, cost_per_day, cost_per_month, concurrency, reserve_output, warn_at".into()),
        (r#""gateway_prefix":"""#, "gateway_prefix: must not be empty".into()),
        (r#""gateway_prefix":"gateway""#, path("gateway")),
        (r#""gateway_prefix":"/gateway/""#, path("/gateway/")),
        (r#""gateway_prefix":"/""#, path("/")),
        (r#""gateway_prefix":"//x""#, path("//x")),
        (r#""gateway_prefix":"/a?b""#, path("/a?b")),
        (r#""gateway_prefix":"/a%20b""#, path("/a%20b")),
        (r#""shared":{}"#, "shared.cluster: missing".into()),
        (r#""shared":{"cluster":""}"#, "shared.cluster: must not be empty".into()),
        (
            r#""shared":{"cluster":"c","timeout":"6s"}"#,
            "shared.timeout: must be 5s or less: each request waits for it".into(),
        ),
        (
            r#""shared":{"cluster":"c","on_failure":"open"}"#,
            "shared.on_failure: \"open\" is none of its values; there is local, deny".into(),
        ),
        (
            r#""shared":{"service":"c"}"#,
            "shared.service: no such field; there is cluster, domain, timeout, on_failure".into(),
        ),
        (r#""oidc":{}"#, "oidc.metadata: missing".into()),
        (r#""oidc":"jwt""#, "oidc: must be an object, but is a string".into()),
        (r#""oidc":{"metadata":"jwt","id_claim":""}"#, "oidc.id_claim: must not be empty".into()),
        (
            r#""oidc":{"metadata":"jwt","claim":"sub"}"#,
            "oidc.claim: no such field; there is metadata, failure_metadata, id_claim, roles_claim, models_claim, default_role".into(),
        ),
        (
            r#""oidc":{"metadata":"jwt","default_role":"admin"}"#,
            "oidc.default_role: \"admin\" is none of its values; there is user, none".into(),
        ),
    ];
    for (field, want) in cases {
        let text = format!(r#"{{"keys":[{{"id":"a","hash":"ABC"}}],{field}}}"#);
        assert_eq!(refusal(field, auth(&text)), format!("auth.{want}"), "{field}");
    }
    let revoked: Vec<String> = (0..10_001).map(|index| format!("\"k{index}\"")).collect();
    let text = format!(r#"{{"keys":[{{"id":"a","hash":"ABC"}}],"revoked":[{}]}}"#, revoked.join(","));
    let want = "auth.revoked[10000]: cannot be kept: 10000 ids are revoked already";
    assert_eq!(refusal("too many", auth(&text)), want);
}
