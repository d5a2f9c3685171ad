//! The table and the reader agree, mapping by mapping and key by key.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Map, Value, json};

use super::{Generation, Key, Kind, Names, Shape, service::SERVICE};
use crate::{Code, Diagnostic, Source, load};

/// A mapping of the table with the keys that lead to one of its kind in a specification.
struct Place {
    shape: &'static Shape,
    path: Vec<String>,
}

/// Every way to a mapping, each kind of mapping in each kind of place.
fn places() -> Vec<Place> {
    let mut places = Vec::new();
    let mut open = vec![Place { shape: &SERVICE, path: Vec::new() }];
    while let Some(place) = open.pop() {
        for key in place.shape.keys() {
            let mut path = place.path.clone();
            path.push(key.name.to_owned());
            let inner = match &key.kind {
                Kind::Map(inner) => inner,
                Kind::Named(inner, names) => {
                    path.push(match names {
                        Names::Listed(names) => names[0].to_owned(),
                        Names::Any | Names::Parts => name(inner).to_owned(),
                    });
                    inner
                }
                Kind::List(inner) => {
                    path.push("0".to_owned());
                    inner
                }
                _ => continue,
            };
            open.push(Place { shape: inner, path });
        }
        places.push(place);
    }
    places
}

/// A name that makes sense for an entry.
fn name(shape: &Shape) -> &'static str {
    match shape.name {
        "pod" => "hello",
        "task" => "server",
        "network" => "mesos-bridge",
        _ => "one",
    }
}

/// A value that is good for a key.
fn sample(key: &Key) -> Value {
    match &key.kind {
        Kind::Text | Kind::Filled | Kind::Matching(_) => match key.name {
            "placement" => json!("hostname:UNIQUE"),
            "pre-reserved-role" => json!("*"),
            "user" => json!("root"),
            "host-path" => json!("/etc"),
            "resource-set" => json!("one"),
            "driver-options" => json!("size=1"),
            "pod" => json!("hello"),
            name => json!(name),
        },
        Kind::Whole(min, _) => json!((*min).max(1)),
        Kind::Amount | Kind::Limit => json!(1.5),
        Kind::Boolean => json!(false),
        Kind::Word(words) | Kind::AnyCase(words, _) => json!(words[0]),
        Kind::Map(shape) => mapping(shape),
        Kind::Named(shape, Names::Listed(names)) => json!({ names[0]: mapping(shape) }),
        Kind::Named(shape, _) => json!({ name(shape): mapping(shape) }),
        Kind::Variables => json!({ "A": "1" }),
        Kind::Labels { .. } => json!("a:b"),
        Kind::List(shape) => json!([mapping(shape)]),
        Kind::Texts => json!(["a"]),
        Kind::Ports => json!([8080]),
        Kind::Steps => json!([{ "default": [["server"]] }]),
    }
}

/// The least that is good for a mapping.
fn mapping(shape: &Shape) -> Value {
    let mut keys: Map<_, _> =
        shape.keys().filter(|key| key.is_required).map(|key| (key.name.to_owned(), sample(key))).collect();
    if matches!(shape.name, "task" | "resource-set") {
        keys.insert("cpus".to_owned(), json!(1));
    }
    Value::Object(keys)
}

/// A small specification in which the mapping at `path` is `edit`ed.
fn with(path: &[String], edit: impl FnOnce(&mut Map<String, Value>)) -> String {
    let mut root = mapping(&SERVICE);
    let mut at = &mut root;
    let mut shape = Some(&SERVICE);
    let mut keys = path.iter();
    while let Some(name) = keys.next() {
        let key = shape.unwrap().keys().find(|key| key.name == name).unwrap();
        if at.get(name).is_none() {
            at[name] = sample(key);
        }
        at = &mut at[name];
        shape = match &key.kind {
            Kind::Map(inner) => Some(inner),
            Kind::Named(inner, _) => {
                at = &mut at[keys.next().unwrap()];
                Some(inner)
            }
            Kind::List(inner) => {
                at = &mut at[keys.next().unwrap().parse::<usize>().unwrap()];
                Some(inner)
            }
            _ => None,
        };
    }
    edit(at.as_object_mut().unwrap());
    root.to_string()
}

fn diagnostics(text: &str) -> Vec<Diagnostic> {
    match load(Source { file_name: "svc.yml", text }, &BTreeMap::new(), &|_| Ok("content".to_owned())) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report.diagnostics,
    }
}

fn joined(path: &[String], key: &str) -> String {
    path.iter().map(String::as_str).chain([key]).collect::<Vec<_>>().join(".")
}

/// Codes at one key path.
fn codes_at(text: &str, path: &str) -> Vec<Code> {
    diagnostics(text)
        .into_iter()
        .filter(|diagnostic| diagnostic.path == path)
        .map(|diagnostic| diagnostic.code)
        .collect()
}

#[track_caller]
fn none(findings: &str) {
    assert!(findings.is_empty(), "{findings}");
}

#[test]
fn the_reader_knows_the_keys_of_the_table() {
    let mut findings = String::new();
    for Place { shape, path } in places() {
        let text = with(&path, |mapping| drop(mapping.insert("zz-unheard-of".to_owned(), json!(1))));
        let at = joined(&path, "zz-unheard-of");
        let code = if shape.is_open { Code::IgnoredPodKey } else { Code::UnknownKey };
        let found = diagnostics(&text);
        let Some(unknown) = found.iter().find(|diagnostic| diagnostic.path == at && diagnostic.code == code) else {
            writeln!(findings, "{at} is not reported as unknown: {found:#?}").unwrap();
            continue;
        };
        let known: BTreeSet<_> = unknown.known.iter().copied().collect();
        let all: BTreeSet<_> = shape.keys().map(|key| key.name).collect();
        // Messages need not advertise what is older.
        let older = shape.keys().filter(|key| key.generation == Generation::Older).map(|key| key.name).collect();
        let missing: Vec<_> = all.difference(&known).filter(|name| !BTreeSet::contains(&older, *name)).collect();
        let unlisted: Vec<_> = known.difference(&all).collect();
        if !missing.is_empty() || !unlisted.is_empty() {
            writeln!(findings, "{at}: the reader lacks {missing:?}, the table lacks {unlisted:?}").unwrap();
        }
    }
    none(&findings);
}

#[test]
fn no_key_of_the_table_is_unknown_to_the_reader() {
    let mut findings = String::new();
    for Place { shape, path } in places() {
        for key in shape.keys() {
            let text = with(&path, |mapping| drop(mapping.insert(key.name.to_owned(), sample(key))));
            let at = joined(&path, key.name);
            for code in codes_at(&text, &at) {
                let is_fine = match key.generation {
                    _ if code == Code::NotSupportedYet => true,
                    Generation::Older => matches!(code, Code::Deprecated | Code::KeyWithoutEffect),
                    _ => matches!(
                        (code, key.name),
                        (Code::GeneratedDeployPlan, "plans")
                            | (Code::UnknownResourceSet, "resource-set")
                            // Keys that need another one beside them.
                            | (Code::KeyWithoutEffect, "host-ports" | "container-ports" | "ranges")
                            | (Code::ContradictoryKeys, "profiles")
                    ),
                };
                if !is_fine {
                    writeln!(findings, "{at}: {code} {} for {}", code.title(), sample(key)).unwrap();
                }
            }
        }
    }
    none(&findings);
}

#[test]
fn required_keys_are_those_of_the_reader() {
    let mut findings = String::new();
    for Place { shape, path } in places() {
        for key in shape.keys() {
            let text = with(&path, |mapping| drop(mapping.shift_remove(key.name)));
            let is_missed = codes_at(&text, &joined(&path, key.name)).contains(&Code::RequiredKey);
            if is_missed != key.is_required {
                writeln!(findings, "{}: required in the table: {}", joined(&path, key.name), key.is_required).unwrap();
            }
        }
    }
    none(&findings);
}

#[test]
fn bounds_and_words_are_those_of_the_reader() {
    let mut findings = String::new();
    for Place { shape, path } in places() {
        for key in shape.keys() {
            let at = joined(&path, key.name);
            let mut check = |value: Value, refusal: Option<Code>| {
                let text = with(&path, |mapping| drop(mapping.insert(key.name.to_owned(), value.clone())));
                let found = codes_at(&text, &at);
                let refusals = [Code::OutOfRange, Code::UnknownWord, Code::WrongType, Code::MissingValue];
                let found: Vec<_> = found.into_iter().filter(|code| refusals.contains(code)).collect();
                if found != Vec::from_iter(refusal) {
                    writeln!(findings, "{at}: {value}: found {found:?}, expected {refusal:?}").unwrap();
                }
            };
            match &key.kind {
                Kind::Whole(min, max) => {
                    check(json!(min), None);
                    check(json!(max), None);
                    check(json!(min - 1), Some(Code::OutOfRange));
                    // Larger numbers cannot be written.
                    if *max < i64::MAX {
                        check(json!(max + 1), Some(Code::OutOfRange));
                    }
                    check(json!("many"), Some(Code::WrongType));
                    check(json!(""), key.is_required.then_some(Code::MissingValue));
                }
                Kind::Amount | Kind::Limit => {
                    check(json!(0), Some(Code::OutOfRange));
                    check(json!("many"), Some(Code::WrongType));
                    check(json!("unlimited"), matches!(key.kind, Kind::Amount).then_some(Code::WrongType));
                }
                Kind::Boolean => {
                    // An older key without effect is not even looked at.
                    if key.name != "isolate-tmp" {
                        check(json!("maybe"), Some(Code::WrongType));
                    }
                    check(json!("yes"), None);
                }
                Kind::Word(words) => {
                    words.iter().for_each(|word| check(json!(word), None));
                    check(json!("zz"), Some(Code::UnknownWord));
                }
                Kind::AnyCase(words, older) => {
                    words.iter().chain(*older).for_each(|word| check(json!(word.to_lowercase()), None));
                    check(json!("zz"), Some(Code::UnknownWord));
                }
                Kind::Filled => check(json!(" "), Some(Code::MissingValue)),
                Kind::Named(..) | Kind::Map(_) | Kind::List(_) | Kind::Variables | Kind::Texts => {
                    check(json!("text"), Some(Code::WrongType));
                }
                _ => {}
            }
        }
    }
    none(&findings);
}

#[test]
fn defaults_mean_what_is_absent() {
    let mut findings = String::new();
    for Place { shape, path } in places() {
        for key in shape.keys().filter(|key| !key.is_required) {
            let Some(default) = key.default else { continue };
            let load = |value: Option<&str>| {
                let text = with(&path, |mapping| {
                    mapping.shift_remove(key.name);
                    if let Some(value) = value {
                        mapping.insert(key.name.to_owned(), json!(value));
                    }
                });
                let source = Source { file_name: "svc.yml", text: &text };
                load(source, &BTreeMap::new(), &|_| Ok("content".to_owned())).map(|loaded| loaded.spec)
            };
            let (absent, given) = (load(None), load(Some(default)));
            if absent.is_err() || absent.as_ref().ok() != given.as_ref().ok() {
                writeln!(findings, "{}: {default}: {given:?}", joined(&path, key.name)).unwrap();
            }
        }
    }
    none(&findings);
}
