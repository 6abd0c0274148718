use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::prompts::{RenderError, Template, MAX_RENDERED, MAX_TEMPLATE};

use crate::generate::text;

fn render(source: &str, variables: Value) -> Result<String, RenderError> {
    Template::parse(source).unwrap().render(variables.as_object().unwrap())
}

#[test]
fn what_templates_say() {
    let cases: &[(&str, Value, &str)] = &[
        ("plain { text } with % and #", json!({}), "plain { text } with % and #"),
        ("Hello {{ name }}!", json!({"name": "Ada"}), "Hello Ada!"),
        ("{{name}}{{ name|upper }}{{ name | lower }}", json!({"name": "Ä"}), "ÄÄä"),
        ("{{ '}}' }}{{ \"%}\" }}{{ 'it\\'s' }}", json!({}), "}}%}it's"),
        ("{{ n }} {{ f }} {{ t }} {{ z }}|", json!({"n": 3, "f": 1.5, "t": true, "z": null}), "3 1.5 true |"),
        (
            "{{ user.name }} {{ list[1] }} {{ list.0 }} {{ user['name'] }}",
            json!({"user": {"name": "A"}, "list": ["x", "y"]}),
            "A y x A",
        ),
        ("{{ list }}", json!({"list": ["a", 1]}), r#"["a",1]"#),
        ("{% if a %}1{% elif b %}2{% else %}3{% endif %}", json!({"b": true}), "2"),
        ("{% if a %}1{% elif b %}2{% else %}3{% endif %}", json!({}), "3"),
        ("{% if not a and b or c %}yes{% endif %}", json!({"b": 1}), "yes"),
        ("{% if a is defined %}yes{% else %}no{% endif %}", json!({"a": false}), "yes"),
        ("{% if a is not defined %}yes{% endif %}", json!({"a": null}), "yes"),
        ("{% if n == 1 %}one{% endif %}{% if n != 2 %}!{% endif %}", json!({"n": 1.0}), "one!"),
        ("{% if n < 2 and n <= 1 and 2 > n and 1 >= n %}small{% endif %}", json!({"n": 1}), "small"),
        (
            "{% if 'a' in list and 'b' in text and 'k' in map %}in{% endif %}",
            json!({"list": ["a"], "text": "abc", "map": {"k": 1}}),
            "in",
        ),
        (
            "{% for x in list %}{{ loop.index }}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
            json!({"list": ["a", "b"]}),
            "1a, 2b",
        ),
        ("{% for x in list %}{{ x }}{% else %}none{% endfor %}", json!({"list": []}), "none"),
        (
            "{% for row in rows %}{% for x in row %}{{ x }}{% endfor %};{% endfor %}",
            json!({"rows": [[1, 2], [3]]}),
            "12;3;",
        ),
        ("{{ list | join(', ') }} {{ list | length }}", json!({"list": ["a", 2]}), "a, 2 2"),
        ("{{ a | default('x') }}{{ b | default(a | default('y')) }}", json!({}), "xy"),
        ("a  {#- note {{ }} -#}  b", json!({}), "ab"),
        ("a {{- x -}} b", json!({"x": 1}), "a1b"),
        ("{% raw %}{{ x }}{% if %}{% endraw %}{{ x }}", json!({"x": 1}), "{{ x }}{% if %}1"),
        ("one line\n", json!({}), "one line"),
        ("two\n\n", json!({}), "two\n"),
        ("{{ x }}", json!({"x": "{{ y }}"}), "{{ y }}"),
    ];
    for (source, variables, want) in cases {
        assert_eq!(render(source, variables.clone()).as_deref(), Ok(*want), "{source}");
    }
}

#[test]
fn what_variables_must_be() {
    let undefined = |name: &str| RenderError::Undefined(name.to_owned());
    let cases: &[(&str, Value, RenderError)] = &[
        ("{{ name }}", json!({}), undefined("name")),
        ("{{ user.name }}", json!({"user": {}}), undefined("user.name")),
        ("{{ list[3] }}", json!({"list": []}), undefined("list[3]")),
        ("{% for x in list %}{% endfor %}", json!({}), undefined("list")),
        ("{% for x in list %}{% endfor %}", json!({"list": "abc"}), RenderError::NoList("list".to_owned())),
        ("{{ list | join }}", json!({"list": {}}), RenderError::NoList("list".to_owned())),
        ("{{ n | upper }}", json!({"n": 1}), RenderError::NoText("upper")),
        ("{% if n > 1 %}{% endif %}", json!({}), undefined("n")),
        ("{{ loop.index }}", json!({}), undefined("loop.index")),
    ];
    for (source, variables, want) in cases {
        assert_eq!(render(source, variables.clone()), Err(want.clone()), "{source}");
    }
}

#[test]
fn work_and_output_are_bounded() {
    let long = json!({"text": "x".repeat(200_000), "list": vec![1; 1000]});
    let twice = "{% for a in list %}{% for b in list %}{% for c in list %}{% endfor %}{% endfor %}{% endfor %}";
    for (source, want) in [
        (twice, RenderError::TooMuchWork),
        ("{% for a in list %}{{ text }}{% endfor %}", RenderError::TooLong),
        ("{% for a in list %}{% if text | upper == text %}{% endif %}{% endfor %}", RenderError::TooMuchWork),
    ] {
        let found = render(source, long.clone());
        assert!(found == Err(want) || found == Err(RenderError::TooMuchWork), "{source}");
    }
    assert!(Template::parse(&"x".repeat(MAX_TEMPLATE + 1)).is_err());
    assert!(Template::parse(&format!("{{{{ {} }}}}", "a or ".repeat(5000))).is_err());
    assert!(Template::parse(&format!("{{{{ {}a }}}}", "(".repeat(100))).is_err());
    assert!(Template::parse(&"{% if a %}".repeat(100)).is_err());
}

#[test]
fn mistakes_name_their_line() {
    let cases = [
        ("a\nb {{ name", 2, "has no `}}`"),
        ("{% if a %}", 1, "no `{% endif %}`"),
        ("\n\n{% for a in b %}", 3, "no `{% endfor %}`"),
        ("{% endif %}", 1, "nothing that `{% endif %}` could end"),
        ("{% if a %}\n{% endfor %}", 2, "`{% endif %}` is expected"),
        ("{% for a %}", 1, "{% for item in items %}"),
        ("{% include 'x' %}", 1, "no tag `include`"),
        ("{{ a | escape }}", 1, "no filter `escape`"),
        ("{{ a | join(1) }}", 1, "`join` takes a text"),
        ("{{ a b }}", 1, "`b` is not expected"),
        ("{{ }}", 1, "a value is missing"),
        ("{{ 'a }}", 1, "has no `}}`"),
        ("{{ a + 1 }}", 1, "'+' has no meaning"),
        ("{{ a is empty }}", 1, "only `defined`"),
        ("x\n{% raw %}\n", 2, "no `{% endraw %}`"),
        ("{{ 99999999999999999999 }}", 1, "too large"),
        ("{% if a %}{% else %}{% else %}{% endif %}", 1, "is expected"),
    ];
    for (source, line, part) in cases {
        let error = Template::parse(source).unwrap_err();
        assert_eq!(error.line, line, "{source}: {error}");
        assert!(error.problem.contains(part), "{source}: {error}");
    }
}

fn source() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("{{ "),
        Just(" }}"),
        Just("{% "),
        Just(" %}"),
        Just("{#"),
        Just("#}"),
        Just("if "),
        Just("elif "),
        Just("else"),
        Just("endif"),
        Just("for "),
        Just(" in "),
        Just("endfor"),
        Just("raw"),
        Just("endraw"),
        Just("a"),
        Just("b.c"),
        Just("[0]"),
        Just("'x'"),
        Just("\""),
        Just("|"),
        Just("upper"),
        Just("join(',')"),
        Just("default(a)"),
        Just("("),
        Just(")"),
        Just(" and "),
        Just(" or "),
        Just(" not "),
        Just(" is defined "),
        Just("=="),
        Just("<"),
        Just("12"),
        Just("-"),
        Just("\n"),
        Just("ü"),
        Just("loop.index"),
        Just("\\"),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_template_and_no_variables_do_harm(source in source(), text in text(), items in 0usize..5) {
        if let Ok(template) = Template::parse(&source) {
            let variables = json!({"a": vec![text.clone(); items], "b": {"c": text}});
            if let Ok(rendered) = template.render(variables.as_object().unwrap()) {
                prop_assert!(rendered.len() <= MAX_RENDERED);
            }
        }
    }

    #[test]
    fn a_text_without_tags_is_itself(text in text()) {
        let text = text.replace('{', "(");
        let rendered = Template::parse(&text).unwrap().render(&Default::default()).unwrap();
        let want = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        prop_assert_eq!(rendered, want);
    }

    #[test]
    fn values_are_never_read_as_templates(value in text()) {
        let variables = json!({"x": value});
        let rendered = Template::parse("{{ x }}.").unwrap().render(variables.as_object().unwrap()).unwrap();
        prop_assert_eq!(rendered, format!("{value}."));
    }
}
