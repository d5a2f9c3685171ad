//! What the author's commands share: where variables come from, how a specification is read, how problems are shown.
//!
//! Not the commands themselves (`cmd/check.rs`, `cmd/render.rs`, `cmd/explain.rs`, `cmd/schema.rs`), and nothing of the language:
//! that is the crate `spec`. `dev` takes its variables from here too, so that what was checked is what runs.
//! Journey: [`Sources`] (what was typed) → [`Variables`] (values with their origins) → [`SpecFile::load`].
//!
//! Invariant: no network, no threads, and nothing is written but the two outputs.

pub(crate) mod explanation;
mod json_text;
mod package;
mod spec_file;
mod terminal;
mod text_file;
mod variables;

pub(crate) use spec_file::SpecFile;
pub(crate) use terminal::{Colours, print, tell};
pub(crate) use variables::{Origin, Sources, Variables};

/// Exit code: nothing is wrong.
pub(crate) const OK: u8 = 0;
/// Exit code: the specification has errors, or what `--strict` takes for errors.
pub(crate) const REFUSED: u8 = 1;
/// Exit code: the command cannot be understood, or a file it needs cannot be read.
pub(crate) const UNUSABLE: u8 = 2;
