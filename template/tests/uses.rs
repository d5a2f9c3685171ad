//! What a rendered template says about its variables, and where its bytes came from.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_template::{Dialect, Template, UseKind, UseState, Value};

fn variables() -> BTreeMap<String, String> {
    [("X", "x"), ("EMPTY", ""), ("HTML", "<a href=\"b\">'&'</a>`"), ("LINES", "1\n2")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[test]
fn missing_variables_are_listed_once_per_occurrence() {
    let template = "{{A}}\n{{#B}}{{C}}{{/B}}{{^D}}\n  {{D}}{{/D}}{{X}}{{EMPTY}}\nü {{{A}}}{{&A}}";
    let rendered = Template::parse(template).unwrap().render(&variables(), Dialect::Scheduler).unwrap();
    let missing: Vec<_> = rendered.missing.iter().map(|m| format!("{}@{}", m.name, m.position)).collect();
    assert_eq!(missing, ["A@1:1", "D@3:3", "A@4:3", "A@4:10"]);
    let empty: Vec<_> = rendered.uses.iter().filter(|u| u.state == UseState::Empty).map(|u| &*u.name).collect();
    assert_eq!(empty, ["EMPTY"]);
}

#[test]
fn values_the_sdk_would_have_escaped_are_noted() {
    let rendered =
        Template::parse("{{HTML}}{{{HTML}}}{{X}}{{LINES}}").unwrap().render(&variables(), Dialect::Scheduler).unwrap();
    let noted: Vec<_> = rendered.uses.iter().filter(|u| u.differs_from_sdk).map(|u| &*u.name).collect();
    assert_eq!(noted, ["HTML", "LINES"]);
}

#[test]
fn rendered_offsets_lead_back_to_the_template() {
    let source = "a: {{LINES}}\n{{#X}}\nb: {{X}} c\n{{/X}}\nd";
    let rendered = Template::parse(source).unwrap().render(&variables(), Dialect::Scheduler).unwrap();
    assert_eq!(rendered.text, "a: 1\n2\nb: x c\nd");
    let back = |needle: &str| &source[rendered.source_offset(rendered.text.find(needle).unwrap())..];
    assert!(back("1\n2").starts_with("{{LINES}}"));
    assert!(back("2").starts_with("{{LINES}}"));
    assert!(back("b:").starts_with("b: {{X}}"));
    assert!(back("x c").starts_with("{{X}} c"));
    assert!(back("c\n").starts_with("c\n"));
    assert!(back("d").starts_with('d'));
    assert_eq!(rendered.source_offset(10_000).min(source.len()), source.len());
}

/// Which variables of a template are missing in the scheduler's dialect, as strict mode lists them.
#[track_caller]
fn missing(label: &str, template: &str, expected: &[&str]) {
    let rendered = Template::parse(template).unwrap().render(&variables(), Dialect::Scheduler).unwrap();
    let found: Vec<_> = rendered.missing.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{label}");
}

#[test]
fn a_variable_is_missing_when_it_is_printed_while_unset() {
    missing("1.6 evaluated", "{{A}}\n{{{A}}}\n{{&A}}", &["A@L1", "A@L2", "A@L3"]);
    missing("1.6 section not taken", "{{#A}}{{B}}{{/A}}{{^X}}{{B}}{{/X}}", &[]);
    missing("1.6 sections themselves", "{{#A}}a{{/A}}\n{{^A}}a{{/A}}", &[]);
    missing("1.6 inverted", "{{^A}}\n{{A}}\n{{/A}}", &["A@L2"]);
    missing("1.6 empty", "{{EMPTY}}", &[]);
}

// contract: 1.6/strict-mode
#[test]
fn strict_mode_reports_every_missing_variable_and_what_was_there() {
    let template = Template::parse("a: {{A}}\nb: {{X}}\nc: {{C}}{{A}}\n").unwrap();
    let render = |variables| template.render(variables, Dialect::Scheduler).unwrap();
    let provided = BTreeMap::from([("Z".to_owned(), "2".to_owned()), ("X".to_owned(), "1".to_owned())]);
    let error = render(&provided).require_values(&provided).unwrap_err();
    assert_eq!(error.missing.len(), 3);
    assert_eq!(error.to_string(), "missing 3 values: A@L1, C@L3, A@L3\nprovided values:\n  X=1\n  Z=2");
    let none = BTreeMap::new();
    let error = Template::parse("{{A}}").unwrap().render(&none, Dialect::Package).unwrap().require_values(&none);
    assert_eq!(error.unwrap_err().to_string(), "missing 1 value: A@L1\nno values are provided");
    let all = BTreeMap::from(["A", "X", "C"].map(|name| (name.to_owned(), String::new())));
    assert_eq!(render(&all).require_values(&all).unwrap().text, "a: \nb: \nc: \n");
    // Production mode: the same text with nothing in the place of what is missing.
    assert_eq!(render(&provided).text, "a: \nb: 1\nc: \n");
}

#[test]
fn a_tag_in_a_list_is_missing_once() {
    let items = Value::from([("list", vec![Value::from([("a", 1_i64)]), Value::from([("b", 2_i64)]), Value::Null])]);
    let template = Template::parse("{{x}}{{#list}}{{a}}{{b}}{{#list}}{{y}}{{/list}}{{/list}}{{x}}").unwrap();
    let rendered = template.render_value(&items, Dialect::Package).unwrap();
    let found: Vec<_> = rendered.missing.iter().map(|m| format!("{}@{}", m.name, m.position.column)).collect();
    assert_eq!(found, ["x@1", "b@20", "y@34", "a@15", "x@57"]);
    assert_eq!(rendered.require_values(&items.flatten()).unwrap_err().provided["list"], r#"[{"a":1},{"b":2},null]"#);
}

#[test]
fn references_are_listed_without_values() {
    let source =
        "{{A}} {{{B}}}{{&B}}\n{{#C}}\n ü{{D}}{{^E}}{{! F }}{{.}}{{/E}}\n{{/C}}{{#asJson}} g.h {{/asJson}}{{I}}";
    let template = Template::parse(source).unwrap();
    let list = |dialect| {
        let lines = template.references(dialect).map(|reference| {
            let (name, kind) = (reference.name, reference.kind.as_str());
            format!("{}{name} {kind} {}", " ".repeat(reference.depth), reference.position)
        });
        lines.collect::<Vec<_>>()
    };
    let start = ["A value 1:1", "B raw 1:7", "B raw 1:14", "C section 2:1", " D value 3:3", " E inverted 3:8"];
    let expected: Vec<_> = start.into_iter().chain(["  . value 3:22", "asJson section 4:7", "I value 4:34"]).collect();
    assert_eq!(list(Dialect::Scheduler), expected);
    let expected: Vec<_> = start.into_iter().chain(["  . value 3:22", "g.h json 4:7", "I value 4:34"]).collect();
    assert_eq!(list(Dialect::Package), expected);
    for (reference, written) in template.references(Dialect::Package).zip(["{{A}}", "{{{B}}}", "{{&B}}", "{{#C}}"]) {
        assert!(source[reference.offset..].starts_with(written));
    }
    // Where an evaluation belongs to: the offset of its tag.
    let rendered = template.render(&variables(), Dialect::Scheduler).unwrap();
    let evaluated: Vec<_> = rendered.uses.iter().map(|used| used.tag.start).collect();
    let offsets: Vec<_> = template.references(Dialect::Scheduler).map(|reference| reference.offset).collect();
    assert!(evaluated.iter().all(|offset| offsets.contains(offset)));
    assert!(UseKind::Json.is_printed() && !UseKind::Inverted.is_printed());
}

#[test]
fn repeated_sections_lead_back_to_the_template_too() {
    let source = "[{{#list}}<{{.}}>{{/list}}]";
    let values = Value::from([("list", vec!["ab", "c"])]);
    let rendered = Template::parse(source).unwrap().render_value(&values, Dialect::Package).unwrap();
    assert_eq!(rendered.text, "[<ab><c>]");
    let back: Vec<_> = (0..rendered.text.len()).map(|at| rendered.source_offset(at)).collect();
    assert_eq!(back, [0, 10, 11, 11, 16, 10, 11, 16, 26]);
}
