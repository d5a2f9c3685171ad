//! What is done with arbitrary input, and what must hold then. Nothing may panic, hang or take memory without bound.
//!
//! One function per fuzz target; `fuzz/` hands them the fuzzer's input, `tests/fuzzed.rs` that of property tests.

use std::collections::BTreeMap;

use mainstay_spec::{Severity, Source, from_json, load, placement::Rule, to_json};
use mainstay_template::{Dialect, Template, Value, limits};

/// Values that mean something to a template or to YAML; which one a variable has follows from its name.
const VALUES: &[&str] = &[
    "",
    "1",
    "0",
    "-1",
    "true",
    "False",
    "  ",
    "text",
    "a b",
    "a: b",
    "- a",
    "[[a],[b]]",
    "{a: b}",
    "\n  x: y",
    "\"",
    "'",
    "#",
    "a=b;c=d",
    "{{X}}",
    "&a",
    "*a",
    "<<",
    "hostname:UNIQUE",
    "é",
    "\u{0}",
    "99999999999999999999",
    "~",
];

/// Variables for every name in the tags of a text; some stay unset.
fn variables(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for tag in text.split("{{").skip(1).take(1000) {
        let name = tag.split("}}").next().unwrap_or_default();
        let name = name.trim_matches(|c: char| "{}#^/&! ".contains(c)).trim();
        let sum = name.bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        if let Some(value) = VALUES.get(sum % (VALUES.len() + 3)) {
            variables.insert(name.to_owned(), (*value).to_owned());
        }
    }
    variables
}

/// Parses and renders in every dialect, with flat and nested values.
pub fn template(text: &str) {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= limits::MAX_ERRORS + 1);
            for error in errors {
                assert!(error.position.line >= 1 && error.position.column >= 1);
                let _ = error.to_string();
            }
            return;
        }
    };
    assert_eq!(template.source(), text);
    let flat = variables(text);
    let nested = Value::Map(flat.iter().map(|(name, value)| (name.clone(), nested(name, value, 4))).collect());
    for dialect in Dialect::ALL {
        let rendered = template.render(&flat, dialect);
        assert_eq!(rendered, template.render(&flat, dialect), "twice the same");
        for rendered in [rendered, template.render_value(&nested, dialect)].into_iter().flatten() {
            assert!(rendered.text.len() <= limits::MAX_RENDERED_BYTES);
            let mut offsets = (0..=rendered.text.len().min(4096)).map(|offset| rendered.source_offset(offset));
            assert!(offsets.all(|offset| offset <= text.len()));
            for used in &rendered.uses {
                assert!(rendered.text.get(used.rendered.clone()).is_some(), "{used:?}");
                assert!(text.get(used.tag.clone()).is_some(), "{used:?}");
            }
        }
    }
}

/// A value of some depth, made of a name and a text.
fn nested(name: &str, value: &str, depth: usize) -> Value {
    let text = || Value::Text(value.to_owned());
    match (name.len() + depth) % 5 {
        _ if depth == 0 => text(),
        0 => Value::Null,
        1 => Value::Bool(value.is_empty()),
        2 => Value::List((0..3).map(|_| nested(name, value, depth - 1)).collect()),
        3 => Value::Map([(name.to_owned(), nested(value, name, depth - 1))].into_iter().collect()),
        _ => text(),
    }
}

/// Loads a specification, as it is and as a template whose variables have all kinds of values.
pub fn spec(text: &str) {
    for variables in [BTreeMap::new(), variables(text)] {
        let read_file = |path: &str| match path.len() % 3 {
            0 => Err("not found".to_owned()),
            1 => Ok("{{#X}}".to_owned()),
            _ => Ok("content".to_owned()),
        };
        match load(Source { file_name: "svc.yml", text }, &variables, &read_file) {
            Ok(loaded) => {
                let role = loaded.spec.role();
                let json = to_json(&loaded.spec, &role);
                let stored = from_json(&json).unwrap_or_else(|error| panic!("{error}\n{json}"));
                assert_eq!(to_json(&stored.spec, &stored.role), json, "written back unchanged");
                assert!(loaded.warnings.iter().all(|warning| warning.severity == Severity::Warning));
                let _ = loaded.unsupported();
            }
            Err(report) => {
                assert!(report.errors() > 0);
                for diagnostic in &report.diagnostics {
                    let lines = text.lines().count() + 1;
                    assert!(
                        (1..=lines).contains(&diagnostic.position.line) || diagnostic.file != "svc.yml",
                        "{diagnostic:?}"
                    );
                }
                let _ = report.to_string();
            }
        }
    }
}

/// Reads a placement constraint.
pub fn placement(text: &str) {
    match Rule::parse(text, "hello") {
        Ok(Some(rule)) => {
            let _ = (rule.to_string(), rule.is_counting(), rule.references_region(), rule.references_zone());
        }
        Ok(None) => {}
        Err(error) => {
            let _ = error.to_string();
        }
    }
}

/// Reads a stored configuration.
pub fn stored(text: &str) {
    match from_json(text) {
        Ok(stored) => {
            let json = to_json(&stored.spec, &stored.role);
            let again = from_json(&json).unwrap_or_else(|error| panic!("{error}\n{json}"));
            assert_eq!(again, stored);
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
}
