//! Bounds: what is too large, too deep or too much work ends with an error, soon.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_template::{Dialect, RenderError, SyntaxErrorKind, Template, Value, limits};

fn flat(name: &str, value: impl Into<String>) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.into())])
}

#[test]
fn templates_are_bounded() {
    let long = "x".repeat(limits::MAX_TEMPLATE_BYTES + 1);
    assert!(matches!(Template::parse(&long).unwrap_err()[0].kind, SyntaxErrorKind::TooLong { .. }));
    assert!(Template::parse(&long[1..]).is_ok());
    assert_eq!(Template::parse(&"{{}}".repeat(1000)).unwrap_err().len(), limits::MAX_ERRORS);
}

#[test]
fn mistakes_on_one_long_line_are_found_soon() {
    // Counting the columns of each anew took half a minute.
    let units = ["{{#X}}", "{{/X}}", "{{", "{{{", "{{}}", "{{>p}}", "{{#X}}{{/Y}}", "{{=a=}}", "{{X"];
    for unit in units {
        let errors = Template::parse(&unit.repeat(limits::MAX_TEMPLATE_BYTES / unit.len())).unwrap_err();
        assert!((1..=limits::MAX_ERRORS).contains(&errors.len()), "{unit}");
        assert_eq!((errors[0].position.line, errors[0].offset + 1), (1, errors[0].position.column), "{unit}");
    }
    let errors = Template::parse(&"{{#X}}".repeat(limits::MAX_TEMPLATE_BYTES / 6)).unwrap_err();
    // One of the hundred says that a section is too deep, at the place of another.
    assert_eq!((errors.len(), errors[99].position.column), (limits::MAX_ERRORS, 98 * 6 + 1));
}

#[test]
fn sections_nest_so_deep_and_no_deeper() {
    let nest = |depth: usize| "{{#X}}".repeat(depth) + &"{{/X}}".repeat(depth);
    assert!(Template::parse(&nest(limits::MAX_DEPTH)).is_ok());
    // The deepest that fits into a template: once it overflowed the stack when its nodes were dropped.
    for depth in [limits::MAX_DEPTH + 1, limits::MAX_TEMPLATE_BYTES / 12] {
        let errors = Template::parse(&nest(depth)).unwrap_err();
        assert!(matches!(errors[0].kind, SyntaxErrorKind::TooDeep { .. }));
        assert_eq!(errors.len(), 1);
    }
}

#[test]
fn results_are_bounded() {
    let variables = flat("BIG", "x".repeat(1024 * 1024));
    let template = |times| Template::parse(&"{{BIG}}".repeat(times)).unwrap();
    for dialect in Dialect::ALL {
        assert_eq!(template(8).render(&variables, dialect).unwrap().text.len(), limits::MAX_RENDERED_BYTES);
        assert_eq!(template(9).render(&variables, dialect).unwrap_err(), RenderError::TooLong);
    }
    let list = Value::from([("list", vec!["x".repeat(1024 * 1024); 9])]);
    let template = Template::parse("{{list}}").unwrap();
    assert_eq!(template.render_value(&list, Dialect::Package).unwrap_err(), RenderError::TooLong);
}

#[test]
fn every_template_of_flat_values_stays_below_the_steps() {
    let variables = flat("X", "1");
    for unit in ["a|X|", "|X|", "|#X||/X|", "|#X|a|/X|", "|^Y|a|/Y|", "{{X}}", "|X|\n"] {
        let delimiters = if unit.starts_with('{') { "" } else { "{{=| |=}}" };
        let body = unit.repeat((limits::MAX_TEMPLATE_BYTES - delimiters.len()) / unit.len());
        let template = Template::parse(&format!("{delimiters}{body}")).unwrap();
        assert!(template.render(&variables, Dialect::Scheduler).is_ok(), "{unit}");
    }
    let long = format!("{{{{{}}}}}", "N.".repeat(limits::MAX_TEMPLATE_BYTES / 2 - 4));
    assert!(Template::parse(&long).unwrap().render(&variables, Dialect::Scheduler).is_ok());
}

/// A list of 10,000 items, its section nested three times: 10¹² repetitions.
#[track_caller]
fn repeated(body: &str, expected: RenderError) {
    let values = Value::from([("l", vec![1_i64; 10_000])]);
    let template = "{{#l}}{{#l}}{{#l}}B{{/l}}{{/l}}{{/l}}".replace('B', body);
    let template = Template::parse(&template).unwrap();
    for dialect in Dialect::ALL {
        assert_eq!(template.render_value(&values, dialect).unwrap_err(), expected, "{body:?} in {dialect:?}");
    }
}

#[test]
fn nested_lists_stop_whatever_they_print() {
    repeated("", RenderError::TooManySteps);
    repeated("{{! nothing }}", RenderError::TooManySteps);
    repeated("{{no}}", RenderError::TooManySteps);
    repeated("{{^no}}{{/no}}", RenderError::TooManySteps);
    repeated("{{#no}}x{{/no}}", RenderError::TooManySteps);
    repeated("x", RenderError::TooManySteps);
    repeated("a line that is long enough to fill the result before the steps are used up", RenderError::TooLong);
    repeated(&format!("{{{{{}}}}}", "no.".repeat(10_000)), RenderError::TooManySteps);
}

#[test]
fn one_list_may_be_long() {
    let values = Value::from([("l", vec![1_i64; 100_000])]);
    let text = Template::parse("{{#l}}{{.}},{{/l}}").unwrap().render_value(&values, Dialect::Package).unwrap().text;
    assert_eq!(text.len(), 200_000);
}

#[test]
fn judging_blanks_counts_as_work() {
    let variables = flat("B", " ".repeat(1024 * 1024));
    let template = Template::parse(&"{{#B}}{{/B}}".repeat(80_000)).unwrap();
    assert_eq!(template.render(&variables, Dialect::Config).unwrap_err(), RenderError::TooManySteps);
}
