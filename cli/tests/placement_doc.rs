//! The guide `docs/placement.md`, carried out; its section on `mainstay fit` is held against the program by `fit.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/guide.rs"]
mod guide;

#[test]
fn the_guide_shows_what_happens() {
    guide::carry_out("docs/placement.md", 8);
}
