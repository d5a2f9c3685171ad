//! Syntax errors: all of them, each with its place and the names involved.
#![allow(clippy::unwrap_used)]

use mainstay_template::{Position, Template};

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
fn every_mistake_is_reported_in_the_order_of_its_place() {
    errors(
        "{{#A}}\n{{ NAME\n{{>p}} {{/B}}\n{{}}\n{{=x=}}{{#C}}{{{D}}\n",
        &[
            "1:1: section A is not closed; {{/A}} is missing",
            "2:1: tag {{ NAME is not closed on its line",
            "3:1: template p not found: partials are not supported",
            "3:8: {{/B}} does not close the open section A of line 1; expected {{/A}}",
            "4:1: tag has no name",
            "5:1: delimiter change names \"x\"; it needs two delimiters without = as in {{=<% %>=}}",
            "5:8: section C is not closed; {{/C}} is missing",
            "5:14: tag {{{D}} is not closed on its line",
        ],
    );
}

#[test]
fn delimiter_changes_are_two_words_between_equals_signs() {
    let bad = |text: &str, found: &str| {
        let message = "it needs two delimiters without = as in {{=<% %>=}}";
        errors(text, &[&format!("1:1: delimiter change names {found:?}; {message}")]);
    };
    bad("{{==}}", "");
    bad("{{= =}}", "");
    bad("{{=a b c=}}", "a b c");
    bad("{{=a= =b=}}", "a= =b");
    bad("{{ =a b}}", "");
    errors("{{=<% %>}}\n{{X}}", &["1:1: tag {{=<% %>}} is not closed on its line"]);
    errors("{{=a\nb=}}", &["1:1: tag {{=a is not closed on its line"]);
    for good in ["{{={{ }}=}}", "{{ =<% %>= }}<%={{ }}=%>", "{{=\ta\t\tb =}}a={{ }}=b"] {
        let template = Template::parse(&format!("{good}{{{{X}}}}")).unwrap();
        let variables = std::collections::BTreeMap::from([("X".to_owned(), "x".to_owned())]);
        assert_eq!(template.render(&variables, mainstay_template::Dialect::Config).unwrap().text, "x", "{good}");
    }
}

#[test]
fn a_tag_after_a_changed_delimiter_is_named_as_written() {
    errors(
        "{{=<% %>=}}\n<%X\n<%#A%>",
        &["2:1: tag <%X is not closed on its line", "3:1: section A is not closed; {{/A}} is missing"],
    );
}
