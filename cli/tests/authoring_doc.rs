//! The guide `docs/authoring.md`, carried out.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/guide.rs"]
mod guide;

#[test]
fn the_guide_shows_what_happens() {
    guide::carry_out("docs/authoring.md", 10);
}
