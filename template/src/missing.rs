//! Variables without a value, and the strict mode that refuses them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{position::Position, render::Rendered};

/// A variable that was printed while unset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: Arc<str>,
    /// Where its tag stands.
    pub position: Position,
}

/// Prints `NAME@L<line>`, as the SDK lists them.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@L{}", self.name, self.position.line)
    }
}

/// Why strict mode refuses a rendered template: every variable that was printed while unset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingValues {
    /// The variables, once per tag, in the order of their evaluation. Never empty.
    pub missing: Vec<Missing>,
    /// The values that were there, by name.
    pub provided: BTreeMap<String, String>,
}

/// Prints the missing variables on one line, then the provided values, one a line.
impl fmt::Display for MissingValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.missing.len() == 1 { "" } else { "s" };
        write!(f, "missing {} value{plural}: ", self.missing.len())?;
        for (index, missing) in self.missing.iter().enumerate() {
            write!(f, "{}{missing}", if index == 0 { "" } else { ", " })?;
        }
        if self.provided.is_empty() {
            return write!(f, "\nno values are provided");
        }
        write!(f, "\nprovided values:")?;
        for (name, value) in &self.provided {
            write!(f, "\n  {name}={value}")?;
        }
        Ok(())
    }
}

impl std::error::Error for MissingValues {}

impl Rendered {
    /// Strict mode: accepts the result only when no variable was missing.
    ///
    /// `provided` is shown in the error: the environment, or [`crate::Value::flatten`] of nested values. It may contain
    /// secrets: strict mode is for tests and authors, not for a running service.
    /// Errors: every missing variable.
    pub fn require_values(self, provided: &BTreeMap<String, String>) -> Result<Self, MissingValues> {
        if self.missing.is_empty() {
            return Ok(self);
        }
        Err(MissingValues { missing: self.missing, provided: provided.clone() })
    }
}
