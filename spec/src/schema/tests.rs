//! The published file is the generated one, and the schema agrees with the reader about whole specifications.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jsonschema::Validator;
use mainstay_template::{Dialect, Template};
use serde_json::{Map, Value, json};

use crate::{
    Code, Source, load, parse_env,
    problem::{Places, Problems},
    yaml,
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&super::json()).unwrap()
}

/// How scalars are handed to the schema: as our reader has them, or as an editor's YAML reader has them.
#[derive(Clone, Copy)]
enum Scalars {
    Literal,
    Typed,
}

/// A rendered text as JSON; `None` when it is not YAML.
fn convert(rendered: &str, scalars: Scalars) -> Option<Value> {
    let template = Template::parse("").unwrap();
    let nothing = template.render(&BTreeMap::new(), Dialect::Scheduler).unwrap();
    let tree = yaml::parse(rendered, &mut Problems::new(Places::new(&template, &nothing)))?;
    Some(value(&tree.value, scalars))
}

fn value(node: &yaml::Value, scalars: Scalars) -> Value {
    match node {
        yaml::Value::Null => Value::Null,
        yaml::Value::Scalar(text) => match scalars {
            Scalars::Literal => json!(text),
            Scalars::Typed => match text.as_str() {
                "true" | "True" | "TRUE" => json!(true),
                "false" | "False" | "FALSE" => json!(false),
                _ => serde_json::from_str::<serde_json::Number>(text).map_or_else(|_| json!(text), Value::Number),
            },
        },
        yaml::Value::List(items) => items.iter().map(|item| value(&item.value, scalars)).collect(),
        yaml::Value::Map(entries) => {
            let entries = entries.iter().map(|entry| (entry.key.clone(), value(&entry.node.value, scalars)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// What the schema says against a text, with the places.
fn errors(validator: &Validator, rendered: &str, scalars: Scalars) -> Vec<String> {
    let document = convert(rendered, scalars).unwrap();
    validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

#[test]
fn the_published_file_is_the_generated_one() {
    let path = root().join("docs/svc.schema.json");
    let generated = serde_json::to_string_pretty(&super::json()).unwrap() + "\n";
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        fs::write(&path, &generated).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(published == generated, "{} is out of date; INSTA_UPDATE=always writes it", path.display());
}

#[test]
fn it_is_a_valid_schema() {
    jsonschema::meta::validate(&super::json()).unwrap();
    assert_eq!(super::json(), super::json());
}

#[test]
fn shipped_specifications_validate() {
    let validator = validator();
    let (mut findings, mut seen) = (Vec::new(), 0);
    let mut folders: Vec<_> =
        fs::read_dir(root().join("svc-specs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    for folder in folders {
        let plain = parse_env(&fs::read_to_string(folder.join("env")).unwrap()).unwrap();
        let mut sets = vec![plain.clone()];
        for path in files(&folder, "env") {
            let mut set = plain.clone();
            set.extend(parse_env(&fs::read_to_string(&path).unwrap()).unwrap());
            sets.push(set);
        }
        for yml in files(&folder, "yml") {
            let template = Template::parse(&fs::read_to_string(&yml).unwrap()).unwrap();
            for variables in &sets {
                let rendered = template.render(variables, Dialect::Scheduler).unwrap().text;
                seen += 1;
                for scalars in [Scalars::Literal, Scalars::Typed] {
                    let errors = errors(&validator, &rendered, scalars);
                    findings.extend(errors.iter().map(|error| format!("{}: {error}", yml.display())));
                }
            }
        }
    }
    assert!(seen > 0);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn bad_specifications_with_unknown_keys_do_not_validate() {
    let validator = validator();
    let mut seen = 0;
    for path in files(&root().join("spec/tests/bad"), "yml") {
        let text = fs::read_to_string(&path).unwrap();
        let Err(report) = load(Source { file_name: "svc.yml", text: &text }, &BTreeMap::new(), &|_| Ok("x".to_owned()))
        else {
            continue;
        };
        let Ok(template) = Template::parse(&text) else { continue };
        let rendered = template.render(&BTreeMap::new(), Dialect::Scheduler).unwrap().text;
        for unknown in report.diagnostics.iter().filter(|diagnostic| diagnostic.code == Code::UnknownKey) {
            seen += 1;
            let (_, key) = unknown.path.rsplit_once('.').unwrap_or(("", &unknown.path));
            for scalars in [Scalars::Literal, Scalars::Typed] {
                let errors = errors(&validator, &rendered, scalars);
                let is_named = errors.iter().any(|error| error.contains(&format!("'{key}'")));
                assert!(is_named, "{}: {}: {errors:#?}", path.display(), unknown.path);
            }
        }
    }
    assert!(seen >= 3, "{seen}");
}

#[test]
fn variables_may_stand_for_values() {
    let text = "name: '{{NAME}}'\npods:\n  p:\n    count: {{COUNT}}\n    tasks:\n      t:\n        goal: {{{GOAL}}}\n        \
                cmd: x\n        memory: '{{MEMORY}}'\n        essential: {{ESSENTIAL}}\n";
    // As an editor's reader has it: a mapping whose key is a mapping, by its text.
    let mut document = convert(&text.replace("{{{", "{").replace("{{", "").replace("}}", ""), Scalars::Typed).unwrap();
    let tag = json!({ "{ NAME }": null });
    document["pods"]["p"]["count"] = tag.clone();
    document["pods"]["p"]["tasks"]["t"]["goal"] = tag.clone();
    document["pods"]["p"]["tasks"]["t"]["essential"] = tag;
    document["pods"]["p"]["tasks"]["t"]["memory"] = json!("{{MEMORY}}");
    let validator = validator();
    assert!(validator.is_valid(&document), "{:#?}", validator.validate(&document));
    document["pods"]["p"]["count"] = json!({ "count": 1 });
    assert!(!validator.is_valid(&document));
}
