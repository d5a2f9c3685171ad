//! The public mustache specification (<https://github.com/mustache/spec>), case by case.
//!
//! Names of the cases are those of the specification, templates and values are our own. Every case runs in all three
//! dialects; where one of them deviates on purpose, the case says so, and `docs/templates.md` says why.
#![allow(clippy::unwrap_used)]

mod comments;
mod delimiters;
mod interpolation;
mod inverted;
mod sections;

use mainstay_template::{Dialect, Template, Value};

/// One case of the specification.
struct Case {
    name: &'static str,
    values: Value,
    template: &'static str,
    /// What the specification demands.
    expected: &'static str,
    /// What comes out instead, in these dialects; syntax errors begin with `error: `.
    deviates: Vec<(Dialect, &'static str)>,
}

fn case(name: &'static str, values: impl Into<Value>, template: &'static str, expected: &'static str) -> Case {
    Case { name, values: values.into(), template, expected, deviates: Vec::new() }
}

/// A case that needs no values.
fn plain(name: &'static str, template: &'static str, expected: &'static str) -> Case {
    case(name, none(), template, expected)
}

fn none() -> Value {
    Value::Map(std::collections::BTreeMap::new())
}

impl Case {
    fn deviates(mut self, dialect: Dialect, outcome: &'static str) -> Self {
        assert_ne!(outcome, self.expected, "{} does not deviate", self.name);
        self.deviates.push((dialect, outcome));
        self
    }

    fn deviates_everywhere(self, outcome: &'static str) -> Self {
        Dialect::ALL.into_iter().fold(self, |case, dialect| case.deviates(dialect, outcome))
    }

    fn check(&self) {
        for dialect in Dialect::ALL {
            let deviation = self.deviates.iter().find(|(other, _)| *other == dialect);
            let expected = deviation.map_or(self.expected, |(_, outcome)| outcome);
            let outcome = match Template::parse(self.template) {
                Ok(template) => template.render_value(&self.values, dialect).unwrap().text,
                Err(errors) => format!("error: {}", errors[0]),
            };
            assert_eq!(outcome, expected, "{} in {dialect:?}", self.name);
        }
    }
}

/// The five files of the specification that apply: their names and how many cases each has.
fn files() -> [(&'static str, usize, Vec<Case>); 5] {
    [
        ("interpolation", 42, interpolation::cases()),
        ("sections", 34, sections::cases()),
        ("inverted", 22, inverted::cases()),
        ("comments", 12, comments::cases()),
        ("delimiters", 14, delimiters::cases()),
    ]
}

#[track_caller]
fn check(cases: &[Case]) {
    cases.iter().for_each(Case::check);
}

#[test]
fn interpolation_behaves_as_specified() {
    check(&interpolation::cases());
}

#[test]
fn sections_behave_as_specified() {
    check(&sections::cases());
}

#[test]
fn inverted_sections_behave_as_specified() {
    check(&inverted::cases());
}

#[test]
fn comments_behave_as_specified() {
    check(&comments::cases());
}

#[test]
fn delimiters_behave_as_specified() {
    check(&delimiters::cases());
}

#[test]
fn every_case_is_there_once() {
    for (file, count, cases) in files() {
        let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), count, "{file}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{file} has a case twice");
    }
}

/// The rows of the table of deviations, without its head.
fn documented() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/templates.md");
    let page = std::fs::read_to_string(path).unwrap();
    let table = page.split("<!-- deviations: checked by template/tests/mustache -->").nth(1).unwrap();
    table.trim_start().lines().take_while(|line| line.starts_with('|')).skip(2).map(str::to_owned).collect()
}

#[test]
fn every_deviation_is_documented_with_its_reason_and_none_is_made_up() {
    let rows = documented();
    let mut expected = Vec::new();
    for (file, _, cases) in files() {
        for case in cases.iter().filter(|case| !case.deviates.is_empty()) {
            let dialects: Vec<_> = case.deviates.iter().map(|(dialect, _)| format!("{dialect:?}")).collect();
            expected.push(format!("| {file}: {} | {} | ", case.name, dialects.join(", ")));
        }
    }
    for start in &expected {
        let row = rows.iter().find(|row| row.starts_with(start.as_str()));
        let reason = row.unwrap_or_else(|| panic!("no row {start:?} in docs/templates.md"));
        assert!(reason.len() > start.len() + 20, "{start} has no reason");
    }
    assert_eq!(rows.len(), expected.len(), "rows without a case: {rows:#?}");
}
