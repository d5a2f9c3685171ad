//! What `docs/templates.md` shows is what comes out.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use mainstay_template::{Dialect, Template, limits};

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/templates.md")).unwrap()
}

/// The rows of all tables behind a marker, as cells; every code span of a cell on its own.
fn rows(marker: &str) -> Vec<Vec<Vec<String>>> {
    let (page, marker) = (page(), format!("<!-- checked: {marker} -->"));
    let tables = page.split(&marker).skip(1);
    let lines = tables.flat_map(|table| table.trim_start().lines().take_while(|line| line.starts_with('|')).skip(2));
    let spans = |cell: &str| cell.split('`').skip(1).step_by(2).map(text).collect();
    lines.map(|line| line.trim_matches('|').split('|').map(spans).collect()).collect()
}

fn text(span: &str) -> String {
    span.replace('⏎', "\n").replace('·', " ")
}

#[test]
fn results_are_real() {
    let rows = rows("results");
    assert!(rows.len() > 20);
    for row in rows {
        let [template, values, results @ ..] = &row[..] else { panic!("{row:?}") };
        assert_eq!(results.len(), 3, "{row:?}");
        let pair = |value: &String| value.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables: BTreeMap<_, _> = values.iter().map(|value| pair(value).unwrap()).collect();
        let template = Template::parse(&template[0]).unwrap();
        for (dialect, expected) in Dialect::ALL.into_iter().zip(results) {
            let text = template.render(&variables, dialect).unwrap().text;
            assert_eq!(text, expected[0], "{row:?} in {dialect:?}");
        }
    }
}

#[test]
fn messages_are_real() {
    let rows = rows("errors");
    assert_eq!(rows.len(), 7);
    for row in rows {
        let errors = Template::parse(&row[0][0]).unwrap_err();
        assert_eq!(errors.len(), 1, "{row:?}");
        assert_eq!(errors[0].to_string(), row[1][0]);
    }
}

#[test]
fn limits_are_those_of_the_engine() {
    let page = page();
    let shown = |number: usize| {
        let digits = number.to_string();
        let groups: Vec<_> =
            digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
        groups.join(",")
    };
    for (label, number) in [
        ("| template | 1 MiB (", limits::MAX_TEMPLATE_BYTES),
        ("| result | 8 MiB (", limits::MAX_RENDERED_BYTES),
        ("| sections inside sections | ", limits::MAX_DEPTH),
        ("| steps of rendering (pieces of text, tags, repetitions) | ", limits::MAX_STEPS),
        ("| lists and maps inside a printed value | ", limits::MAX_VALUE_DEPTH),
        ("| mistakes reported at once | ", limits::MAX_ERRORS),
    ] {
        assert!(page.contains(&format!("{label}{}", shown(number))), "{label}");
    }
}
