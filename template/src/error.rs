//! What can be wrong with a template.

use std::fmt;

use crate::position::Position;

/// A mistake in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub kind: SyntaxErrorKind,
    /// Byte offset of the tag in the template.
    pub offset: usize,
    /// Byte length of the tag, 0 when unknown.
    pub length: usize,
    /// Where the tag stands.
    pub position: Position,
}

/// The kinds of mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyntaxErrorKind {
    /// The template is longer than [`crate::limits::MAX_TEMPLATE_BYTES`].
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Sections nest deeper than [`crate::limits::MAX_DEPTH`].
    TooDeep {
        /// Name of the section that is too deep.
        name: String,
    },
    /// A tag has no closing braces on its line.
    UnclosedTag {
        /// Beginning of the tag.
        text: String,
    },
    /// A tag without a name.
    EmptyTag,
    /// A delimiter change that does not name two delimiters.
    BadDelimiters {
        /// What stands between the equals signs.
        text: String,
    },
    /// A partial; there is nowhere to take it from.
    Partial {
        /// Its name.
        name: String,
    },
    /// A section that is never closed.
    UnclosedSection {
        /// Its name.
        name: String,
    },
    /// A closing tag for another section than the one that is open.
    MismatchedClose {
        /// Name in the closing tag.
        found: String,
        /// Name of the innermost open section.
        open: String,
        /// Where that one was opened.
        opened_at: Position,
    },
    /// A closing tag while no section is open.
    CloseWithoutOpen {
        /// Name in the closing tag.
        name: String,
    },
}

impl fmt::Display for SyntaxErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => {
                write!(f, "template has {bytes} bytes, at most {} are read", crate::limits::MAX_TEMPLATE_BYTES)
            }
            Self::TooDeep { name } => {
                write!(f, "section {name} is nested deeper than {} sections", crate::limits::MAX_DEPTH)
            }
            Self::UnclosedTag { text } => write!(f, "tag {text} is not closed on its line"),
            Self::EmptyTag => f.write_str("tag has no name"),
            Self::BadDelimiters { text } => {
                write!(f, "delimiter change names {text:?}; it needs two delimiters without = as in {{{{=<% %>=}}}}")
            }
            Self::Partial { name } => write!(f, "template {name} not found: partials are not supported"),
            Self::UnclosedSection { name } => write!(f, "section {name} is not closed; {{{{/{name}}}}} is missing"),
            Self::MismatchedClose { found, open, opened_at } => write!(
                f,
                "{{{{/{found}}}}} does not close the open section {open} of line {}; expected {{{{/{open}}}}}",
                opened_at.line
            ),
            Self::CloseWithoutOpen { name } => write!(f, "{{{{/{name}}}}} closes a section that is not open"),
        }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.kind)
    }
}

impl std::error::Error for SyntaxError {}

/// Why a valid template could not be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenderError {
    /// The result is longer than [`crate::limits::MAX_RENDERED_BYTES`].
    TooLong,
    /// Evaluating the tags takes more than [`crate::limits::MAX_STEPS`] steps: lists in lists, as a rule.
    TooManySteps,
    /// A printed value is nested deeper than [`crate::limits::MAX_VALUE_DEPTH`].
    ValueTooDeep,
    /// `{{#asJson}}` without exactly one name up to `{{/asJson}}`.
    BadAsJson {
        /// Where the tag stands.
        position: Position,
    },
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "rendered text is longer than {} bytes", crate::limits::MAX_RENDERED_BYTES),
            Self::TooManySteps => {
                write!(f, "rendering takes more than {} steps", crate::limits::MAX_STEPS)
            }
            Self::ValueTooDeep => {
                write!(f, "a printed value is nested deeper than {} levels", crate::limits::MAX_VALUE_DEPTH)
            }
            Self::BadAsJson { position } => {
                write!(f, "{position}: {{{{#asJson}}}} needs exactly one name before {{{{/asJson}}}}")
            }
        }
    }
}

impl std::error::Error for RenderError {}

/// Why a configuration template could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// It is not a template.
    Syntax(Vec<SyntaxError>),
    /// It cannot be rendered.
    Render(RenderError),
}

/// Prints every problem, separated by `; `.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(errors) => {
                for (index, error) in errors.iter().enumerate() {
                    write!(f, "{}{error}", if index == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::Render(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}
