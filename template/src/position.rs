//! Where something stands in a text.

use std::fmt;

/// A place in a text as an editor shows it.
///
/// Shape: both count from 1; columns count characters, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Prints `line:column`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Byte offsets at which the lines of a text start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// Finds the lines of `text`; a line ends with `\n`.
    pub fn new(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { starts: std::iter::once(0).chain(ends).collect() }
    }

    /// The place of a byte offset of `text`, which must be the text these lines were found in.
    pub fn position(&self, text: &str, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        let before = text.as_bytes().get(start..offset.min(text.len())).unwrap_or_default();
        // Bytes that continue a character do not start a column.
        let column = before.iter().filter(|byte| (**byte & 0xC0) != 0x80).count() + 1;
        Position { line, column }
    }

    /// The offset at which the line around `offset` starts.
    pub(crate) fn start_of_line(&self, offset: usize) -> usize {
        self.starts[self.starts.partition_point(|start| *start <= offset) - 1]
    }

    /// As [`Lines::position`], counting on from an earlier place when it is on the same line.
    pub(crate) fn position_after(&self, text: &str, offset: usize, earlier: (usize, Position)) -> Position {
        let (from, place) = earlier;
        if from < self.start_of_line(offset) || from > offset {
            return self.position(text, offset);
        }
        let between = text.as_bytes().get(from..offset).unwrap_or_default();
        let columns = between.iter().filter(|byte| (**byte & 0xC0) != 0x80).count();
        Position { line: place.line, column: place.column + columns }
    }

    /// The text of a line, counted from 1, without its line end; empty when there is no such line.
    pub fn line<'t>(&self, text: &'t str, line: usize) -> &'t str {
        let Some(start) = line.checked_sub(1).and_then(|index| self.starts.get(index)) else { return "" };
        let end = self.starts.get(line).copied().unwrap_or(text.len());
        text.get(*start..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }
}
