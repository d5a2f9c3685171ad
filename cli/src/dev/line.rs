//! A line of text with colours, which may have to be cut to the width of a terminal.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

/// Pieces of text, each with its style.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Style, String)>);

impl Line {
    /// A line that begins with plain text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::default().plain(text)
    }

    /// Adds text.
    pub(crate) fn plain(self, text: impl Into<String>) -> Self {
        self.styled(Style::new(), text)
    }

    /// Adds text of less importance.
    pub(crate) fn dim(self, text: impl Into<String>) -> Self {
        self.styled(Style::new().dimmed(), text)
    }

    /// Adds text of more importance.
    pub(crate) fn bold(self, text: impl Into<String>) -> Self {
        self.styled(Style::new().bold(), text)
    }

    /// Adds the status of a plan, phase or step, or the state of a task, in the colour of its meaning.
    pub(crate) fn status(self, word: &str) -> Self {
        let colour = match word {
            "COMPLETE" | "RUNNING" | "FINISHED" => Some(AnsiColor::Green),
            "ERROR" | "FAILED" | "LOST" | "DROPPED" | "UNREACHABLE" | "GONE" | "GONE_BY_OPERATOR" | "UNKNOWN" => {
                Some(AnsiColor::Red)
            }
            "WAITING" | "DELAYED" | "KILLED" | "KILLING" => Some(AnsiColor::Yellow),
            "PENDING" => None,
            _ => Some(AnsiColor::Cyan),
        };
        self.styled(colour.map_or(Style::new(), AnsiColor::on_default), word)
    }

    /// Adds another line's text.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn styled(mut self, style: Style, text: impl Into<String>) -> Self {
        self.0.push((style, text.into()));
        self
    }

    /// Writes it, with its end.
    ///
    /// Shape: at most `width` characters; one that is cut ends in `…`. Line ends within it become spaces, so that a line is a line.
    pub(crate) fn write(&self, out: &mut dyn Write, is_coloured: bool, width: usize) -> io::Result<()> {
        let length: usize = self.0.iter().map(|(_, text)| text.chars().count()).sum();
        let mut room = if length > width { width.saturating_sub(1) } else { width };
        for (style, text) in &self.0 {
            let shown: String =
                text.chars().take(room).map(|char| if char.is_control() { ' ' } else { char }).collect();
            room -= shown.chars().count();
            if is_coloured {
                write!(out, "{style}{shown}{style:#}")?;
            } else {
                write!(out, "{shown}")?;
            }
        }
        writeln!(out, "{}", if length > width { "…" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(line: &Line, is_coloured: bool, width: usize, expected: &str) {
        let mut out = Vec::new();
        line.write(&mut out, is_coloured, width).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn a_line_fits_its_width_and_stays_one() {
        let line = Line::new("step ").status("COMPLETE").plain("\nend");
        check(&line, false, 17, "step COMPLETE end");
        check(&line, false, 16, "step COMPLETE e…");
        check(&line, false, 4, "ste…");
        check(&line, true, 9, "step \u{1b}[32mCOM\u{1b}[0m…");
    }

    #[test]
    fn nothing_of_a_task_reaches_the_terminal_as_a_command() {
        check(&Line::new("a\u{1b}[2Jb\rc"), false, 80, "a [2Jb c");
    }
}
