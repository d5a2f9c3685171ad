//! What is wrong with a specification: collected, sorted, printed together.
//!
//! Not an error type of an operation: a [`Report`] is the whole list for one specification.
//! Invariant: places are places in the template the author wrote, mapped back through rendering.

use std::fmt;

use mainstay_template::Position;

use crate::code::{Code, Severity};

/// Most diagnostics printed for one specification; the rest is counted.
pub const MAX_PRINTED: usize = 200;

/// One problem of a specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of problem.
    pub code: Code,
    /// How bad it is: that of its code, unless whoever holds it cannot do with less.
    pub severity: Severity,
    /// File it is in.
    pub file: String,
    /// Place in that file.
    pub position: Position,
    /// Place in the rendered text, when it was found there.
    pub rendered: Option<Position>,
    /// Keys that lead to the value, joined with dots; empty for the whole text.
    pub path: String,
    /// What was found and what is allowed.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line of the file.
    pub excerpt: String,
    /// Number of characters marked in the line, at least 1.
    pub marked: usize,
    /// The line of the rendered text and the number of characters marked in it, where a tag printed what is wrong.
    pub rendered_excerpt: Option<(String, usize)>,
    /// The keys that are known at this place, when the problem is an unknown one.
    pub known: Vec<&'static str>,
}

/// Prints the message line, the line of the file with a mark below it, perhaps that of the rendered text, and the help.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}[{}]", self.file, self.position, self.severity, self.code)?;
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        let number = self.position.line.to_string();
        let margin = " ".repeat(number.len());
        let (line, indent, marked) = window(&self.excerpt, self.position.column - 1, self.marked);
        if !line.trim().is_empty() {
            write!(f, "\n {number} | {line}\n {margin} | {}{}", " ".repeat(indent), "^".repeat(marked))?;
        }
        if let (Some((line, marked)), Some(place)) = (&self.rendered_excerpt, self.rendered) {
            let (line, indent, marked) = window(line, place.column - 1, *marked);
            let mark = format!("{}{}", " ".repeat(indent), "^".repeat(marked));
            write!(f, "\n {margin} = rendered:\n {margin} | {line}\n {margin} | {mark}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n {margin} = help: {help}")?;
        }
        Ok(())
    }
}

/// The part of a line worth showing around the mark, with tabs as blanks, so that the mark stands below its text.
fn window(line: &str, column: usize, marked: usize) -> (String, usize, usize) {
    const WIDTH: usize = 100;
    let characters: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let start = if column >= WIDTH - 20 { column - 20 } else { 0 }.min(characters.len());
    let end = (start + WIDTH).min(characters.len());
    let indent = (column - start.min(column)).min(end - start);
    let room = (end - start - indent).max(1);
    (characters[start..end].iter().collect::<String>().trim_end().to_owned(), indent, marked.clamp(1, room))
}

/// Every problem of one specification, sorted by place. Contains at least one error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The problems.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Number of errors.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }
}

/// Prints every problem, then how many there are.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in self.diagnostics.iter().take(MAX_PRINTED) {
            writeln!(f, "{diagnostic}\n")?;
        }
        let errors = self.errors();
        let warnings = self.diagnostics.len() - errors;
        write!(f, "{errors} {}", if errors == 1 { "error" } else { "errors" })?;
        if warnings > 0 {
            write!(f, ", {warnings} {}", if warnings == 1 { "warning" } else { "warnings" })?;
        }
        if self.diagnostics.len() > MAX_PRINTED {
            write!(f, ", the first {MAX_PRINTED} shown")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
