//! Which tools a caller may offer.

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::endpoint::Dialect;
use sluice::tools::{check, ToolLists, ToolRefusal};

fn lists(allow: Option<&[&str]>, deny: &[&str]) -> ToolLists {
    let owned = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    ToolLists { allow: allow.map(owned), deny: owned(deny) }
}

fn refused(lists: &ToolLists, dialect: Dialect, body: &str) -> Option<(String, Option<String>)> {
    check(&[lists], dialect, body.as_bytes()).err().map(|ToolRefusal { path, name }| (path, name))
}

/// Tools in each dialect, their place, and the name by which they must be allowed.
fn tools() -> Vec<(Dialect, Value, &'static str, &'static str)> {
    let (openai, anthropic, gemini) = (Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini);
    let one = |tool: Value| json!({"tools": [tool]});
    vec![
        (
            openai,
            one(json!({"type": "function", "function": {"name": "get_x", "parameters": {}}})),
            "tools[0].function.name",
            "get_x",
        ),
        (openai, one(json!({"type": "custom", "custom": {"name": "get_x"}})), "tools[0].custom.name", "get_x"),
        (openai, json!({"functions": [{"name": "get_x"}]}), "functions[0].name", "get_x"),
        (openai, one(json!({"type": "function", "name": "get_x"})), "tools[0].name", "get_x"),
        (openai, one(json!({"type": "custom", "name": "get_x", "format": {"type": "text"}})), "tools[0].name", "get_x"),
        (openai, one(json!({"type": "web_search", "filters": {}})), "tools[0].type", "web_search"),
        (openai, one(json!({"type": "web_search_preview_2025_03_11"})), "tools[0].type", "web_search_preview"),
        (
            openai,
            one(json!({"type": "code_interpreter", "container": {"type": "auto"}})),
            "tools[0].type",
            "code_interpreter",
        ),
        (openai, one(json!({"type": "file_search"})), "tools[0].type", "file_search"),
        (
            openai,
            one(json!({"type": "mcp", "server_label": "crm", "server_url": "https://x"})),
            "tools[0].server_label",
            "mcp:crm",
        ),
        (openai, one(json!({"type": "mcp", "server_label": "crm"})), "tools[0].server_label", "mcp"),
        (openai, json!({"web_search_options": {}}), "web_search_options", "web_search"),
        (
            openai,
            one(json!({"type": "namespace", "name": "get_x", "tools": [{"type": "function", "name": "get_x"}]})),
            "tools[0].tools[0].name",
            "get_x",
        ),
        (
            openai,
            json!({"input": ["a", {"type": "tool_search_output", "tools": [{"type": "function", "name": "get_x"}]}]}),
            "input[1].tools[0].name",
            "get_x",
        ),
        (anthropic, one(json!({"name": "get_x", "input_schema": {}})), "tools[0].name", "get_x"),
        (anthropic, one(json!({"type": "custom", "name": "get_x"})), "tools[0].name", "get_x"),
        (anthropic, one(json!({"type": "web_search_20250305", "name": "web_search"})), "tools[0].type", "web_search"),
        (anthropic, one(json!({"type": "bash_20250124", "name": "bash"})), "tools[0].type", "bash_*"),
        (
            anthropic,
            json!({"mcp_servers": [{"type": "url", "url": "https://x", "name": "crm"}]}),
            "mcp_servers[0].name",
            "mcp:crm",
        ),
        (anthropic, one(json!({"type": "mcp_toolset", "mcp_server_name": "crm"})), "tools[0].server_label", "mcp:*"),
        (
            gemini,
            one(json!({"functionDeclarations": [{"name": "get_x"}]})),
            "tools[0].functionDeclarations[0].name",
            "get_x",
        ),
        (
            gemini,
            one(json!({"function_declarations": [{"name": "get_x"}]})),
            "tools[0].function_declarations[0].name",
            "get_x",
        ),
        (gemini, one(json!({"googleSearch": {}})), "tools[0].googleSearch", "google_search"),
        (gemini, one(json!({"google_search": {}})), "tools[0].google_search", "googleSearch"),
        (gemini, one(json!({"codeExecution": {}})), "tools[0].codeExecution", "code_execution"),
        (gemini, one(json!({"urlContext": {}})), "tools[0].urlContext", "url*"),
        (
            Dialect::Ollama,
            one(json!({"type": "function", "function": {"name": "get_x"}})),
            "tools[0].function.name",
            "get_x",
        ),
    ]
}

#[test]
fn every_dialect() {
    for (dialect, body, path, name) in tools() {
        let body = body.to_string();
        assert_eq!(refused(&lists(Some(&[name]), &[]), dialect, &body), None, "{name} is allowed: {body}");
        let denied = refused(&lists(None, &[name]), dialect, &body);
        assert_eq!(denied.map(|(path, _)| path).as_deref(), Some(path), "{name} is denied: {body}");
        let both = refused(&lists(Some(&["*"]), &[name]), dialect, &body);
        assert!(both.is_some(), "{name} is denied, whatever is allowed: {body}");
        for list in [lists(Some(&[]), &[]), lists(Some(&["other", "get_xy", "get"]), &[]), lists(None, &["*"])] {
            assert_eq!(refused(&list, dialect, &body).map(|(path, _)| path).as_deref(), Some(path), "{body}");
        }
        assert_eq!(refused(&lists(None, &["other*"]), dialect, &body), None, "{body}");
        let lists = [&lists(Some(&[name]), &[]), &lists(Some(&["nothing"]), &[])];
        assert!(check(&lists, dialect, body.as_bytes()).is_err(), "all lists must permit it");
    }
}

#[test]
fn no_tools() {
    let nothing = lists(Some(&[]), &["*"]);
    let bodies = [
        "{}",
        r#"{"tools":[],"functions":[],"mcp_servers":[]}"#,
        r#"{"tools":null,"functions":null,"mcp_servers":null,"web_search_options":null}"#,
        r#"{"messages":[{"role":"user","content":"{\"tools\":[{\"name\":\"a\"}]}"}],"tool_choice":"none"}"#,
        r#"{"input":"tools"}"#,
        r#"{"input":[[1,2],"tools",{"type":"message","content":[]}]}"#,
    ];
    for body in bodies {
        for dialect in Dialect::ALL {
            assert_eq!(refused(&nothing, dialect, body), None, "{body}");
        }
    }
}

/// Whatever any reader could see as the tool's name must be permitted.
#[test]
fn hidden_names() {
    let allow = lists(Some(&["get_*"]), &["get_secret"]);
    let cases = [
        (r#"{"tools":[{"type":"function","function":{"name":"get_secret"}}]}"#, "tools[0].function.name"),
        (r#"{"tools":[{"type":"function","function":{"name":"\u0067et_secret"}}]}"#, "tools[0].function.name"),
        (r#"{"\u0074ools":[{"type":"function","function":{"n\u0061me":"get_secret"}}]}"#, "tools[0].function.name"),
        (
            r#"{"tools":[{"type":"function","function":{"name":"get_secret","name":"get_x"}}]}"#,
            "tools[0].function.name",
        ),
        (
            r#"{"tools":[{"type":"function","function":{"name":"get_x","name":"get_secret"}}]}"#,
            "tools[0].function.name",
        ),
        (
            r#"{"tools":[{"type":"function","function":{"name":"get_secret"},"function":{"name":"get_x"}}]}"#,
            "tools[0].function.name",
        ),
        (
            r#"{"tools":[{"type":"function","name":"get_x","function":{"name":"get_secret"}}]}"#,
            "tools[0].function.name",
        ),
        (
            r#"{"tools":[{"type":"function","Function":{"NAME":"get_secret"},"name":"get_x"}]}"#,
            "tools[0].function.name",
        ),
        (
            r#"{"tools":[{"type":"function","function":{"name":"get_x"}}],"Tools":[{"type":"web_search"}]}"#,
            "tools[0].type",
        ),
        (r#"{"tools":[{"name":"get_x"}],"tools":[{"name":"get_secret"}]}"#, "tools[0].name"),
        (r#"{"tools":[{"name":"get_x"},{"name":"get_y"},{"name":"other"}]}"#, "tools[2].name"),
        (r#"{"tools":[{"type":"web_search","name":"get_x"}]}"#, "tools[0].type"),
        (r#"{"tools":[{"type":"function","type":"web_search","name":"get_x"}]}"#, "tools[0].type"),
        (r#"{"tools":[{"type":"web_search","type":"function","name":"get_x"}]}"#, "tools[0].type"),
        (r#"{"tools":[{"type":"code_interpreter","server_label":"x","name":"get_x"}]}"#, "tools[0].type"),
        (r#"{"tools":[{"type":"function"}]}"#, "tools[0]"),
        (r#"{"tools":[{"type":"function","function":{}}]}"#, "tools[0]"),
        (r#"{"tools":[{"type":"function","function":{"name":null}}]}"#, "tools[0]"),
        (r#"{"tools":[{"type":"function","function":{"name":["get_x"]}}]}"#, "tools[0].function.name"),
        (r#"{"tools":[{"type":["function"],"name":"get_x"}]}"#, "tools[0].type"),
        (r#"{"tools":[{"googleSearch":{}}]}"#, "tools[0]"),
        (r#"{"tools":[{}]}"#, "tools[0]"),
        (r#"{"tools":["web_search"]}"#, "tools[0]"),
        (r#"{"tools":[null]}"#, "tools[0]"),
        (r#"{"tools":{"type":"web_search"}}"#, "tools"),
        (r#"{"tools":"web_search"}"#, "tools"),
        (r#"{"functions":{"name":"get_x"}}"#, "functions"),
        (r#"{"functions":[{}]}"#, "functions[0]"),
        (r#"{"mcp_servers":[{"name":"a"}]}"#, "mcp_servers[0].name"),
        (r#"{"web_search_options":{}}"#, "web_search_options"),
        (r#"{"Web_Search_Options":{}}"#, "web_search_options"),
    ];
    for (body, path) in cases {
        let refusal = refused(&allow, Dialect::OpenAi, body);
        assert_eq!(refusal.map(|(path, _)| path).as_deref(), Some(path), "{body}");
    }
    let gemini = [
        (r#"{"tools":[{"functionDeclarations":[{"name":"get_x"}],"googleSearch":{}}]}"#, "tools[0].googleSearch"),
        (
            r#"{"tools":[{"functionDeclarations":[{"name":"get_x"}],"function_declarations":[{"name":"get_secret"}]}]}"#,
            "tools[0].function_declarations[0].name",
        ),
        (r#"{"tools":[{"functionDeclarations":[{"description":"x"}]}]}"#, "tools[0].functionDeclarations[0]"),
        (r#"{"tools":[{"functionDeclarations":{"name":"get_x"}}]}"#, "tools[0].functionDeclarations"),
        (r#"{"tools":[[]]}"#, "tools[0]"),
    ];
    for (body, path) in gemini {
        let refusal = refused(&allow, Dialect::Gemini, body);
        assert_eq!(refusal.map(|(path, _)| path).as_deref(), Some(path), "{body}");
    }
    // a server with a label that is allowed is still no other tool
    let crm = lists(Some(&["mcp:crm"]), &[]);
    let labelled = r#"{"tools":[{"type":"code_interpreter","server_label":"crm"}]}"#;
    assert!(refused(&crm, Dialect::OpenAi, labelled).is_some());
    let twice = r#"{"tools":[{"type":"mcp","server_label":"crm","server_label":"other"}]}"#;
    assert!(refused(&crm, Dialect::OpenAi, twice).is_some());
    // tools within tools end
    let deep = |levels: usize| {
        let inner = (0..levels).fold(json!({"name": "get_x"}), |tool, _| json!({"type": "namespace", "tools": [tool]}));
        json!({"tools": [inner]}).to_string()
    };
    assert_eq!(refused(&allow, Dialect::OpenAi, &deep(3)), None);
    assert!(
        refused(&allow, Dialect::OpenAi, &deep(4)).is_some() && refused(&allow, Dialect::OpenAi, &deep(60)).is_some()
    );
    // a name is shown as far as it is harmless
    let long = json!({"tools": [{"name": format!("a\r\nb{}", "x".repeat(100))}]}).to_string();
    let (_, name) = refused(&allow, Dialect::OpenAi, &long).unwrap();
    assert_eq!(name.unwrap(), format!("a__b{}", "x".repeat(60)));
}

#[test]
fn wrong_lists() {
    let many = vec!["a"; 65];
    let cases = [
        (lists(None, &[]), "", "lists nothing"),
        (lists(Some(&["a*b"]), &[]), "allow", "at the end"),
        (lists(Some(&[""]), &[]), "allow", "1 to 128"),
        (lists(None, &["a\n"]), "deny", "1 to 128"),
        (lists(None, &many), "deny", "at most 64"),
    ];
    for (lists, field, words) in cases {
        let (at, problem) = lists.check().unwrap_err();
        assert!(at == field && problem.contains(words), "{at}: {problem}");
    }
    assert_eq!(lists(Some(&[]), &[]).check(), Ok(()), "no tool at all");
}

proptest! {
    /// A denied name is found wherever it stands in a list of tools, however its letters are escaped.
    #[test]
    fn denied_names_are_found(before in 0..5_usize, after in 0..5_usize, escaped in prop::collection::vec(any::<bool>(), 6)) {
        let name: String = "secret".chars().zip(escaped).map(|(letter, escape)| match escape {
            true => format!("\\u{:04x}", u32::from(letter)),
            false => letter.to_string(),
        }).collect();
        let tool = |name: &str| format!(r#"{{"type":"function","function":{{"name":"{name}"}}}}"#);
        let mut tools = vec![tool("get_x"); before];
        tools.push(tool(&name));
        tools.extend(vec![tool("get_y"); after]);
        let body = format!(r#"{{"model":"m","tools":[{}]}}"#, tools.join(","));
        let refusal = refused(&lists(None, &["secret"]), Dialect::OpenAi, &body);
        prop_assert_eq!(refusal, Some((format!("tools[{before}].function.name"), Some("secret".to_owned()))));
    }

    /// Any JSON is read to its end, in every dialect.
    #[test]
    fn any_tools(tools in crate::generate::json(), functions in crate::generate::json()) {
        let body = json!({"tools": tools, "functions": functions, "input": tools, "mcp_servers": functions}).to_string();
        for dialect in Dialect::ALL {
            let all = check(&[&lists(None, &["\u{1}"])], dialect, body.as_bytes());
            let none = check(&[&lists(Some(&[]), &[])], dialect, body.as_bytes());
            prop_assert!(all.is_ok() || none.is_err());
        }
    }
}

/// Readers go by the type, by the name, or by what only functions have.
#[test]
fn a_false_type_hides_nothing() {
    let (openai, anthropic) = (Dialect::OpenAi, Dialect::Anthropic);
    let function = json!({"name": "danger", "parameters": {}});
    for (dialect, tool) in [
        (openai, json!({"type": "mcp", "server_label": "x", "function": function})),
        (openai, json!({"type": "get_x", "function": function})),
        (openai, json!({"type": "web_search", "custom": {"name": "danger"}})),
        (openai, json!({"type": "web_search", "name": "danger", "parameters": {}})),
        (
            anthropic,
            json!({"type": "mcp", "mcp_server_name": "x", "name": "danger", "input_schema": {"type": "object"}}),
        ),
        (anthropic, json!({"type": "get_x", "name": "danger", "Input_Schema": {}})),
    ] {
        let body = json!({"tools": [tool]}).to_string();
        for list in [lists(None, &["danger"]), lists(Some(&["get_*", "web_search", "mcp"]), &[])] {
            assert!(refused(&list, dialect, &body).is_some(), "{body}");
        }
    }
}

#[test]
fn a_tool_of_many_parts_is_refused() {
    for part in [r#""type":"a","#, r#""name":"a","#, r#""server_label":"a","#] {
        let body = format!(r#"{{"tools":[{{{}"type":"a"}}]}}"#, part.repeat(100_000));
        assert_eq!(refused(&lists(None, &["b"]), Dialect::OpenAi, &body), Some(("tools[0]".to_owned(), None)));
    }
}

#[test]
fn switches_of_single_providers() {
    for (field, value, name) in [
        ("search_parameters", json!({"mode": "auto"}), "web_search"),
        ("enable_search", json!(true), "web_search"),
        ("plugins", json!([{"id": "web"}]), "plugins"),
        ("data_sources", json!([{"type": "azure_search"}]), "data_sources"),
    ] {
        let body = json!({field: value}).to_string();
        assert!(refused(&lists(None, &[name]), Dialect::OpenAi, &body).is_some(), "{body}");
        assert_eq!(refused(&lists(Some(&[name]), &[]), Dialect::OpenAi, &body), None, "{body}");
    }
    for value in [json!(false), Value::Null] {
        let body = json!({"enable_search": value}).to_string();
        assert_eq!(refused(&lists(Some(&[]), &[]), Dialect::OpenAi, &body), None, "{body}");
    }
}
