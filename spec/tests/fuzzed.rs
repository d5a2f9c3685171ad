//! The fuzz targets on input that a stable compiler can make: every file of the repository they are about, arbitrary text, and
//! those files with random damage.
#![allow(clippy::unwrap_used)]

#[allow(unreachable_pub, reason = "the fuzz crate has them in its library")]
#[path = "fuzzed/targets.rs"]
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use proptest::prelude::*;

fn files(folder: &str, extensions: &[&str]) -> Vec<String> {
    fn collect(folder: &Path, extensions: &[&str], texts: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, extensions, texts);
            } else if extensions.iter().any(|extension| path.extension().is_some_and(|found| found == *extension)) {
                let text = fs::read_to_string(&path).unwrap();
                texts.push((path, text));
            }
        }
    }
    let mut texts = Vec::new();
    collect(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder), extensions, &mut texts);
    texts.sort();
    assert!(!texts.is_empty(), "{folder}");
    texts.into_iter().map(|(_, text)| text).collect()
}

static SPECS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut texts = files("../svc-specs", &["yml"]);
    texts.extend(files("tests/bad", &["yml"]));
    texts
});
static TEMPLATES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut texts = files("../svc-specs", &["yml", "mustache"]);
    texts.extend(files("tests/bad", &["yml"]));
    texts
});
static STORED: LazyLock<Vec<String>> = LazyLock::new(|| files("tests/stored", &["json"]));
static PLACEMENTS: LazyLock<Vec<String>> = LazyLock::new(|| files("../fuzz/seeds/placement", &["txt"]));

#[test]
fn seeds() {
    TEMPLATES.iter().for_each(|text| targets::template(text));
    SPECS.iter().for_each(|text| targets::spec(text));
    PLACEMENTS.iter().for_each(|text| targets::placement(text));
    STORED.iter().for_each(|text| targets::stored(text));
}

/// One of the texts with a part replaced.
fn damaged(texts: &'static LazyLock<Vec<String>>) -> impl Strategy<Value = String> {
    let insert = "(\\PC|\n|\\{\\{[#^/&!>={.]?|\\}\\}|: |- |\\[|\\]|\\{|\"|'|,|\\\\|&a|\\*a|[0-9]{1,20}){0,6}";
    let parts = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..30_usize, insert);
    parts.prop_map(|(text, at, length, insert)| {
        let text = text.get(texts);
        let at = at.index(text.len() + 1);
        let boundary =
            |wanted: usize| (wanted.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap();
        format!("{}{insert}{}", &text[..boundary(at)], &text[boundary(at + length)..])
    })
}

proptest! {
    #[test]
    fn template(text in prop_oneof!["(\\PC|\n|\\{\\{|\\}\\}|[#^/&!=.]){0,200}", damaged(&TEMPLATES)]) {
        targets::template(&text);
    }

    #[test]
    fn spec(text in prop_oneof!["(\\PC|\n| |: |- ){0,200}", damaged(&SPECS)]) {
        targets::spec(&text);
    }

    #[test]
    fn placement(text in prop_oneof!["(\\PC|[\\[\\]\",:\\\\]|UNIQUE|LIKE|MAX_PER){0,60}", damaged(&PLACEMENTS)]) {
        targets::placement(&text);
    }

    #[test]
    fn stored(text in prop_oneof!["([\\[\\]{}\",:0-9a-z ]){0,60}", damaged(&STORED)]) {
        targets::stored(&text);
    }
}
