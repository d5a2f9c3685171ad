//! The contract of svc.yml, row by row: `contract/rows.txt` lists the rows, tests all over the workspace name them.
//!
//! A test names rows in a comment `// contract: ID ID …` or, in `contract/*.rs`, in a literal of its own. Every row must be
//! named, and every name must be a row. Tests called `row_7_N_…` name the row of that validator; scenarios of the engine name
//! rows in lines `# contract: …`.
#![allow(clippy::unwrap_used)]

mod contract {
    pub(crate) mod support;

    mod environment;
    mod idioms;
    mod names;
    mod not_yet;
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

/// Rows named by a text, with their lines: in comments and, where `in_literals`, by literals that hold nothing else.
fn named(text: &str, in_literals: bool) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some((_, row)) = line.split_once("fn row_7_") {
            let number = row.split(['_', '(']).next().unwrap_or_default();
            found.push((format!("7/{number}"), at));
        } else if let Some((_, ids)) = line.split_once("// contract: ").or_else(|| line.split_once("# contract: ")) {
            found.extend(ids.split_whitespace().map(|id| (id.to_owned(), at)));
        } else if in_literals {
            let literals = line.split('"').skip(1).step_by(2);
            let rows = literals.filter(|text| !text.is_empty() && text.split_whitespace().all(is_row));
            found.extend(rows.flat_map(str::split_whitespace).map(|id| (id.to_owned(), at)));
        }
    }
    found
}

/// Whether a word looks like a row: `2.3/count`, `7/2`.
fn is_row(word: &str) -> bool {
    let Some((section, name)) = word.split_once('/') else { return false };
    let is_section = section.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()));
    is_section && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-@".contains(c))
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
            // The list and the machinery name nothing.
            let machinery = ["contract/rows.txt", "contract/support.rs", "tests/contract.rs", "support/script.rs"];
            if machinery.iter().any(|name| file.ends_with(name)) {
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
