//! Package templates: nested options in, JSON out.
#![allow(clippy::unwrap_used)]

use mainstay_template::{Dialect, RenderError, Template, UseKind, UseState, Value, limits};

fn options() -> Value {
    let uris = Value::from([("bootstrap", "http://host/bootstrap.zip")]);
    let service = Value::from([
        ("name", Value::from("/data/kafka")),
        ("count", Value::from(3_i64)),
        ("share", Value::from(0.5_f64)),
        ("memory", Value::from(256.0_f64)),
        ("on", Value::from(true)),
        ("off", Value::from(false)),
        ("empty", Value::from("")),
        ("word", Value::from("false")),
        ("null", Value::Null),
        ("constraints", Value::from(vec![Value::from(vec!["hostname", "UNIQUE"])])),
        ("labels", Value::from([("b", Value::from("x\"y")), ("a", Value::from(1_i64))])),
        ("none", Value::List(Vec::new())),
        ("text", Value::from("a \"b\" \\ c\nd\te")),
        ("zones", Value::from(vec!["a", "b"])),
    ]);
    Value::from([("service", service), ("resource", Value::from([("assets", Value::from([("uris", uris)]))]))])
}

#[track_caller]
fn check(label: &str, template: &str, expected: &str) {
    let rendered = Template::parse(template).unwrap().render_value(&options(), Dialect::Package).unwrap();
    assert_eq!(rendered.text, expected, "{label}");
}

#[test]
fn values_are_printed_as_json_needs_them() {
    check("string", "\"{{service.name}}\"", "\"/data/kafka\"");
    check("string, escaped", "\"{{service.text}}\"", r#""a \"b\" \\ c\nd\te""#);
    check(
        "string, both forms are equal",
        "{{{service.text}}}|{{&service.text}}",
        r#"a \"b\" \\ c\nd\te|a \"b\" \\ c\nd\te"#,
    );
    check("whole numbers have no fraction", "{{service.count}} {{service.memory}}", "3 256");
    check("fraction", "{{service.share}}", "0.5");
    check("boolean", "{{service.on}} {{service.off}}", "true false");
    check("array", "{{service.constraints}}", r#"[["hostname","UNIQUE"]]"#);
    check("object", "{{{service.labels}}}", r#"{"a":1,"b":"x\"y"}"#);
    check("empty array", "{{service.none}}", "[]");
    check("null", "<{{service.null}}>", "<>");
    check("missing", "<{{service.no}}{{no.name}}>", "<>");
    check("path", "{{resource.assets.uris.bootstrap}}", "http://host/bootstrap.zip");
    check("spelling is kept", "{{service.word}}", "false");
}

#[test]
fn sections_are_skipped_for_nothing() {
    let section = |name: &str, expected| {
        check(name, &"<{{#N}}+{{/N}}{{^N}}-{{/N}}>".replace('N', name), expected);
    };
    for name in ["service.no", "service.off", "service.empty", "service.none", "service.null", "no.name"] {
        section(name, "<->");
    }
    for name in ["service.on", "service.name", "service.count", "service.word", "service.labels"] {
        section(name, "<+>");
    }
    check("list", "{{#service.zones}}[{{.}}]{{/service.zones}}", "[a][b]");
    check(
        "map",
        "{{#service}}{{name}} {{resource.assets.uris.bootstrap}}{{/service}}",
        "/data/kafka http://host/bootstrap.zip",
    );
}

#[test]
fn nested_values_decide_the_same_in_every_dialect() {
    let template = Template::parse("{{#x}}+{{/x}}{{^x}}-{{/x}}").unwrap();
    for (value, expected) in [
        (Value::Null, "-"),
        (Value::from(false), "-"),
        (Value::from(true), "+"),
        (Value::from(0_i64), "+"),
        (Value::List(Vec::new()), "-"),
        (Value::from(vec![false, true]), "++"),
        (Value::from([("x", "")]), "+"),
        (Value::Map(std::collections::BTreeMap::new()), "+"),
    ] {
        for dialect in Dialect::ALL {
            let rendered = template.render_value(&Value::from([("x", value.clone())]), dialect).unwrap();
            assert_eq!(rendered.text, expected, "{value:?} in {dialect:?}");
        }
    }
}

#[test]
fn as_json_prints_the_whole_value() {
    check("string", "{{#asJson}}service.name{{/asJson}}", "\"/data/kafka\"");
    check("string, escaped", "{{#asJson}} service.text {{/asJson}}", r#""a \"b\" \\ c\nd\te""#);
    check("array", "{{#asJson}}service.zones{{/asJson}}", r#"["a","b"]"#);
    check("null", "{{#asJson}}service.null{{/asJson}}", "null");
    check("inside a section", "{{#service}}{{#asJson}}on{{/asJson}}{{/service}}", "true");
    check("inverted is a section", "{{^asJson}}+{{/asJson}}", "+");

    let render = |text: &str| Template::parse(text).unwrap().render_value(&options(), Dialect::Package);
    let rendered = render("<{{#asJson}}service.no{{/asJson}}>").unwrap();
    assert_eq!((rendered.text.as_str(), rendered.missing[0].to_string().as_str()), ("<>", "service.no@L1"));
    assert_eq!((rendered.uses[0].kind, rendered.uses[0].state), (UseKind::Json, UseState::Unset));
    for bad in ["{{#asJson}}{{/asJson}}", "{{#asJson}}a b{{/asJson}}", "{{#asJson}}{{service}}{{/asJson}}"] {
        let error = render(&format!("{{\n {bad}")).unwrap_err();
        assert!(matches!(error, RenderError::BadAsJson { .. }), "{bad}");
        assert_eq!(error.to_string(), "2:2: {{#asJson}} needs exactly one name before {{/asJson}}");
    }
    let elsewhere = Template::parse("<{{#asJson}}service.name{{/asJson}}>").unwrap();
    assert_eq!(elsewhere.render_value(&options(), Dialect::Scheduler).unwrap().text, "<>");
}

#[test]
fn lists_and_maps_are_json_in_every_dialect() {
    let template = Template::parse("{{labels}}|{{{labels}}}").unwrap();
    let values = Value::from([("labels", Value::from([("a", "<1>")]))]);
    let text = |dialect| template.render_value(&values, dialect).unwrap().text;
    assert_eq!(text(Dialect::Package), r#"{"a":"<1>"}|{"a":"<1>"}"#);
    assert_eq!(text(Dialect::Scheduler), r#"{"a":"<1>"}|{"a":"<1>"}"#);
    assert_eq!(text(Dialect::Config), r#"{&#34;a&#34;:&#34;&lt;1&gt;&#34;}|{"a":"<1>"}"#);
}

#[test]
fn values_are_made_from_what_there_is() {
    assert_eq!(Value::from(f64::NAN), Value::Null);
    assert_eq!(Value::from(u64::MAX), Value::Number("18446744073709551615".to_owned()));
    assert_eq!(Value::from(-1.5), Value::Number("-1.5".to_owned()));
    let map: Value = [("a", 1_i64)].into_iter().collect();
    assert_eq!(map, Value::from(std::collections::BTreeMap::from([("a".to_owned(), 1_i64)])));
    let flat: Vec<_> = options().flatten().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(flat[0], "resource.assets.uris.bootstrap=http://host/bootstrap.zip");
    assert_eq!(flat[1], r#"service.constraints=[["hostname","UNIQUE"]]"#);
    assert!(flat.contains(&"service.null=".to_owned()) && flat.contains(&"service.on=true".to_owned()));
    assert_eq!(Value::from("x").flatten()["."], "x");
}

#[test]
fn values_nested_too_deep_are_refused() {
    let nest = |levels: usize| (0..levels).fold(Value::from("x"), |inner, _| Value::List(vec![inner]));
    let template = Template::parse("{{x}}").unwrap();
    let render = |levels| template.render_value(&Value::from([("x", nest(levels))]), Dialect::Package);
    assert_eq!(render(limits::MAX_VALUE_DEPTH).unwrap().text.len(), 2 * limits::MAX_VALUE_DEPTH + 3);
    assert_eq!(render(limits::MAX_VALUE_DEPTH + 1).unwrap_err(), RenderError::ValueTooDeep);
    assert_eq!(Value::from([("x", nest(500))]).flatten()["x"], "…");
    let deep = (0..500).fold(Value::from("x"), |inner, _| Value::from([("n", inner)]));
    assert!(deep.flatten().into_iter().all(|(name, value)| value == "…" && name.len() < 300));
}
