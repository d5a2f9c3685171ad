//! The shipped hello-world renders with the environment beside it and loads without a warning.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::PathBuf};

use mainstay_spec::{Loaded, Source, load, parse_env};

fn hello_world(changes: &[(&str, &str)]) -> Loaded {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../svc-specs/hello-world");
    let text = fs::read_to_string(folder.join("svc.yml")).unwrap();
    let mut variables: BTreeMap<_, _> = parse_env(&fs::read_to_string(folder.join("env")).unwrap()).unwrap();
    variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let read_file = |path: &str| fs::read_to_string(folder.join(path)).map_err(|error| error.to_string());
    match load(Source { file_name: "svc.yml", text: &text }, &variables, &read_file) {
        Ok(loaded) => loaded,
        Err(report) => panic!("{report}"),
    }
}

#[test]
fn renders_and_loads() {
    let loaded = hello_world(&[]);
    assert_eq!(loaded.warnings, []);
    insta::assert_snapshot!("hello_world_rendered", loaded.rendered);
    insta::assert_debug_snapshot!("hello_world_spec", loaded.spec);
}

#[test]
fn variables_reach_the_specification() {
    let loaded = hello_world(&[
        ("WORLD_COUNT", "3"),
        ("WORLD_DEPLOY_STRATEGY", "parallel"),
        ("WORLD_PLACEMENT", "[[\"hostname\",\"UNIQUE\"]]"),
        ("TASKCFG_WORLD_EXTRA", "1"),
        ("FRAMEWORK_USER", "nobody"),
        ("FRAMEWORK_ZOOKEEPER", "zk:2181"),
    ]);
    let world = loaded.spec.pod("world").unwrap();
    assert_eq!(
        (world.count, world.placement.as_ref().map(ToString::to_string).as_deref()),
        (3, Some("hostname max 1 of world"))
    );
    assert_eq!(world.tasks[0].env.get("EXTRA").map(String::as_str), Some("1"));
    assert!(!loaded.spec.pod("hello").unwrap().tasks[0].env.contains_key("EXTRA"));
    assert_eq!(loaded.spec.plans[0].phases[1].steps.len(), 3);
    assert_eq!((loaded.spec.user.as_str(), loaded.spec.zookeeper.as_str()), ("nobody", "zk:2181"));
}
