//! The request that goes upstream means the same to every reader: one that ignores the case of names (as Go's does),
//! one that takes the first of several values, and one that takes the last.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use sluice::endpoint::Endpoint;
use sluice::parsed_request::{read, ParsedRequest};
use sluice::rewrite::BodyRewrite;

const TARGET: &str = "target/model";

/// JSON that keeps repeated members.
#[derive(Clone, Debug, PartialEq)]
enum Json {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
                let mut array = Vec::new();
                while let Some(item) = items.next_element()? {
                    array.push(item);
                }
                Ok(Json::Array(array))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
                let mut object = Vec::new();
                while let Some(item) = items.next_entry()? {
                    object.push(item);
                }
                Ok(Json::Object(object))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// How a server reads names.
#[derive(Clone, Copy, Debug)]
struct Reader {
    folds: bool,
    takes_last: bool,
}

const READERS: [Reader; 4] = [
    Reader { folds: false, takes_last: true },  // most
    Reader { folds: false, takes_last: false }, // some readers in C and Java
    Reader { folds: true, takes_last: true },   // Go
    Reader { folds: true, takes_last: false },
];

/// The decisive parts of a request.
#[derive(Debug, PartialEq)]
struct Asked {
    model: Json,
    stream: bool,
    usage: Json,
    output_limit: Option<u64>,
    tools: Json,
}

impl Reader {
    fn is(self, found: &str, wanted: &str) -> bool {
        let fold = |name: &str| name.to_lowercase().replace('ſ', "s");
        found == wanted || self.folds && fold(found) == fold(wanted)
    }

    fn find(self, json: &Json, names: &[&str]) -> Json {
        let Json::Object(members) = json else {
            return Json::Null;
        };
        let mut found = members.iter().filter(|(name, _)| names.iter().any(|wanted| self.is(name, wanted)));
        let found = if self.takes_last { found.next_back() } else { found.next() };
        found.map_or(Json::Null, |(_, value)| value.clone())
    }

    fn count(self, json: &Json, names: &[&str]) -> Option<u64> {
        match self.find(json, names) {
            Json::Number(count) => Some(count),
            _ => None,
        }
    }

    fn read(self, body: &Json) -> Asked {
        let config = self.find(body, &["generationConfig", "generation_config"]);
        let limits = [
            self.count(body, &["max_tokens"]),
            self.count(body, &["max_completion_tokens"]),
            self.count(body, &["max_output_tokens"]),
            self.count(&config, &["maxOutputTokens", "max_output_tokens"]),
            self.count(&self.find(body, &["options"]), &["num_predict"]),
        ];
        let choices = self.count(body, &["n"]).max(self.count(&config, &["candidateCount", "candidate_count"]));
        Asked {
            model: self.find(body, &["model"]),
            stream: self.find(body, &["stream"]) == Json::Bool(true),
            usage: self.find(&self.find(body, &["stream_options"]), &["include_usage"]),
            output_limit: limits.into_iter().flatten().max().map(|limit| limit * choices.unwrap_or(1)),
            tools: self.find(body, &["tools"]),
        }
    }
}

/// A member, another value for it, and the names that a case-folding reader treats as the same.
const MEMBERS: [(&str, &str, &str, &[&str]); 12] = [
    ("model", r#""one""#, r#""expensive-405b""#, &["MODEL", "Model", "modeL", r"mod\u0045l"]),
    ("stream", "true", "false", &["Stream", "STREAM", "ſtream", r"\u017ftream", "streaM"]),
    ("stream_options", r#"{"include_usage":false}"#, "{}", &["Stream_Options", "ſtream_optionſ", "STREAM_OPTIONS"]),
    ("max_tokens", "5", "100000", &["Max_Tokens", "max_to\u{212a}ens", r"max_to\u212aenſ", "MAX_TOKENS"]),
    ("max_completion_tokens", "5", "100000", &["Max_Completion_Tokens", "max_completion_to\u{212a}ens"]),
    ("max_output_tokens", "5", "100000", &["Max_Output_Tokens", "max_output_tokenſ"]),
    ("n", "1", "64", &["N", r"\u004e", r"\u004E"]),
    ("tools", r#"[{"type":"function"}]"#, "[]", &["Tools", "TOOLS", "toolſ", r"tool\u0053"]),
    ("options", r#"{"num_predict":5}"#, r#"{"num_predict":100000}"#, &["Options", "optionſ"]),
    (
        "generationConfig",
        r#"{"maxOutputTokens":5}"#,
        "{}",
        &["generationconfig", "GenerationConfig", "GENERATIONCONFIG"],
    ),
    ("generation_config", r#"{"candidateCount":2}"#, "{}", &["Generation_Config", "generation_confiG"]),
    ("messages", "[]", r#"[{"role":"user","content":"x"}]"#, &["Messages", "meſſages", r"message\u0053"]),
];

/// Places where the same names mean nothing. `$` stands for the names.
const NESTED: [&str; 6] = [
    r#""metadata":{$}"#,
    r#""logit_bias":{$}"#,
    r#""response_format":{"type":"json_schema","json_schema":{"schema":{"properties":{$}}}}"#,
    r#""x":[{"function":{"parameters":{"properties":{$}}}}]"#,
    r#""y":{"function":{"arguments":{$}}}"#,
    r#""chat_template_kwargs":{$}"#,
];

fn escaped(name: &str) -> String {
    let last = name.chars().last().unwrap();
    format!(r"{}\u{:04x}", &name[..name.len() - 1], u32::from(last))
}

fn body(fields: &[String]) -> String {
    let has_model = fields.iter().any(|field| field.starts_with(r#""mod"#));
    let model = (!has_model).then(|| r#""model":"one""#.to_owned());
    format!("{{{}}}", model.into_iter().chain(fields.iter().cloned()).collect::<Vec<_>>().join(" , "))
}

fn upstream(parsed: &ParsedRequest, body: &str) -> String {
    let mut rewrite = BodyRewrite::plan(parsed, TARGET, true);
    let rewritten = rewrite.chunk(body.as_bytes(), true).unwrap();
    String::from_utf8(rewritten.unwrap_or_else(|| body.as_bytes().to_vec())).unwrap()
}

/// Whether the body is accepted. If so, all readers of the upstream body agree with the decision.
fn is_taken(body: &str) -> bool {
    let parsed = match read(Endpoint::ChatCompletions, None, body.as_bytes()) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert_eq!((error.status, error.code), (400, "ambiguous_parameter"), "{body}: {}", error.message);
            return false;
        }
    };
    let sent = upstream(&parsed, body);
    let json: Json = serde_json::from_str(&sent).expect(&sent);
    let asked = READERS.map(|reader| reader.read(&json));
    for (reader, asked) in READERS.iter().zip(&asked) {
        assert_eq!(asked.model, Json::Text(TARGET.into()), "{reader:?}: {sent}");
        assert_eq!(asked.stream, parsed.stream, "{reader:?}: {sent}");
        assert!(!parsed.stream || asked.usage == Json::Bool(true), "{reader:?}: {sent}");
        assert_eq!(asked.output_limit, parsed.output_limit, "{reader:?}: {sent}");
        assert_eq!(asked, &READERS[0].read(&json), "{reader:?}: {sent}");
    }
    true
}

#[test]
fn all_readers_agree_on_what_goes_upstream() {
    let mut cases = 0;
    let mut check = |fields: &[String], want: bool| {
        cases += 1;
        let body = body(fields);
        assert_eq!(is_taken(&body), want, "{body}");
    };
    for (name, value, other, folded) in MEMBERS {
        let [same, escaped] = [name.to_owned(), escaped(name)].map(|name| format!(r#""{name}":{value}"#));
        let different = format!(r#""{name}":{other}"#);
        let between = r#""x":[1,{"y":2}]"#.to_owned();
        check(std::slice::from_ref(&same), true);
        check(std::slice::from_ref(&escaped), true);
        check(&[same.clone(), same.clone()], true);
        check(&[same.clone(), between.clone(), same.clone(), same.clone()], true);
        check(&[same.clone(), escaped.clone()], true);
        check(&[escaped.clone(), between.clone(), same.clone()], true);
        check(&[same.clone(), different.clone()], false);
        check(&[different.clone(), same.clone()], false);
        check(&[different, between.clone(), escaped.clone()], false);
        for folded in folded {
            for value in [value, other] {
                let folded = format!(r#""{folded}":{value}"#);
                check(&[same.clone(), folded.clone()], false);
                check(&[folded.clone(), between.clone(), same.clone()], false);
                if name != "model" {
                    check(&[folded], false);
                }
            }
        }
        for nested in NESTED {
            let inner = folded.iter().map(|folded| format!(r#""{folded}":{other}"#));
            let inner = [same.clone(), escaped.clone(), same.clone()].into_iter().chain(inner).collect::<Vec<_>>();
            let nested = nested.replace('$', &inner.join(","));
            check(&[same.clone(), nested.clone()], true);
            check(&[nested, same.clone(), between.clone(), escaped.clone()], true);
        }
    }
    assert!(cases >= 300, "{cases}");
    println!("{cases} bodies, {} readers", READERS.len());
}

#[test]
fn the_members_of_members() {
    for (taken, fields) in [
        (true, r#""stream_options":{"include_usage":true,"include_usage":true}"#),
        (false, r#""stream_options":{"include_usage":true,"include_usage":false}"#),
        (false, r#""stream_options":{"include_usage":true,"Include_Usage":false}"#),
        (false, r#""stream_options":{"include_uſage":true}"#),
        (true, r#""stream_options":{"x":{"Include_Usage":false}}"#),
        (true, r#""options":{"num_predict":5,"num_predict":5}"#),
        (false, r#""options":{"num_predict":5,"num_predict":6}"#),
        (false, r#""options":{"num_predict":5,"NUM_PREDICT":6}"#),
        (true, r#""options":{"MODEL":"x","Stream":true}"#),
        (true, r#""generationConfig":{"maxOutputTokens":5,"candidateCount":2}"#),
        (true, r#""generation_config":{"max_output_tokens":5,"candidate_count":2}"#),
        (true, r#""generationConfig":{"maxOutputTokens":5,"maxOutputTokens":5}"#),
        (false, r#""generationConfig":{"maxOutputTokens":5,"max_output_tokens":5}"#),
        (false, r#""generationConfig":{"maxoutputtokens":5}"#),
        (false, r#""generationConfig":{"candidateCount":1,"candidateCount":2}"#),
        (false, r#""generationConfig":{},"generation_config":{}"#),
        (true, r#""generationConfig":{"responseSchema":{"properties":{"MaxOutputTokens":{},"MODEL":{}}}}"#),
        (false, r#""systemInstruction":{},"system_instruction":{}"#),
        (false, r#""systeminstruction":{}"#),
        (false, r#""Input":"x""#),
        (true, r#""input":"x","input":"\u0078""#),
        (false, r#""n":1,"n":1.0"#),
    ] {
        assert_eq!(is_taken(&format!(r#"{{"model":"one","stream":true,{fields}}}"#)), taken, "{fields}");
    }
}

#[test]
fn meaningless_members_are_unchanged() {
    let body =
        r#"{"model":"target/model","MODELS":1,"mode":2,"streams":3,"Stream-Options":4,"x":{"MODEL":5,"n":6,"n":7}}"#;
    let parsed = read(Endpoint::ChatCompletions, None, body.as_bytes()).unwrap();
    assert_eq!(upstream(&parsed, body), body);
}
