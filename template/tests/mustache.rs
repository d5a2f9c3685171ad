//! Behaviour case by case: our own table after the public mustache specification, and the two dialects.
//!
//! Deviations from the mustache specification, all because values are flat text from an environment:
//! names with dots are one name (scheduler) or never found (configuration); partials and lambdas are errors; blanks
//! before the sigil of a tag are allowed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_template::{Dialect, Position, SyntaxErrorKind, Template, UseState, limits, render_config};

fn variables() -> BTreeMap<String, String> {
    [
        ("X", "x"),
        ("Y", "{{X}}"),
        ("EMPTY", ""),
        ("T", "TRUE"),
        ("F", "False"),
        ("PADDED", " false "),
        ("ZERO", "0"),
        ("NO", "no"),
        ("BLANK", "  "),
        ("HTML", "<a href=\"b\">'&'</a>`"),
        ("A.B", "dotted"),
        ("LINES", "1\n2"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

#[track_caller]
fn check(dialect: Dialect, template: &str, expected: &str) {
    let rendered = Template::parse(template).unwrap().render(&variables(), dialect).unwrap();
    assert_eq!(rendered.text, expected, "template {template:?}");
}

#[track_caller]
fn both(template: &str, expected: &str) {
    check(Dialect::Scheduler, template, expected);
    check(Dialect::Config, template, expected);
}

#[test]
fn interpolation() {
    both("", "");
    both("no tags", "no tags");
    both("a {{X}} b", "a x b");
    both("{{X}}{{X}}", "xx");
    both("{{ X }}|{{  X\t}}|{{\nX\n}}", "x|x|x");
    both("{{{X}}}|{{{ X }}}", "x|x");
    both("{{&X}}|{{& X }}|{{ & X }}", "x|x|x");
    both("{{UNSET}}|{{{UNSET}}}|{{&UNSET}}", "||");
    both("{{EMPTY}}", "");
    both("  {{X}}\n", "  x\n");
    both("  {{X}}  \n{{X}}", "  x  \nx");
    both(r"\{{X}}", r"\x");
    both("{X} }} { {{X}}", "{X} }} { x");
    both("{{X}}}", "x}");
    both("ü{{X}}ü", "üxü");
    both("{{{LINES}}}", "1\n2");
}

#[test]
fn values_are_never_rendered_again() {
    both("{{Y}}{{{Y}}}", "{{X}}{{X}}");
}

#[test]
fn sections() {
    both("{{#X}}a{{/X}}", "a");
    both("{{#UNSET}}a{{/UNSET}}{{#EMPTY}}b{{/EMPTY}}", "");
    both("{{# X }}a{{/ X }}", "a");
    both("{{ #X }}a{{ /X }}", "a");
    both("{{#X}}{{.}}{{/X}}", "x");
    both("{{#X}}{{#ZERO}}{{.}}{{/ZERO}}{{.}}{{/X}}", "0x");
    both("{{#X}}{{X}}{{/X}}", "x");
    both("{{#X}}1{{#X}}2{{/X}}3{{/X}}", "123");
    both("{{#X}}1{{#UNSET}}2{{/UNSET}}3{{/X}}", "13");
    both("{{#UNSET}}1{{#X}}2{{/X}}3{{/UNSET}}", "");
    both("a {{#X}}b{{/X}} c", "a b c");
}

#[test]
fn inverted_sections() {
    both("{{^X}}a{{/X}}", "");
    both("{{^UNSET}}a{{/UNSET}}{{^EMPTY}}b{{/EMPTY}}", "ab");
    both("{{^ UNSET }}a{{/ UNSET }}", "a");
    both("{{#X}}yes{{/X}}{{^X}}no{{/X}}", "yes");
    both("{{#UNSET}}yes{{/UNSET}}{{^UNSET}}no{{/UNSET}}", "no");
    both("{{^UNSET}}1{{^UNSET}}2{{/UNSET}}3{{/UNSET}}", "123");
    both("{{#X}}{{^UNSET}}{{.}}{{/UNSET}}{{/X}}", "x");
    both("{{^F}}off {{F}}{{/F}}", "off false");
}

#[test]
fn comments() {
    both("a{{! anything {{ at all }}b", "ab");
    both("a{{!\nover\nlines\n}}b", "ab");
    both("a\n{{! alone }}\nb", "a\nb");
    both("a\n  {{! alone,\n indented }}\nb", "a\nb");
    both("a {{! inline }}\nb", "a \nb");
    both("a\r\n{{! alone }}\r\nb", "a\r\nb");
    both("{{! alone }}", "");
    both("{{ ! spaced }}a", "a");
}

#[test]
fn delimiters() {
    both("{{=<% %>=}}<%X%>{{X}}", "x{{X}}");
    both("{{= | | =}}|X|", "x");
    both("{{=<% %>=}}<%#X%>a<%/X%><%={{ }}=%>{{X}}", "ax");
    both("a\n{{=<% %>=}}\n<%X%>", "a\nx");
    both("a {{=<% %>=}}\n<%X%>", "a \nx");
    both("{{=<% %>=}}<%&X%>", "x");
    both("{{#X}}{{=| |=}}|X||/X||X|", "xx");
    both("{{=<<    >>  =}}<<X>>", "x");
}

#[test]
fn standalone_lines() {
    both("a\n{{#X}}\nb\n{{/X}}\nc\n", "a\nb\nc\n");
    both("a\n  {{#X}}  \nb\n\t{{/X}}\t\nc\n", "a\nb\nc\n");
    both("a\r\n{{#X}}\r\nb\r\n{{/X}}\r\nc", "a\r\nb\r\nc");
    both("{{#X}}\nb\n{{/X}}", "b\n");
    both("  {{^UNSET}}\n  b\n  {{/UNSET}}", "  b\n");
    both("a\n{{#UNSET}}\nb\n{{/UNSET}}\nc\n", "a\nc\n");
    both("a\n{{#X}}\n{{#X}}\nb\n{{/X}}\n{{/X}}\nc\n", "a\nb\nc\n");
    // Not alone: text before, text after, two tags, a variable.
    both("text {{#X}}\nb{{/X}}\n", "text \nb\n");
    both("{{#X}} # note\nb\n{{/X}}\n", " # note\nb\n");
    both("{{#X}}{{#X}}\nb\n{{/X}}{{/X}}\n", "\nb\n\n");
    both("{{X}}\n{{EMPTY}}\n", "x\n\n");
}

#[test]
fn scheduler_dialect() {
    let scheduler = |template, expected| check(Dialect::Scheduler, template, expected);
    scheduler("{{T}} {{{T}}} {{F}} {{PADDED}}", "true true false  false ");
    scheduler("{{#F}}a{{/F}}{{#T}}b{{/T}}{{#PADDED}}c{{/PADDED}}", "bc");
    scheduler("{{#ZERO}}a{{/ZERO}}{{#NO}}b{{/NO}}{{#BLANK}}c{{/BLANK}}", "abc");
    scheduler("{{#T}}{{.}}{{/T}}", "true");
    scheduler("{{HTML}}", "<a href=\"b\">'&'</a>`");
    scheduler("{{A.B}}", "dotted");
}

#[test]
fn config_dialect() {
    let config = |template, expected| check(Dialect::Config, template, expected);
    config("{{T}} {{F}} {{PADDED}}", "TRUE false  false ");
    config("{{#F}}a{{/F}}{{#T}}b{{/T}}{{#ZERO}}c{{/ZERO}}", "bc");
    config("{{#BLANK}}a{{/BLANK}}{{^BLANK}}b{{/BLANK}}", "b");
    config("{{HTML}}", "&lt;a href=&#34;b&#34;&gt;&#39;&amp;&#39;&lt;/a&gt;`");
    config("{{{HTML}}}{{&X}}", "<a href=\"b\">'&'</a>`x");
    config("{{A.B}}", "");
    assert_eq!(render_config("{{UNSET}}a=b", &variables()).unwrap(), "a=b");
    let error = render_config("{{#A}}\n{{B", &variables()).unwrap_err().to_string();
    assert_eq!(error, "1:1: section A is not closed; {{/A}} is missing; 2:1: tag {{B is not closed on its line");
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

#[track_caller]
fn errors(template: &str, expected: &[&str]) {
    let found: Vec<_> = Template::parse(template).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "template {template:?}");
}

#[test]
fn syntax_errors_name_place_and_sections() {
    errors("name: {{NAME\ncount: {{COUNT}}\n", &["1:7: tag {{NAME is not closed on its line"]);
    errors("{{NAME {{OTHER}}", &["1:1: tag {{NAME {{OTHER}} is not closed on its line"]);
    errors("{{{X}}", &["1:1: tag {{{X}} is not closed on its line"]);
    errors("a\n {{}}{{ }}{{#}}", &["2:2: tag has no name", "2:6: tag has no name", "2:11: tag has no name"]);
    errors("{{>base}}", &["1:1: template base not found: partials are not supported"]);
    errors("a\n{{#A}}\nb", &["2:1: section A is not closed; {{/A}} is missing"]);
    errors("{{/A}}", &["1:1: {{/A}} closes a section that is not open"]);
    errors("{{#A}}\n{{#B}}\n{{/A}}\n", &["3:1: {{/A}} does not close the open section B of line 2; expected {{/B}}"]);
    errors("{{#A}}\n{{/C}}\n{{/A}}\n", &["2:1: {{/C}} does not close the open section A of line 1; expected {{/A}}"]);
    errors("{{=a=}}", &["1:1: delimiter change names \"a\"; it needs two delimiters without = as in {{=<% %>=}}"]);
    errors(
        "{{#A}}{{>p}}\n{{}}",
        &[
            "1:1: section A is not closed; {{/A}} is missing",
            "1:7: template p not found: partials are not supported",
            "2:1: tag has no name",
        ],
    );
    let error = &Template::parse("ü{{}}").unwrap_err()[0];
    assert_eq!((error.position, error.offset, error.length), (Position { line: 1, column: 2 }, 2, 4));
}

#[test]
fn limits_hold() {
    let long = "x".repeat(limits::MAX_TEMPLATE_BYTES + 1);
    assert!(matches!(Template::parse(&long).unwrap_err()[0].kind, SyntaxErrorKind::TooLong { .. }));
    let nest = |depth: usize| "{{#X}}".repeat(depth) + &"{{/X}}".repeat(depth);
    assert!(Template::parse(&nest(limits::MAX_DEPTH)).is_ok());
    let error = &Template::parse(&nest(limits::MAX_DEPTH + 1)).unwrap_err()[0];
    assert!(matches!(error.kind, SyntaxErrorKind::TooDeep { .. }));
    let variables = BTreeMap::from([("BIG".to_owned(), "x".repeat(1024 * 1024))]);
    let template = Template::parse(&"{{BIG}}".repeat(9)).unwrap();
    assert!(template.render(&variables, Dialect::Config).is_err());
    assert_eq!(Template::parse(&"{{}}".repeat(1000)).unwrap_err().len(), limits::MAX_ERRORS);
}
