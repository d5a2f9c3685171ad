//! How the author's commands write: in one go, in colours only where a person reads.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use mainstay_spec::{Diagnostic, Severity};

/// Whether an output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colours(bool);

impl Colours {
    /// For standard output, by the variables `NO_COLOR` and `TERM`.
    pub(crate) fn of_stdout() -> Self {
        Self::of(io::stdout().is_terminal())
    }

    /// For standard error, likewise.
    pub(crate) fn of_stderr() -> Self {
        Self::of(io::stderr().is_terminal())
    }

    fn of(is_terminal: bool) -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        Self(is_terminal && variable("NO_COLOR").is_empty() && !matches!(variable("TERM").as_str(), "" | "dumb"))
    }

    /// The diagnostic as the crate `spec` prints it.
    pub(crate) fn diagnostic(self, diagnostic: &Diagnostic) -> String {
        let text = diagnostic.to_string();
        if !self.0 {
            return text;
        }
        let colour = match diagnostic.severity {
            Severity::Error => AnsiColor::Red,
            Severity::Warning => AnsiColor::Yellow,
        };
        let style = colour.on_default().bold();
        let mut lines = text.lines();
        let head = lines.next().unwrap_or_default();
        let word = format!("{}[{}]", diagnostic.severity, diagnostic.code);
        let mut coloured = match head.split_once(&word) {
            Some((before, after)) => format!("{before}{style}{word}{style:#}{after}"),
            None => head.to_owned(),
        };
        for line in lines {
            let indent = line.len() - line.trim_start().len();
            let (margin, rest) = line.split_at(indent);
            let shown = match (rest.split_once("| "), rest.strip_prefix("= help: ")) {
                (_, Some(help)) => {
                    let dim = Style::new().bold();
                    format!("{margin}= {dim}help{dim:#}: {help}")
                }
                (Some(("", mark)), _) if mark.trim_start().starts_with('^') => {
                    format!("{margin}| {style}{mark}{style:#}")
                }
                _ => line.to_owned(),
            };
            let _ = write!(coloured, "\n{shown}");
        }
        coloured
    }

    /// A word that says how it went.
    pub(crate) fn verdict(self, word: &str, is_good: bool) -> String {
        if !self.0 {
            return word.to_owned();
        }
        let style = if is_good { AnsiColor::Green } else { AnsiColor::Red }.on_default().bold();
        format!("{style}{word}{style:#}")
    }
}

/// Writes the result; a reader that has seen enough is no error.
///
/// Errors: a sentence, when the output cannot take it, for example on a full disk.
pub(crate) fn print(out: &mut dyn Write, text: &str) -> Result<(), String> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write the result: {error}")),
        _ => Ok(()),
    }
}

/// Writes complaints or notes, one line each; when nobody can be told there is nothing left to do.
pub(crate) fn tell(err: &mut dyn Write, kind: &str, lines: &[String]) {
    for line in lines {
        writeln!(err, "mainstay: {kind}: {line}").ok();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_severity_the_mark_and_the_word_help_are_coloured() {
        let source = mainstay_spec::Source { file_name: "svc.yml", text: "name: x\npod: 1\npods: {}\n" };
        let report = mainstay_spec::load(source, &std::collections::BTreeMap::new(), &|_| Err(String::new()));
        let diagnostic = report.unwrap_err().diagnostics.remove(0);
        assert_eq!(Colours(false).diagnostic(&diagnostic), diagnostic.to_string());
        let coloured = Colours(true).diagnostic(&diagnostic);
        assert!(
            coloured.starts_with("svc.yml:2:1: \u{1b}[1m\u{1b}[31merror[MST-SPEC-0012]\u{1b}[0m pod: "),
            "{coloured}"
        );
        assert!(coloured.contains("   | \u{1b}[1m\u{1b}[31m^^^\u{1b}[0m"), "{coloured}");
        let mut plain = coloured;
        for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, diagnostic.to_string());
    }
}
