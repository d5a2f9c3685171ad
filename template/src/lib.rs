//! Mustache templates as service specifications, configuration files and packages use them.
//!
//! One engine, three dialects: the scheduler renders `svc.yml` with [`Dialect::Scheduler`], the executor renders
//! configuration files with [`Dialect::Config`], packages render their Marathon app with [`Dialect::Package`]. Values
//! are flat text ([`Lookup`]) or nested ([`Value`]). Pure, no dependencies; not a general mustache library: there are
//! no lambdas and no partials. Deviations from the mustache specification: `docs/templates.md`.
//! Invariant: no input panics, and time and memory are bounded by the limits in [`limits`].
//! Next: `parse.rs` (text to nodes), `render.rs` (nodes to text), `dialect.rs` (what a value means), `uses.rs` (where
//! variables are used).
//!
//! ```
//! use std::collections::BTreeMap;
//! let env = BTreeMap::from([("PORT".to_owned(), "8080".to_owned())]);
//! let text = mainstay_template::render_config("port={{PORT}}\n", &env).unwrap();
//! assert_eq!(text, "port=8080\n");
//! ```

mod dialect;
mod error;
mod json;
mod missing;
mod parse;
mod position;
mod render;
mod uses;
mod value;

pub use dialect::Dialect;
pub use error::{ConfigError, RenderError, SyntaxError, SyntaxErrorKind};
pub use missing::{Missing, MissingValues};
pub use parse::Template;
pub use position::{Lines, Position};
pub use render::{Lookup, Rendered, render_config};
pub use uses::{Reference, Use, UseKind, UseState};
pub use value::Value;

/// Bounds of the engine.
pub mod limits {
    /// Largest template, in bytes. Configuration templates have the same limit in the SDK's bootstrap.
    pub const MAX_TEMPLATE_BYTES: usize = 1024 * 1024;
    /// Largest rendered text, in bytes: values can be much longer than the tags that name them.
    pub const MAX_RENDERED_BYTES: usize = 8 * 1024 * 1024;
    /// Most steps of rendering: one for each piece of text, tag and repetition of a list's section that is evaluated, more
    /// for names beyond 64 bytes and for blanks that decide a section. A template of plain text values within
    /// [`MAX_TEMPLATE_BYTES`] stays below it.
    pub const MAX_STEPS: usize = 600_000;
    /// Deepest nesting of a printed value; that of common JSON readers.
    pub const MAX_VALUE_DEPTH: usize = 128;
    /// Deepest nesting of sections; real templates nest three deep.
    pub const MAX_DEPTH: usize = 64;
    /// Most syntax errors reported for one template.
    pub const MAX_ERRORS: usize = 100;
}
