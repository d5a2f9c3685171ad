//! The files of `svc-specs/hello-world` show every key of the table, every word and every spelling.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path};

use mainstay_template::{Dialect, Template};

use super::{Generation, Kind, Names, Shape, service::SERVICE};
use crate::{
    parse_env,
    problem::{Places, Problems},
    yaml::{self, Value},
};

/// What there is to show below a mapping, `<mapping>.<key>` and what a key may hold.
fn collect_wanted(shape: &'static Shape, wanted: &mut BTreeSet<String>) {
    for key in shape.keys() {
        let at = format!("{}.{}", shape.name, key.name);
        // Of a key that is advised against it is enough to be there, with one value.
        let is_plain_older = key.generation == Generation::Older && matches!(key.kind, Kind::Boolean | Kind::Limit);
        if !wanted.insert(at.clone()) || is_plain_older {
            continue;
        }
        let mut add = |what: &str| {
            wanted.insert(format!("{at} {what}"));
        };
        match &key.kind {
            Kind::Word(words) => words.iter().for_each(|word| add(word)),
            Kind::AnyCase(words, older) => words.iter().chain(*older).for_each(|word| add(word)),
            Kind::Limit => add("unlimited"),
            Kind::Boolean => {
                ["true", "false"].iter().filter(|word| key.default != Some(**word)).for_each(|word| add(word));
            }
            Kind::Labels { or_map } => {
                add("text");
                if *or_map {
                    add("map");
                }
            }
            Kind::Steps => ["index", "default", "nothing"].iter().for_each(|entry| add(entry)),
            Kind::Map(inner) | Kind::List(inner) => collect_wanted(inner, wanted),
            Kind::Named(inner, names) => {
                // The older block is read as the pod itself is.
                if let (Names::Listed(names), "pod") = (names, shape.name) {
                    names.iter().for_each(|name| add(name));
                }
                collect_wanted(inner, wanted);
            }
            Kind::Text
            | Kind::Filled
            | Kind::Matching(_)
            | Kind::Whole(..)
            | Kind::Amount
            | Kind::Variables
            | Kind::Texts
            | Kind::Ports => {}
        }
    }
}

/// The same for what a specification has.
fn collect_shown(shape: &'static Shape, value: &Value, shown: &mut BTreeSet<String>) {
    let Value::Map(entries) = value else { return };
    for entry in entries {
        let Some(key) = shape.keys().find(|key| key.name == entry.key) else { continue };
        let (at, value) = (format!("{}.{}", shape.name, key.name), &entry.node.value);
        let mut add = |what: &str| {
            shown.insert(format!("{at} {what}"));
        };
        match (&key.kind, value) {
            (Kind::Word(_) | Kind::AnyCase(..) | Kind::Limit | Kind::Boolean, Value::Scalar(word)) => add(word),
            (Kind::Labels { .. }, Value::Scalar(_)) => add("text"),
            (Kind::Labels { .. }, Value::Map(_)) => add("map"),
            (Kind::Steps, Value::List(items)) => {
                let maps =
                    items.iter().filter_map(|item| if let Value::Map(map) = &item.value { Some(map) } else { None });
                for step in maps.flatten() {
                    add(if step.key == "default" { "default" } else { "index" });
                    if matches!(&step.node.value, Value::List(lists) if lists.is_empty()) {
                        add("nothing");
                    }
                }
            }
            (Kind::Map(inner), value) => collect_shown(inner, value, shown),
            (Kind::List(inner), Value::List(items)) => {
                for item in items {
                    collect_shown(inner, &item.value, shown);
                }
            }
            (Kind::Named(inner, names), Value::Map(named)) => {
                for one in named {
                    if matches!(names, Names::Listed(_)) {
                        shown.insert(format!("{at} {}", one.key));
                    }
                    collect_shown(inner, &one.node.value, shown);
                }
            }
            _ => {}
        }
        if shape.name == "pod" && key.name == "placement" {
            let Value::Scalar(text) = value else { continue };
            let spelling = match text.as_str() {
                text if text.starts_with("[[") => "list of lists",
                text if text.starts_with('[') => "list",
                _ => "text",
            };
            shown.insert(format!("{at} {spelling}"));
            let is_separator = |c: char| !c.is_ascii_alphabetic() && c != '_';
            shown.extend(text.split(is_separator).map(|word| format!("{at} {word}")));
        }
        shown.insert(at);
    }
}

#[test]
fn hello_world_shows_the_whole_language() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../svc-specs/hello-world");
    let variables = parse_env(&fs::read_to_string(folder.join("env")).unwrap()).unwrap();
    let nothing = Template::parse("").unwrap();
    let rendered_nothing = nothing.render(&variables, Dialect::Scheduler).unwrap();
    let (mut wanted, mut shown) = (BTreeSet::new(), BTreeSet::new());
    collect_wanted(&SERVICE, &mut wanted);
    for word in
        ["UNIQUE", "CLUSTER", "IS", "IS_NOT", "LIKE", "UNLIKE", "GROUP_BY", "MAX_PER", "list of lists", "list", "text"]
    {
        wanted.insert(format!("pod.placement {word}"));
    }
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        let template = Template::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        let text = template.render(&variables, Dialect::Scheduler).unwrap().text;
        let tree = yaml::parse(&text, &mut Problems::new(Places::new(&nothing, &rendered_nothing))).unwrap();
        collect_shown(&SERVICE, &tree.value, &mut shown);
    }
    let missing: Vec<_> = wanted.difference(&shown).collect();
    assert!(missing.is_empty(), "no file of hello-world shows {missing:#?}");
    assert!(wanted.len() > 150, "{} things are wanted: the table is not walked", wanted.len());
}
