//! Mustache templates as service specifications and configuration files use them.
//!
//! One engine, two dialects: the scheduler renders `svc.yml` with [`Dialect::Scheduler`], the executor renders
//! configuration files with [`Dialect::Config`]. Pure, no dependencies; not a general mustache library: values are
//! flat text, there are no lists, lambdas or partials.
//! Invariant: no input panics, and time and memory are bounded by the limits in [`limits`].
//! Next: `parse.rs` (text to nodes), `render.rs` (nodes to text), `dialect.rs` (what a value means).
//!
//! ```
//! use std::collections::BTreeMap;
//! let env = BTreeMap::from([("PORT".to_owned(), "8080".to_owned())]);
//! let text = mainstay_template::render_config("port={{PORT}}\n", &env).unwrap();
//! assert_eq!(text, "port=8080\n");
//! ```

mod dialect;
mod error;
mod parse;
mod position;
mod render;

pub use dialect::Dialect;
pub use error::{ConfigError, RenderError, SyntaxError, SyntaxErrorKind};
pub use parse::Template;
pub use position::{Lines, Position};
pub use render::{Lookup, Missing, Rendered, Use, UseKind, UseState, render_config};

/// Bounds of the engine.
pub mod limits {
    /// Largest template, in bytes. Configuration templates have the same limit in the SDK's bootstrap.
    pub const MAX_TEMPLATE_BYTES: usize = 1024 * 1024;
    /// Largest rendered text, in bytes: values can be much longer than the tags that name them.
    pub const MAX_RENDERED_BYTES: usize = 8 * 1024 * 1024;
    /// Deepest nesting of sections; real templates nest three deep.
    pub const MAX_DEPTH: usize = 64;
    /// Most syntax errors reported for one template.
    pub const MAX_ERRORS: usize = 100;
}
