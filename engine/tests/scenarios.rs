//! Every file of `scenarios/` is played over the engine; its transcript is the snapshot.
//!
//! The language is described in `support/script.rs`. After every line the engine's invariants are checked and the operations of its accepts are
//! applied by a strict master; either of them failing fails the test whatever the snapshot says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/script.rs"]
mod script;

#[test]
fn scenarios_are_told_as_before() {
    let mut failed = Vec::new();
    insta::glob!("scenarios/*.txt", |file| {
        let transcript = script::play(file);
        if let Some((_, problem)) = transcript.split_once(&format!("\n{}", script::FAILED)) {
            failed.push(format!("{}: {problem}", file.display()));
        }
        insta::assert_snapshot!(transcript);
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
