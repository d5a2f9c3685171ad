//! The contract of svc.yml, row by row: `contract/rows.txt` lists the rows, tests all over the workspace name them.
//!
//! A test names rows in a comment `// contract: ID ID …` or, in `contract/*.rs`, as the first argument of `row`, `fine`,
//! `warned` and `refused`. Every row must be named, and every name must be a row.
#![allow(clippy::unwrap_used)]

mod contract {
    pub(crate) mod support;

    mod environment;
    mod idioms;
    mod names;
    mod placement;
    mod plans;
    mod pod;
    mod pod_mappings;
    mod resources;
    mod root;
    mod samples;
    mod task;
    mod templates;
    mod traps;
    mod yaml;
}

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Crates whose sources may name rows.
const CRATES: &[&str] =
    &["api", "cli", "devcluster", "engine", "executor", "proto", "scheduler", "spec", "template", "tests"];
/// Calls whose first argument names rows.
const CALLS: &[&str] = &["row(", "fine(", "warned(", "refused("];

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|found| found == "rs" || found == "txt") {
            files.push(path);
        }
    }
}

/// Rows named by a text, with their lines.
fn named(text: &str, has_calls: bool) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("// contract: ") {
        let rest = &text[at + "// contract: ".len()..];
        let line = text[..at].lines().count();
        let ids = rest.lines().next().unwrap_or_default().split_whitespace();
        found.extend(ids.map(|id| (id.to_owned(), line)));
    }
    for call in CALLS.iter().filter(|_| has_calls) {
        for (at, _) in text.match_indices(call) {
            let is_name = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let Some(rest) = text[at + call.len()..].trim_start().strip_prefix('"').filter(|_| !is_name) else { continue };
            let line = text[..at].lines().count();
            let ids = rest.split('"').next().unwrap_or_default().split_whitespace();
            found.extend(ids.map(|id| (id.to_owned(), line)));
        }
    }
    found
}

#[test]
fn every_row_has_a_test_that_names_it() {
    let spec = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(spec.join("tests/contract/rows.txt")).unwrap();
    let rows: Vec<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next()).collect();
    let unique: BTreeSet<&str> = rows.iter().copied().collect();
    assert_eq!(unique.len(), rows.len(), "a row is listed twice");
    let mut named_by: BTreeMap<String, String> = BTreeMap::new();
    for name in CRATES {
        let mut files = Vec::new();
        for folder in ["src", "tests"] {
            sources(&spec.join("..").join(name).join(folder), &mut files);
        }
        for file in files {
            let folder = file.parent().unwrap();
            // This list itself, and the machinery, name nothing.
            let is_machinery = ["rows.txt", "support.rs"].iter().any(|name| file.ends_with(format!("contract/{name}")));
            if is_machinery || file == spec.join("tests/contract.rs") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            for (id, line) in named(&text, folder.ends_with("spec/tests/contract")) {
                named_by.entry(id).or_insert_with(|| format!("{}:{}", file.display(), line + 1));
            }
        }
    }
    let missing: Vec<_> = rows.iter().filter(|row| !named_by.contains_key(**row)).copied().collect();
    let unknown: Vec<_> = named_by.iter().filter(|(id, _)| !unique.contains(id.as_str())).collect();
    assert!(missing.is_empty(), "{} rows without a test: {}", missing.len(), missing.join(" "));
    assert!(unknown.is_empty(), "tests name rows that do not exist: {unknown:#?}");
}
