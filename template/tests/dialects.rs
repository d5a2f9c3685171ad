//! Flat values in the three dialects: what differs, and what the mustache specification leaves open.
//!
//! Labels such as `1.3 0` name the section and row of the reference of `svc.yml` that a check covers. The cases of the
//! mustache specification are in `mustache/`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_template::{Dialect, Template, render_config};

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
fn all(template: &str, expected: &str) {
    for dialect in Dialect::ALL {
        check(dialect, template, expected);
    }
}

#[test]
fn interpolation() {
    all("", "");
    all("no tags", "no tags");
    all("a {{X}} b", "a x b");
    all("{{X}}{{X}}", "xx");
    all("{{ X }}|{{  X\t}}|{{\nX\n}}", "x|x|x");
    all("{{{X}}}|{{{ X }}}", "x|x");
    all("{{&X}}|{{& X }}|{{ & X }}", "x|x|x");
    all("{{UNSET}}|{{{UNSET}}}|{{&UNSET}}", "||");
    all("{{EMPTY}}", "");
    all("  {{X}}\n", "  x\n");
    all("  {{X}}  \n{{X}}", "  x  \nx");
    all(r"\{{X}}", r"\x");
    all("{X} }} { {{X}}", "{X} }} { x");
    all("{{X}}}", "x}");
    all("ü{{X}}ü", "üxü");
    check(Dialect::Scheduler, "{{{LINES}}}", "1\n2");
    check(Dialect::Config, "{{{LINES}}}", "1\n2");
}

#[test]
fn values_are_never_rendered_again() {
    all("{{Y}}{{{Y}}}", "{{X}}{{X}}");
}

#[test]
fn sections() {
    all("{{#X}}a{{/X}}", "a");
    all("{{#UNSET}}a{{/UNSET}}{{#EMPTY}}b{{/EMPTY}}", "");
    all("{{# X }}a{{/ X }}", "a");
    all("{{ #X }}a{{ /X }}", "a");
    all("{{#X}}{{.}}{{/X}}", "x");
    all("{{#X}}{{#ZERO}}{{.}}{{/ZERO}}{{.}}{{/X}}", "0x");
    all("{{#X}}{{X}}{{/X}}", "x");
    all("{{#X}}1{{#X}}2{{/X}}3{{/X}}", "123");
    all("{{#X}}1{{#UNSET}}2{{/UNSET}}3{{/X}}", "13");
    all("{{#UNSET}}1{{#X}}2{{/X}}3{{/UNSET}}", "");
    all("a {{#X}}b{{/X}} c", "a b c");
}

#[test]
fn inverted_sections() {
    all("{{^X}}a{{/X}}", "");
    all("{{^UNSET}}a{{/UNSET}}{{^EMPTY}}b{{/EMPTY}}", "ab");
    all("{{^ UNSET }}a{{/ UNSET }}", "a");
    all("{{#X}}yes{{/X}}{{^X}}no{{/X}}", "yes");
    all("{{#UNSET}}yes{{/UNSET}}{{^UNSET}}no{{/UNSET}}", "no");
    all("{{^UNSET}}1{{^UNSET}}2{{/UNSET}}3{{/UNSET}}", "123");
    all("{{#X}}{{^UNSET}}{{.}}{{/UNSET}}{{/X}}", "x");
    check(Dialect::Scheduler, "{{^F}}off {{F}}{{/F}}", "off false");
}

#[test]
fn comments() {
    all("a{{! anything {{ at all }}b", "ab");
    all("a{{!\nover\nlines\n}}b", "ab");
    all("a\n{{! alone }}\nb", "a\nb");
    all("a\n  {{! alone,\n indented }}\nb", "a\nb");
    all("a {{! inline }}\nb", "a \nb");
    all("a\r\n{{! alone }}\r\nb", "a\r\nb");
    all("{{! alone }}", "");
    all("{{ ! spaced }}a", "a");
}

#[test]
fn delimiters() {
    all("{{=<% %>=}}<%X%>{{X}}", "x{{X}}");
    all("{{= | | =}}|X|", "x");
    all("{{=<% %>=}}<%#X%>a<%/X%><%={{ }}=%>{{X}}", "ax");
    all("a\n{{=<% %>=}}\n<%X%>", "a\nx");
    all("a {{=<% %>=}}\n<%X%>", "a \nx");
    all("{{=<% %>=}}<%&X%>", "x");
    all("{{#X}}{{=| |=}}|X||/X||X|", "xx");
    all("{{=<<    >>  =}}<<X>>", "x");
}

#[test]
fn standalone_lines() {
    all("a\n{{#X}}\nb\n{{/X}}\nc\n", "a\nb\nc\n");
    all("a\n  {{#X}}  \nb\n\t{{/X}}\t\nc\n", "a\nb\nc\n");
    all("a\r\n{{#X}}\r\nb\r\n{{/X}}\r\nc", "a\r\nb\r\nc");
    all("{{#X}}\nb\n{{/X}}", "b\n");
    all("  {{^UNSET}}\n  b\n  {{/UNSET}}", "  b\n");
    all("a\n{{#UNSET}}\nb\n{{/UNSET}}\nc\n", "a\nc\n");
    all("a\n{{#X}}\n{{#X}}\nb\n{{/X}}\n{{/X}}\nc\n", "a\nb\nc\n");
    // Not alone: text before, text after, two tags, a variable.
    all("text {{#X}}\nb{{/X}}\n", "text \nb\n");
    all("{{#X}} # note\nb\n{{/X}}\n", " # note\nb\n");
    all("{{#X}}{{#X}}\nb\n{{/X}}{{/X}}\n", "\nb\n\n");
    all("{{X}}\n{{EMPTY}}\n", "x\n\n");
}

// contract: 1.2/comment 1.2/delimiters 1.2/spaces 1.2/dots 1.2/nested 1.5/section-line 1.5/trailing-blanks
// contract: 1.5/comment-line 1.5/text-before 1.5/note-after 1.5/two-tags 1.5/variable-line
#[test]
fn each_row_of_the_reference_on_tags_and_lines() {
    let row = |label: &str, template: &str, expected: &str| {
        let rendered = Template::parse(template).unwrap().render(&variables(), Dialect::Scheduler).unwrap();
        assert_eq!(rendered.text, expected, "{label}");
    };
    row("1.2 {{X}}", "{{X}}<{{UNSET}}>", "x<>");
    row("1.2 {{{X}}} and {{&X}}", "{{{HTML}}}{{&X}}", "<a href=\"b\">'&'</a>`x");
    row("1.2 {{#X}}…{{/X}}", "{{#X}}({{.}}){{/X}}{{#UNSET}}no{{/UNSET}}", "(x)");
    row("1.2 {{^X}}…{{/X}}", "{{^X}}no{{/X}}{{^EMPTY}}yes{{/EMPTY}}", "yes");
    row("1.2 {{! … }}", "a{{! one\ntwo }}b", "ab");
    row("1.2 {{=<% %>=}}", "{{=<% %>=}}<%X%>", "x");
    row("1.2 spaces", "{{ X }}{{# X }}y{{/ X }}{{^ UNSET }}z{{/ UNSET }}", "xyz");
    row("1.2 dots", "{{A.B}}", "dotted");
    row("1.2 same name", "{{#X}}1{{#X}}2{{/X}}3{{/X}}", "123");
    row("1.2 not rendered again", "{{Y}}", "{{X}}");
    row("1.5 section tag", "a\r\n  {{#X}}\r\nb\r\n  {{/X}}\r\nc\r\n", "a\r\nb\r\nc\r\n");
    row("1.5 trailing blanks", "{{#X}}  \nb\n{{/X}}\t\nc\n", "b\nc\n");
    row("1.5 comment", "a\n  {{! b }}\nc\n", "a\nc\n");
    row("1.5 text before", "text {{#X}}\nb{{/X}}", "text \nb");
    row("1.5 YAML comment", "{{#X}} # note\nb\n{{/X}}\nc\n", " # note\nb\nc\n");
    row("1.5 YAML comment, falsy", "{{#UNSET}} # note\nb\n{{/UNSET}}\nc\n", "c\n");
    row("1.5 two tags", "{{#X}}{{#T}}\nb\n{{/T}}{{/X}}\n", "\nb\n\n");
    row("1.5 variable", "  {{EMPTY}}  \n", "    \n");
    let error = |label: &str, template: &str, expected: &str| {
        assert_eq!(Template::parse(template).unwrap_err()[0].to_string(), expected, "{label}");
    };
    error("1.2 {{>name}}", "{{>name}}", "1:1: template name not found: partials are not supported");
    error("1.7 no closing braces", "\n {{X\n", "2:2: tag {{X is not closed on its line");
    error("1.7 never closed", "{{#A}}", "1:1: section A is not closed; {{/A}} is missing");
    let mismatch = "1:7: {{/B}} does not close the open section A of line 1; expected {{/A}}";
    error("1.7 closing another", "{{#A}}{{/B}}{{/A}}", mismatch);
    error("1.7 empty tag", "{{}}", "1:1: tag has no name");
}

/// What prints and whether a section is shown, for one value (`None`: unset): `printed|shown` with `+` for shown.
#[track_caller]
fn value(label: &str, value: Option<&str>, scheduler: &str, config: &str, package: &str) {
    let variables: BTreeMap<_, _> = value.map(|value| ("V".to_owned(), value.to_owned())).into_iter().collect();
    let template = Template::parse("{{{V}}}|{{#V}}+{{/V}}{{^V}}-{{/V}}").unwrap();
    for (dialect, expected) in Dialect::ALL.into_iter().zip([scheduler, config, package]) {
        let rendered = template.render(&variables, dialect).unwrap();
        assert_eq!(rendered.text, expected, "{label} in {dialect:?}");
        assert_eq!(dialect.is_truthy(value), expected.ends_with('+'), "{label} in {dialect:?}");
    }
}

// contract: 1.3/in-task-differs 5.4/booleans 5.4/falsy
#[test]
fn values_print_and_decide_as_their_dialect_says() {
    // Label, value, scheduler (1.3), configuration (5.4), package.
    value("1.3 unset", None, "|-", "|-", "|-");
    value("1.3 empty", Some(""), "|-", "|-", "|-");
    value("1.3 false", Some("false"), "false|-", "false|-", "false|+");
    value("1.3 False", Some("False"), "false|-", "false|-", "False|+");
    value("1.3 FALSE", Some("FALSE"), "false|-", "false|-", "FALSE|+");
    value("1.3 true", Some("true"), "true|+", "true|+", "true|+");
    value("1.3 TRUE", Some("TRUE"), "true|+", "TRUE|+", "TRUE|+");
    value("1.3 True", Some("True"), "true|+", "True|+", "True|+");
    for same in ["0", "no", "off", "null", "none", "[]", "{}", "yes", "anything else"] {
        let shown = format!("{same}|+");
        value("1.3 0, no, off, …", Some(same), &shown, &shown, &shown);
    }
    value("1.3 only spaces", Some("  "), "  |+", "  |-", "  |+");
    value("5.4 whitespace-only", Some(" \t\n"), " \t\n|+", " \t\n|-", " \\t\\n|+");
    value("1.3 surrounding spaces", Some(" false "), " false |+", " false |+", " false |+");
    value("1.3 surrounding spaces", Some(" TRUE "), " TRUE |+", " TRUE |+", " TRUE |+");
}

#[test]
fn the_context_of_a_section_is_its_value() {
    check(Dialect::Scheduler, "{{#T}}{{.}}{{/T}}", "true");
    check(Dialect::Config, "{{#T}}{{.}}{{/T}}", "TRUE");
    check(Dialect::Package, "{{#T}}{{.}}{{/T}}", "TRUE");
    all("<{{.}}>", "<>");
    all("<{{^UNSET}}{{.}}{{/UNSET}}>", "<>");
}

// contract: 5.4/escape
#[test]
fn characters_are_escaped_as_their_dialect_says() {
    // Row of 1.4, character, whether the SDK would escape it in a specification, configuration, package.
    for (label, character, differs, config, package) in [
        ("1.4 & < >", "&", true, "&amp;", "&"),
        ("1.4 & < >", "<", true, "&lt;", "<"),
        ("1.4 & < >", ">", true, "&gt;", ">"),
        ("1.4 quotes", "\"", true, "&#34;", "\\\""),
        ("1.4 quotes", "'", true, "&#39;", "'"),
        ("1.4 back-tick", "`", true, "`", "`"),
        ("1.4 =", "=", true, "=", "="),
        ("1.4 control", "\t", true, "\t", "\\t"),
        ("1.4 control", "\n", true, "\n", "\\n"),
        ("1.4 control", "\r", true, "\r", "\\r"),
        ("1.4 control", "\u{8}", true, "\u{8}", "\\b"),
        ("1.4 control", "\u{c}", true, "\u{c}", "\\f"),
        ("1.4 control", "\u{1}", true, "\u{1}", "\\u0001"),
        ("1.4 else", "\u{1b}", false, "\u{1b}", "\\u001b"),
        ("1.4 else", "/", false, "/", "/"),
        ("1.4 else", "\\", false, "\\", "\\\\"),
        ("1.4 else", "ü", false, "ü", "ü"),
    ] {
        let variables = BTreeMap::from([("V".to_owned(), format!("a{character}b"))]);
        let (both, raw) = (Template::parse("{{V}}").unwrap(), Template::parse("{{{V}}}{{&V}}").unwrap());
        let text = |template: &Template, dialect| template.render(&variables, dialect).unwrap();
        let rendered = text(&both, Dialect::Scheduler);
        assert_eq!(rendered.text, format!("a{character}b"), "{label}");
        assert_eq!(rendered.uses[0].differs_from_sdk, differs, "{label} {character:?}");
        assert!(text(&raw, Dialect::Scheduler).uses.iter().all(|used| !used.differs_from_sdk), "{label}");
        assert_eq!(text(&both, Dialect::Config).text, format!("a{config}b"), "{label} {character:?}");
        assert_eq!(text(&raw, Dialect::Config).text, format!("a{character}ba{character}b"), "{label}");
        assert_eq!(text(&both, Dialect::Package).text, format!("a{package}b"), "{label} {character:?}");
        assert_eq!(text(&raw, Dialect::Package).text, format!("a{package}ba{package}b"), "{label}");
    }
}

// contract: 5.4/dots
#[test]
fn names_with_dots_are_whole_names_first() {
    check(Dialect::Scheduler, "{{A.B}}{{#A.B}}+{{/A.B}}", "dotted+");
    check(Dialect::Config, "{{A.B}}{{^A.B}}-{{/A.B}}", "-");
    check(Dialect::Package, "{{A.B}}", "dotted");
}

// contract: 5.4/missing
#[test]
fn a_configuration_file_is_rendered_or_explained() {
    assert_eq!(render_config("{{UNSET}}a={{X}}\n", &variables()).unwrap(), "a=x\n");
    let error = render_config("{{#A}}\n{{B", &variables()).unwrap_err().to_string();
    assert_eq!(error, "1:1: section A is not closed; {{/A}} is missing; 2:1: tag {{B is not closed on its line");
}
